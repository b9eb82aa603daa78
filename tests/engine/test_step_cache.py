"""What rows remember from step to step: each its own, no longer than it is of use."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tapestry_backend.engine.multidiffusion import (
    Bootstrapping,
    MultiDiffusion,
    RegionPrompt,
    WindowContext,
)
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.step_cache import RowMemory, StepCache
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size

CANVAS, WINDOW = Size(8, 12), Size(8, 8)
LAYOUT = WindowLayout(CANVAS, WINDOW, Size(4, 4))
PROMPTS = [RegionPrompt(0, 2, 3.0), RegionPrompt(1, 2, 3.0)]
CONDITIONS = torch.tensor([1.0, -1.0, 0.0])[:, None, None]
"""What the two regions want is opposite; the negative prompt wants nothing."""


def step(index: int) -> SamplingStep:
    """One of four."""
    return SamplingStep(index, 4, torch.tensor(7), 0.6, 0.8, "epsilon")


class Model:
    """Wants what a row's prompt says; the second time it gives what the row remembers of that."""

    def __init__(self, *, has_room_to_remember: bool = True) -> None:
        self._has_room = has_room_to_remember
        self.asked: list[list[RowMemory | None]] = []

    def __call__(
        self, inputs: Tensor, _time: object, conditions: Tensor, contexts: Sequence[WindowContext]
    ) -> Tensor:
        memories = [context.memory for context in contexts]
        if memories[0] is not None and not self._has_room:
            raise torch.OutOfMemoryError("a test's card is full")
        self.asked.append(memories)
        made = torch.ones_like(inputs) * conditions[:, :, :1, None]
        for row, memory in enumerate(memories):
            if memory is None:
                continue
            if memory.rest is not None:
                made[row] = memory.rest
                memory.cache.left_out += 1
            memory.remember(made[row], made[row])
        return made


def shared() -> Tensor:
    """The weights of two regions that share every cell, and so have both windows in common."""
    return torch.stack([torch.full(CANVAS, 0.75), torch.full(CANVAS, 0.25)])


FUSED = 3 * 0.75 - 3 * 0.25
"""Of what both want, guided."""


def test_what_regions_and_windows_remember_does_not_mix() -> None:
    """Opposite regions stay opposite where all that is given is remembered."""
    model, cache = Model(), StepCache(0.1)
    views = ViewPlan(LAYOUT, shared())
    denoise = MultiDiffusion(model, views, PROMPTS, CONDITIONS, 16, step_cache=cache)

    first = denoise(torch.zeros(1, 2, *CANVAS), step(0))
    evaluated = denoise.evaluations
    second = denoise(torch.zeros(1, 2, *CANVAS), step(1))

    assert torch.equal(first, second)
    torch.testing.assert_close(first, torch.full_like(first, FUSED))
    assert evaluated == 6  # two regions and a negative prompt, in two windows
    assert denoise.left_out == 6
    assert denoise.evaluations == 6
    memories = [memory for memories in model.asked for memory in memories]
    assert len(set(map(id, memories))) == 6


def test_rows_keep_their_memories_in_smaller_batches() -> None:
    """However they are put together."""
    model, cache = Model(), StepCache(0.1)
    denoise = MultiDiffusion(
        model, ViewPlan(LAYOUT, shared()), PROMPTS, CONDITIONS, 16, step_cache=cache
    )
    first = denoise(torch.zeros(1, 2, *CANVAS), step(0))
    denoise.batch_size = 2

    assert torch.equal(denoise(torch.zeros(1, 2, *CANVAS), step(1)), first)
    assert denoise.left_out == 6


def test_negative_prompts_are_remembered_over_steps_without_them() -> None:
    """Where guidance is held, they are asked again later."""
    model, cache = Model(), StepCache(0.1)
    denoise = MultiDiffusion(
        model,
        ViewPlan(LAYOUT, shared()),
        PROMPTS,
        CONDITIONS,
        16,
        guidance_every=2,
        step_cache=cache,
    )
    for index in range(4):
        denoise(torch.zeros(1, 2, *CANVAS), step(index))

    assert [len(memories) for memories in model.asked] == [6, 6, 4, 6]
    assert all(memory.rest is not None for memory in model.asked[-1])
    assert denoise.left_out == 6 + 4 + 6


def test_what_regions_see_at_first_is_forgotten_afterwards() -> None:
    """A region that saw nothing but itself sees something else from then on."""
    model, cache = Model(), StepCache(0.1)
    inside = torch.arange(CANVAS.width).expand(2, *CANVAS) < 6
    denoise = MultiDiffusion(
        model,
        ViewPlan(LAYOUT, shared()),
        PROMPTS,
        CONDITIONS,
        16,
        bootstrapping=Bootstrapping(inside, torch.zeros(1, 2, *CANVAS), 0.5),
        step_cache=cache,
    )
    for index in range(4):
        denoise(torch.zeros(1, 2, *CANVAS), step(index))

    early, _, late, _ = (set(map(id, memories)) for memories in model.asked)
    assert not early & late
    assert len(cache._memories) == len(late)


@pytest.mark.parametrize("rows", [6, 1])
def test_memories_go_first_where_memory_is_short(rows: int) -> None:
    """The same rows are tried again without; one that is alone, too."""
    model, cache = Model(has_room_to_remember=False), StepCache(0.1)
    denoise = MultiDiffusion(
        model, ViewPlan(LAYOUT, shared()), PROMPTS, CONDITIONS, rows, step_cache=cache
    )
    made = denoise(torch.zeros(1, 2, *CANVAS), step(0))

    assert cache.gave_up
    torch.testing.assert_close(made, torch.full_like(made, FUSED))
    assert denoise.left_out == 0
    assert denoise.evaluations == 6
    assert denoise.batch_size == rows
    assert all(memories == [None] * rows for memories in model.asked)


def test_a_change_is_counted_beside_what_was_there() -> None:
    """As a share, whatever the numbers' size; without anything before it is without end."""
    memory = RowMemory(StepCache(0.1))
    first = torch.tensor([[1.0, -3.0]], dtype=torch.float16)

    assert memory.change(first) == torch.inf
    memory.remember(first, first)
    assert memory.change(first) == 0
    torch.testing.assert_close(memory.change(first * 1.5), torch.tensor(0.5))
