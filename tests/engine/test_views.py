"""Views: every needed cell is covered at every step, and a region counts as much as it should."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.views import HEALING_STEPS, View, ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size, add_at

WINDOW, STRIDE = Size(6, 6), Size(3, 3)


def at(index: int, count: int = 10) -> SamplingStep:
    """A step."""
    return SamplingStep(index, count, torch.tensor(0), 0.6, 0.8, "epsilon")


def say(views: list[View], regions: int, canvas: Size) -> Tensor:
    """How much each region counts at each cell, all its windows together: [N, H, W]."""
    total = torch.zeros(regions, *canvas)
    for view in views:
        add_at(total[view.region], view.window, view.weight)
    return total


@given(
    st.integers(1, 25),
    st.integers(1, 40),
    st.integers(0, 9),
    st.sampled_from(["overlap", "shift"]),
    st.sampled_from(["linear", "flat", "gaussian"]),
    st.booleans(),
)
def test_every_region_counts_what_its_weights_say(
    height: int, width: int, step: int, mode: str, weighting: str, wrap: bool
) -> None:
    """However many windows see a cell, a region's share of it is what was painted."""
    canvas = Size(height, width)
    generator = torch.Generator().manual_seed(height * 100 + width)
    weights = torch.rand(3, *canvas, generator=generator) * (
        torch.rand(3, *canvas, generator=generator) > 0.6
    )
    plan = ViewPlan(WindowLayout(canvas, WINDOW, STRIDE, mode, weighting, wrap), weights, seed=4)

    torch.testing.assert_close(say(plan(at(step)), 3, canvas), weights, atol=1e-5, rtol=1e-4)


def test_a_small_region_gets_one_window_with_itself_in_the_middle() -> None:
    """On a grid the same region would need four windows."""
    canvas = Size(24, 24)
    weights = torch.zeros(2, *canvas)
    weights[0, 10:14, 11:13] = 1
    weights[1] = 1 - weights[0]
    own = [v.window for v in ViewPlan(WindowLayout(canvas, WINDOW, STRIDE), weights)(at(0))]

    assert own[0] == (9, 9, 15, 15)


def test_a_region_that_the_grid_serves_as_well_stays_on_the_grid() -> None:
    """There it shares the negative prompt's evaluations with its neighbours."""
    canvas = Size(6, 24)
    weights = torch.ones(2, *canvas)
    windows = [
        [
            v.window
            for v in ViewPlan(WindowLayout(canvas, WINDOW, STRIDE), weights)(at(0))
            if v.region == r
        ]
        for r in (0, 1)
    ]

    assert windows[0] == windows[1]


def test_views_without_weight_are_not_planned() -> None:
    """A region that a window does not see costs nothing there."""
    canvas = Size(6, 24)
    weights = torch.zeros(2, *canvas)
    weights[0, :, :4], weights[1, :, 4:] = 1, 1
    views = ViewPlan(WindowLayout(canvas, WINDOW, STRIDE), weights)(at(0))

    assert [view.window.left for view in views if view.region == 0] == [0]
    assert ViewPlan(WindowLayout(canvas, WINDOW, STRIDE), weights * 0)(at(0)) == []


def test_moving_windows_move_and_the_last_ones_overlap() -> None:
    """Side by side they are as few as can be; another seed moves them elsewhere."""
    canvas = Size(6, 60)
    layout = WindowLayout(canvas, WINDOW, STRIDE, "shift", wrap=True)
    plan = ViewPlan(layout, torch.ones(1, *canvas), seed=1)
    lefts = [[view.window.left for view in plan(at(step))] for step in range(10)]

    assert all(len(starts) == 10 for starts in lefts[:-HEALING_STEPS])
    assert len({tuple(starts) for starts in lefts[:-HEALING_STEPS]}) > 3
    assert all(len(set(starts)) == 20 for starts in lefts[-HEALING_STEPS:])
    other = ViewPlan(layout, torch.ones(1, *canvas), seed=2)
    moved = [[view.window.left for view in other(at(step))] for step in range(8)]
    assert moved != lefts[:8]


def test_fixed_views_are_planned_once() -> None:
    """The same list at every step: batches that were planned by it need not be planned again."""
    canvas = Size(6, 24)
    weights = torch.ones(1, *canvas)
    plan = ViewPlan(WindowLayout(canvas, WINDOW, STRIDE), weights)

    assert plan(at(0)) is plan(at(9))


def test_a_margin_is_covered_where_it_needs_no_further_window() -> None:
    """Windows lie where the region is needed; a margin around it never adds one."""
    canvas = Size(6, 40)
    needed = torch.zeros(1, *canvas)
    needed[..., 12:20] = 1
    margin = torch.zeros(1, *canvas)
    margin[..., 8:24] = 1
    layout = WindowLayout(canvas, Size(6, 6), Size(6, 6))
    alone = ViewPlan(layout, needed)
    plan = ViewPlan(layout, margin, needed=needed, margin=4)

    assert len(plan(at(0))) == len(alone(at(0))) == 2
    assert plan.reach.sum() > alone.reach.sum()
    assert bool((plan.reach >= (needed > 0)).all())


@given(
    st.integers(6, 30),
    st.integers(6, 40),
    st.tuples(st.integers(2, 6), st.integers(2, 6)),
    st.booleans(),
)
def test_factors_count_every_cell_once(
    height: int, width: int, stride: tuple[int, int], wrap: bool
) -> None:
    """Windows less what they share: a region's share of a cell is what was painted."""
    canvas = Size(height, width)
    generator = torch.Generator().manual_seed(height * 100 + width)
    weights = torch.rand(3, *canvas, generator=generator) * (
        torch.rand(3, *canvas, generator=generator) > 0.6
    )
    layout = WindowLayout(canvas, WINDOW, Size(*stride), wrap=wrap, fusion="factors")
    plan = ViewPlan(layout, weights)

    torch.testing.assert_close(say(plan(at(0)), 3, canvas), weights, atol=1e-5, rtol=1e-4)
    assert bool((plan.reach >= (weights > 1e-5)).all())
