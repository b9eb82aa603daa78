"""The paper's loops against the paper's equations, and against diffusers' own implementation."""

import numpy as np
import pytest
import torch

from tapestry_backend.bench.common.painter import PainterSettings
from tapestry_backend.bench.peers.authors import AuthorsLoop
from tapestry_backend.bench.peers.paper import (
    PaperLoop,
    PaperScene,
    average,
    paper_masks,
    paper_windows,
)
from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.windows import Size, Window, crop

CANVAS = Size(16, 18)
STEPS = 5
"""Two of them are bootstrapped."""


@pytest.fixture
def scene(double_model) -> PaperScene:
    """Two regions that overlap, and a corner where there is the background alone."""
    masks = np.zeros((2, CANVAS.height * 8, CANVAS.width * 8), dtype=bool)
    masks[0, :, :64] = True
    masks[1, 40:, 40:100] = True
    side = double_model.window * double_model.cell_px
    generator = torch.Generator().manual_seed(1)
    colours = torch.rand(4, 3, 1, 1, generator=generator) * 2 - 1
    return PaperScene(
        paper_masks(tuple(masks), 8),
        double_model.encode_prompts(("snow", "lava", "green grass", "")),
        double_model.encode(colours.expand(-1, -1, side, side)),
        paper_windows(CANVAS, double_model.window),
    )


def test_a_low_canvas_has_low_windows() -> None:
    """The peer must paint it too; a square window would not fit."""
    windows = paper_windows(Size(10, 20), 16)

    assert windows[0] == Window(0, 0, 10, 16)
    assert {window.size for window in windows} == {Size(10, 16)}
    assert max(window.right for window in windows) == 20


def test_the_canvas_is_the_least_squares_solution(scene: PaperScene) -> None:
    """Equation 3: no canvas is closer to all paths, weighted by their masks."""
    generator = torch.Generator().manual_seed(0)
    paths = [(v, r) for v in range(len(scene.windows)) for r in range(len(scene.masks))]
    moved = torch.randn(len(paths), 2, 16, 16, dtype=torch.float64, generator=generator)

    canvas = torch.zeros(1, 2, *CANVAS, dtype=torch.float64, requires_grad=True)
    loss = sum(
        (
            crop(scene.masks[r], scene.windows[v]) * (crop(canvas, scene.windows[v]) - path) ** 2
        ).sum()
        for path, (v, r) in zip(moved, paths, strict=True)
    )
    # The loss is a quadratic form without mixed terms, so one Newton step reaches its least.
    (slope,) = torch.autograd.grad(loss, canvas, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), canvas)
    least = (canvas - slope / curvature).detach()

    assert torch.allclose(average(moved, scene.masks, scene.windows, paths), least, atol=1e-12)


def naive(model, scene: PaperScene, noise, generator, guidance_scale: float):
    """The loop as it is written down: every prompt in every window, one after the other."""
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler.from_config(model.make_scheduler().config)
    scheduler.set_timesteps(STEPS)
    latents, negative = noise, scene.conditions[-1:]
    for i, timestep in enumerate(scheduler.timesteps):
        value, count = torch.zeros_like(latents), torch.zeros_like(latents)
        chosen = torch.randint(
            len(scene.backdrops), (len(scene.windows), len(scene.masks)), generator=generator
        )
        for v, (top, left, bottom, right) in enumerate(scene.windows):
            place = (..., slice(top, bottom), slice(left, right))
            for r, mask in enumerate(scene.masks):
                seen = latents[place]
                if r > 0 and i < STEPS * 20 / 50:
                    colour = scene.backdrops[chosen[v, r]][None]
                    plain = scheduler.add_noise(colour, noise[place], timestep[None])
                    seen = seen * mask[place] + plain * (1 - mask[place])
                without = model.predict(seen, timestep, negative)
                with_ = model.predict(seen, timestep, scene.conditions[r : r + 1])
                guided = without + guidance_scale * (with_ - without)
                value[place] += mask[place] * scheduler.step(guided, timestep, seen).prev_sample
                count[place] += mask[place]
        latents = torch.where(count > 0, value / count, value)
    return latents


