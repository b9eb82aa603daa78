"""Learning: what a lesson shows, what counts in it, and that a run that was stopped goes on."""

from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from tapestry_backend.engine.learning import Learner, Lesson, Lessons, Shown
from tapestry_backend.engine.noise_schedule import training_levels
from tapestry_backend.engine.windows import Size, crop

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CLEAN = torch.randn(1, 3, 12, 20)
WINDOW = Size(6, 8)


def lessons(counts: Tensor | None = None, kind: str = "epsilon", rows: int = 4) -> Lessons:
    """Of one picture."""
    scheduler = diffusers.DDIMScheduler(**BETAS, prediction_type=kind)
    counts = torch.ones(12, 20) if counts is None else counts
    levels = training_levels(scheduler)
    return Lessons([Shown(CLEAN, counts)], WINDOW, levels, rows=rows, seed=0)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_a_lesson_is_what_diffusers_trains_with(kind: str) -> None:
    """Latents behind noise, and what is to be predicted, at the timesteps that are told."""
    scheduler = diffusers.DDIMScheduler(**BETAS, prediction_type=kind)
    for number in range(5):
        lesson = lessons(kind=kind).at(number)
        clean = torch.cat([crop(CLEAN, window) for window in lesson.windows])
        shares = scheduler.alphas_cumprod[lesson.timesteps][:, None, None, None]
        noise = (lesson.noisy - shares**0.5 * clean) / (1 - shares) ** 0.5
        assert 0.8 < noise.std() < 1.2
        noisy = scheduler.add_noise(clean, noise, lesson.timesteps)
        wanted = {
            "epsilon": noise,
            "v_prediction": scheduler.get_velocity(clean, noise, lesson.timesteps),
            "sample": clean,
        }[kind]
        torch.testing.assert_close(lesson.noisy, noisy, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(lesson.wanted, wanted, atol=1e-4, rtol=1e-4)


def test_flows_have_levels_too() -> None:
    """From the picture to the noise."""
    levels = training_levels(diffusers.FlowMatchEulerDiscreteScheduler())
    assert [level.kind for level in levels] == ["flow_prediction"] * 1000
    assert 0 < levels[0].sigma < 0.01
    assert levels[-1].sigma == 1


def test_levels_are_spread_over_the_rows() -> None:
    """One in each quarter of all."""
    for number in range(20):
        quarters = (lessons().at(number).timesteps // 250).tolist()
        assert quarters == [0, 1, 2, 3]


def test_a_lesson_is_the_same_every_time_and_no_two_are_alike() -> None:
    """It depends on its number alone."""
    one, again, other = lessons().at(3), lessons().at(3), lessons().at(4)
    assert torch.equal(one.noisy, again.noisy)
    assert one.windows == again.windows
    assert not torch.equal(one.timesteps, other.timesteps)


def test_windows_lie_where_something_counts() -> None:
    """And on the canvas; every cell is in some of them."""
    counts = torch.zeros(12, 20)
    counts[10:, :3] = 1
    seen = torch.zeros(12, 20)
    for number in range(30):
        for window in lessons(counts).at(number).windows:
            assert window.size == WINDOW
            assert window.top >= 0
            assert window.left >= 0
            assert crop(counts, window).any()
            crop(seen, window).add_(1)
    assert (seen[counts > 0] > 0).all()


def test_only_what_counts_is_learned() -> None:
    """Errors elsewhere are none."""
    counts = torch.zeros(12, 20)
    counts[:, :4] = 1
    for number in range(10):
        lesson = lessons(counts).at(number)
        wrong = lesson.wanted + 5 * (1 - lesson.counts)
        assert lesson.loss(wrong) == 0
        assert float(lesson.loss(lesson.wanted + 2)) == pytest.approx(4)


def learner(optimiser: Any = torch.optim.AdamW) -> Learner:
    """Of an offset and a factor."""
    tensors = {"offset": torch.zeros(3, 1, 1), "factor": torch.ones(3, 1, 1)}
    return Learner(tensors, 0.05, optimiser=optimiser)


class Coarse(torch.optim.Optimizer):
    """Momentum in bytes, with a scale, and a count that is no tensor: as bitsandbytes keeps its."""

    def __init__(self, groups: Any, weight_decay: float) -> None:
        super().__init__(groups, {"lr": 0.1, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for tensor in group["params"]:
                kept = self.state[tensor]
                kept.setdefault("step", 0)
                before = torch.zeros_like(tensor)
                if kept["step"]:
                    before = (kept["state1"].float() - 128) * kept["absmax1"]
                kept["step"] += 1
                now = 0.9 * before + tensor.grad
                kept["absmax1"] = now.abs().max().clamp(min=1e-9) / 127
                kept["state1"] = (now / kept["absmax1"] + 128).round().to(torch.uint8)
                tensor.sub_(group["lr"] / kept["step"] * now)


def learned(pupil: Learner, first: int, last: int, most_rows: int = 4) -> list[float]:
    """The losses of these steps."""

    def loss_of(lesson: Lesson) -> Tensor:
        return lesson.loss(lesson.noisy * pupil.tensors["factor"] + pupil.tensors["offset"])

    return [pupil.learn(lessons().at(n), loss_of, most_rows) for n in range(first, last)]


def test_losses_come_down() -> None:
    """Of the same lessons, after others."""
    pupil = learner()
    before = learned(pupil, 0, 10)
    learned(pupil, 10, 40)
    assert sum(learned(pupil, 0, 10)) < sum(before) - 0.1


@pytest.mark.parametrize("optimiser", [torch.optim.AdamW, torch.optim.Adamax, Coarse])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(optimiser) -> None:
    """To the bit, whatever the optimiser remembers."""
    whole, begun, resumed = learner(optimiser), learner(optimiser), learner(optimiser)
    losses = learned(whole, 0, 20)
    learned(begun, 0, 7)
    state = {name: tensor.clone() for name, tensor in begun.state().items()}
    resumed.restore(state, begun.steps_done)
    assert learned(resumed, 7, 20) == losses[7:]
    assert resumed.steps_done == 20
    for name, tensor in whole.tensors.items():
        assert torch.equal(tensor, resumed.tensors[name])


def test_fewer_rows_at_a_time_learn_the_same() -> None:
    """But for rounding."""
    together, alone = learner(), learner()
    assert learned(together, 0, 10) == pytest.approx(learned(alone, 0, 10, most_rows=1))
    for name, tensor in together.tensors.items():
        torch.testing.assert_close(tensor, alone.tensors[name], atol=1e-4, rtol=1e-3)


def test_a_loss_that_is_no_number_changes_nothing() -> None:
    """The caller says so."""
    pupil = learner()
    loss = pupil.learn(lessons().at(0), lambda _: pupil.tensors["factor"].sum() * torch.nan, 4)
    assert loss != loss  # noqa: PLR0124  NaN
    assert torch.equal(pupil.tensors["factor"], torch.ones(3, 1, 1))
    assert pupil.steps_done == 0
