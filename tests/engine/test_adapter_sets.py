"""Regions that run with something laid on the model: grouped, told where they are, put in order."""

import torch
from torch import Tensor

from tapestry_backend.engine.multidiffusion import MultiDiffusion, RegionPrompt
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size

CANVAS, WINDOW = Size(8, 24), Size(8, 8)
STEP = SamplingStep(1, 4, torch.tensor(7), 0.6, 0.8, "epsilon")


def test_rows_of_different_adapter_sets_are_never_asked_together() -> None:
    """Each region gets what its own adapters say, however many rows a batch may have."""
    asked: list[tuple[int | None, int, object]] = []

    def with_adapters(number: int | None):
        def ask(inputs: Tensor, step: object, conditions: Tensor, contexts: list) -> Tensor:
            assert len(inputs) == len(conditions) == len(contexts)
            told = step.timestep if isinstance(step, SamplingStep) else step
            asked.append((number, len(inputs), told))
            value = -1.0 if number is None else float(number)
            return (
                torch.full_like(inputs, value)
                + torch.stack([c[0, 0] for c in conditions])[:, None, None, None]
            )

        return ask

    columns = torch.arange(24)[None, None, :].expand(3, 8, 24) // 8
    weights = (columns == torch.arange(3)[:, None, None]).float()
    conditions = torch.tensor([0.0, 100.0, 200.0, 0.0])[:, None, None]
    region_prompts = [
        RegionPrompt(0, 3, 1.0, 1),
        RegionPrompt(1, 3, 1.0),
        RegionPrompt(2, 3, 1.0, 0),
    ]
    for batch_size in (1, 2, 16):
        asked.clear()
        denoise = MultiDiffusion(
            with_adapters(None),
            ViewPlan(WindowLayout(CANVAS, WINDOW, Size(4, 4)), weights),
            region_prompts,
            conditions,
            batch_size,
            adapter_sets=[with_adapters(0), with_adapters(1)],
        )
        fused = denoise(torch.zeros(1, 2, *CANVAS), STEP)

        torch.testing.assert_close(fused[0, 0, 0, ::8], torch.tensor([1.0, 99.0, 200.0]))
        assert {number for number, _, _ in asked} == {None, 0, 1}
        assert all(rows <= batch_size for _, rows, _ in asked)
        assert all(int(told) == 7 for _, _, told in asked)
        assert denoise.evaluations == sum(rows for _, rows, _ in asked)


def test_a_negative_prompt_runs_with_its_regions_adapters() -> None:
    """And is shared by regions that run alike, not by others."""
    counts = {0: 0, 1: 0}

    def with_adapters(number: int):
        def ask(inputs: Tensor, *_: object) -> Tensor:
            counts[number] += len(inputs)
            return inputs

        return ask

    denoise = MultiDiffusion(
        lambda inputs, *_: inputs,
        ViewPlan(WindowLayout(WINDOW, WINDOW, WINDOW), torch.full((3, *WINDOW), 1 / 3)),
        [RegionPrompt(0, 3, 4.0, 0), RegionPrompt(1, 3, 4.0, 0), RegionPrompt(2, 3, 4.0, 1)],
        torch.zeros(4, 1, 1),
        16,
        adapter_sets=[with_adapters(0), with_adapters(1)],
    )
    denoise(torch.zeros(1, 2, *WINDOW), STEP)

    assert counts == {0: 3, 1: 2}