@pytest.mark.parametrize("kind", [PaperLoop, AuthorsLoop])
def test_the_loop_is_the_papers_loop(double_model, scene: PaperScene, kind) -> None:
    """What is left out and what is shared changes nothing, with and without bootstrapping."""
    settings = PainterSettings(num_inference_steps=STEPS, guidance_scale=3.0)
    loop = kind(double_model, settings)
    noise = canvas_noise(3, double_model.channels, CANVAS).double()
    ours = loop.sample(scene, noise, torch.Generator().manual_seed(7))
    theirs = naive(double_model, scene, noise, torch.Generator().manual_seed(7), 3.0)

    assert torch.allclose(ours, theirs, atol=1e-9)
    other = loop.sample(scene, noise, torch.Generator().manual_seed(8))
    assert not torch.allclose(ours, other, atol=1e-3), "the colours of bootstrapping must matter"


def test_the_authors_loop_evaluates_everything(double_model, scene: PaperScene) -> None:
    """Two evaluations of every prompt in every window: what a peer's time is taken with."""
    loop = AuthorsLoop(double_model, PainterSettings(num_inference_steps=1))
    noise = canvas_noise(3, double_model.channels, CANVAS).double()
    loop.sample(scene, noise, torch.Generator())

    assert loop.evaluations == 2 * len(scene.windows) * len(scene.masks)


def test_one_prompt_is_what_diffusers_paints(bench) -> None:
    """Two implementations of the panorama's loop, one picture."""
    arguments = (128, 160, "autumn leaves", 3)

    ours, theirs = bench.paper.panorama(*arguments), bench.peer.panorama(*arguments)
    assert np.abs(ours.astype(int) - theirs).max() <= 1  # the order of sums is not the same


def test_diffusers_windows_are_the_models_and_leave_columns_out(bench) -> None:
    """The planner's gap is theirs; it is said, and the peer is only asked for what it covers."""
    assert bench.peer.uncovered_columns(128, 512) == 0
    assert bench.peer.uncovered_columns(128, 520) == 8


def test_windows_start_at_every_eighth_of_a_window() -> None:
    """64 cells at 8, as in the paper; what is left at the end has no window."""
    windows = paper_windows(Size(64, 83), 64)

    assert windows == [Window(0, left, 64, left + 64) for left in (0, 8, 16)]
    assert len(paper_windows(Size(32, 32), 16)) == 81


def test_cells_without_a_window_become_zero() -> None:
    """As in the original, whose last columns have no window at some widths."""
    canvas = average(torch.ones(1, 1, 4, 4), torch.ones(1, 4, 5), [Window(0, 0, 4, 4)], [(0, 0)])

    assert canvas[0, 0, 0].tolist() == [1, 1, 1, 1, 0]


def test_masks_come_by_nearest_neighbour() -> None:
    """A stroke of four pixels vanishes or becomes a whole cell; the background is the rest."""
    stroke, box = np.zeros((2, 16, 32), dtype=bool)
    stroke[:, 2:6] = True
    box[:, 14:20] = True
    masks = paper_masks((stroke, box), 8)

    assert masks[1, 0].tolist() == [0, 0, 0, 0]
    assert masks[2, 0].tolist() == [0, 0, 1, 0]
    assert masks[0, 0].tolist() == [1, 1, 0, 1]


def test_noise_for_each_window_blurs(model) -> None:
    """The loop with a few-step sampler is the failing control of the sharpness measure."""
    from diffusers import LCMScheduler

    from tapestry_backend.bench.metrics.detail import detail_energy

    prompt, settings = "green grass", PainterSettings()
    loop = PaperLoop(model, settings, LCMScheduler, 4)
    wide = loop.panorama(128, 256, prompt, 0)[:, 64:-64]
    single = loop.panorama(128, 128, prompt, 0)

    assert detail_energy(wide[16:-16]) < 0.8 * detail_energy(single[16:-16, 16:-16])
