"""Coherence: windows take on the look of one of them, region by region, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tapestry_backend.engine import style_groups
from tapestry_backend.engine.coherence import Coherence
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.perceptual_coherence import PerceptualCoherence
from tapestry_backend.engine.windows import Size, Window, crop, plan_windows

CANVAS = Size(16, 96)
WINDOW = Size(16, 16)
STRIDE = Size(8, 8)
ONE_REGION = torch.ones(1, *CANVAS)
MODEL = slice(40, 56)
"""The columns of the window in the middle."""


def step_at(index: int = 0, count: int = 20) -> SamplingStep:
    """A step of a run."""
    return SamplingStep(index, count, torch.tensor(0), 0.7, 0.7, "epsilon")


LAST = step_at(19)


def windows(canvas: Size = CANVAS, *, wrap: bool = False) -> list[Window]:
    """Half a window apart."""
    return plan_windows(canvas, WINDOW, STRIDE, wrap=wrap)


def drifting_latents(canvas: Size = CANVAS) -> Tensor:
    """Latents whose mean, contrast and mixture of channels drift from left to right."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 4, *canvas, generator=generator)
    along = torch.linspace(-1, 1, canvas.width)
    mixed = noise + along * noise.roll(1, dims=1)
    return mixed * (1 + 0.5 * along) + along * torch.tensor([2.0, -1, 0.5, 0])[:, None, None]


def statistics(latents: Tensor, columns: slice) -> Tensor:
    """Means, covariances and fourth moments of some columns."""
    cells = latents[0, ..., columns].flatten(1)
    return torch.cat([cells.mean(dim=1), torch.cov(cells).flatten(), (cells**4).mean(dim=1) / 10])


def spread(latents: Tensor) -> float:
    """How far the statistics of windows side by side lie apart."""
    looks = torch.stack(
        [statistics(latents, slice(left, left + 16)) for left in range(0, latents.shape[-1], 16)]
    )
    return float(looks.std(dim=0).mean())


def test_the_spread_of_looks_falls() -> None:
    """Means, covariances and histograms draw near; after the last step by two thirds at least."""
    latents = drifting_latents()
    coherence = Coherence(windows(), ONE_REGION, 1.0)

    assert spread(coherence(latents, step_at())) < 0.7 * spread(latents)
    assert spread(coherence(latents, LAST)) < 0.35 * spread(latents)


def test_the_anchor_stays_as_it_is() -> None:
    """To the last bit, wherever it is; everything beyond moves."""
    latents = drifting_latents()
    for anchor, kept in ((None, MODEL), (50, MODEL), (0, slice(0, 16)), (95, slice(80, 96))):
        moved = Coherence(windows(), ONE_REGION, 1.0, anchor=anchor)(latents, LAST) - latents

        assert float(moved[..., kept].abs().max()) == 0
        moved[..., kept] = 1
        assert float(moved.abs().amax(dim=(0, 1, 2)).min()) > 0


def test_no_strength_changes_nothing() -> None:
    """Off is off, to the last bit."""
    latents = drifting_latents()

    assert torch.equal(Coherence(windows(), ONE_REGION, 0.0)(latents, LAST), latents)


def test_half_the_strength_goes_half_the_way() -> None:
    """At each step."""
    latents = drifting_latents()
    half, whole = (Coherence(windows(), ONE_REGION, s)(latents, LAST) for s in (0.5, 1.0))

    assert torch.allclose(half - latents, (whole - latents) / 2, atol=1e-5)


def test_the_pull_begins_softly_beside_the_anchor() -> None:
    """A plain step of brightness beside the anchor becomes a ramp, not a line."""
    latents = torch.zeros(1, 4, *CANVAS)
    latents[..., 56:] = 1.0
    latents += torch.linspace(-0.1, 0.1, 16)[:, None]  # quantiles need something to order

    moved = Coherence(windows(), ONE_REGION, 1.0)(latents, LAST) - latents
    steps = moved[0, 0, 8, 54:64].diff().abs()

    assert float(moved[0, 0, 8, 64]) < -0.8
    assert float(steps.max()) < 0.45


def test_regions_keep_their_own_looks() -> None:
    """Two regions, light and dark, in every window: each becomes even, and they stay apart."""
    dark = torch.zeros(CANVAS)
    dark[:8] = 1
    regions = torch.stack([dark, 1 - dark])
    latents = drifting_latents() * 0.3 - 4 * dark + 4 * (1 - dark)

    even = Coherence(windows(), regions, 1.0)(latents, LAST)

    for rows, mean in ((slice(0, 8), -4), (slice(8, 16), 4)):
        before, after = latents[:, :1, rows], even[:, :1, rows]
        assert spread(after) < 0.5 * spread(before)
        assert abs(float(after.mean()) - mean) < 0.2
    # As one region, the same canvas would mix: the check above is worth something.
    rolled = torch.where(torch.arange(96) < 48, latents, latents.flip(-2))
    rolled[:, :, :12, :40] = 4
    mixed = Coherence(windows(), ONE_REGION, 1.0)(rolled, LAST)
    assert float((mixed - rolled)[:, :, :12, :40].min()) < -4


def test_a_region_that_the_anchor_does_not_show_keeps_to_itself() -> None:
    """Its own nearest window is its model, and nothing of the others' look comes into it."""
    left = (torch.arange(96) < 36).float().expand(CANVAS)
    regions = torch.stack([left, 1 - left])
    latents = drifting_latents() * 0.3 - 6 * left + 6 * (1 - left)

    even = Coherence(windows(), regions, 1.0)(latents, LAST)

    assert float(even[..., :36].max()) < -2
    assert float(even[..., 36:].min()) > 2
    assert torch.equal(even[..., 24:36], latents[..., 24:36])  # its part of that window


def test_a_trace_of_a_region_is_left_alone() -> None:
    """A handful of cells has no look."""
    trace = torch.zeros(CANVAS)
    trace[4:6, 10:14] = 1
    latents = drifting_latents()

    moved = Coherence(windows(), torch.stack([trace, 1 - trace]), 1.0)(latents, LAST) - latents

    assert float(moved[..., 4:6, 10:14].abs().max()) == 0
    assert float(moved.abs().max()) > 0


@pytest.mark.parametrize(("left", "width", "needed"), [(44, 16, False), (41, 17, True)])
def test_what_is_no_wider_than_a_window_is_left_alone(
    left: int, width: int, *, needed: bool
) -> None:
    """One window paints it as one piece, wherever those of the grid lie."""
    columns = torch.arange(96)
    region = ((columns >= left) & (columns < left + width)).float().expand(1, *CANVAS)
    latents = drifting_latents()
    coherence = Coherence(windows(), region, 1.0)

    assert coherence.is_needed == needed
    assert torch.equal(coherence(latents, LAST), latents) != needed


def test_a_region_across_the_edge_of_a_canvas_that_wraps_is_one_piece() -> None:
    """It is as wide as it is the shorter way around."""
    columns = torch.arange(96)
    region = ((columns < 6) | (columns >= 88)).float().expand(1, *CANVAS)

    assert not Coherence(windows(wrap=True), region, 1.0, wrap=True).is_needed
    assert Coherence(windows(), region, 1.0).is_needed


def test_windows_are_compared_together_as_each_alone(monkeypatch) -> None:
    """How many at once is no matter of numbers."""
    latents = drifting_latents()
    together = Coherence(windows(), ONE_REGION, 1.0)(latents, LAST)

    for count in (1, 4):
        monkeypatch.setattr(style_groups, "_TOGETHER", count)
        assert torch.equal(Coherence(windows(), ONE_REGION, 1.0)(latents, LAST), together)


def test_outlines_belong_to_no_look() -> None:
    """Its cells show something of both sides: they do not count and do not move."""
    dark = torch.zeros(CANVAS)
    dark[:8] = 1
    latents = drifting_latents()
    strange = latents.clone()
    strange[..., 7:9, :] += 50  # on the outline
    coherence = Coherence(windows(), torch.stack([dark, 1 - dark]), 1.0)

    plain, beside = coherence(latents, LAST), coherence(strange, LAST)

    assert torch.equal(beside[..., 7:9, :], strange[..., 7:9, :])
    assert torch.equal(beside[..., :7, :], plain[..., :7, :])
    assert not torch.equal(plain[..., :7, :], latents[..., :7, :])


def test_rows_do_not_follow_each_other() -> None:
    """Sky above ground: each row of windows has its own model, at the same column."""
    canvas = Size(40, 96)
    latents = drifting_latents(canvas) * 0.1
    latents[..., :20, :] += 5
    latents[..., 20:, :] -= 5
    grid = plan_windows(canvas, WINDOW, WINDOW)

    even = Coherence(grid, torch.ones(1, *canvas), 1.0)(latents, LAST)

    assert float(even[..., :12, :].min()) > 3
    assert float(even[..., 28:, :].max()) < -3


def test_a_canvas_that_wraps_may_begin_anywhere() -> None:
    """Turned around with its windows and its anchor, it gives the same, turned around."""
    latents = drifting_latents()
    grid = windows(wrap=True)
    turned_grid = [
        Window(w.top, (w.left + 24) % 96, w.bottom, (w.left + 24) % 96 + 16) for w in grid
    ]
    even = Coherence(grid, ONE_REGION, 1.0, anchor=80, wrap=True)(latents, LAST)
    turned = Coherence(turned_grid, ONE_REGION, 1.0, anchor=8, wrap=True)(
        latents.roll(24, dims=-1), LAST
    )

    assert torch.allclose(turned, even.roll(24, dims=-1), atol=1e-5)


def test_type_is_kept_and_nothing_is_written_over() -> None:
    """Double precision stays, and what was given stays as it was."""
    latents = drifting_latents().double()
    before = latents.clone()

    even = Coherence(windows(), ONE_REGION, 1.0)(latents, LAST)

    assert even.dtype == torch.float64
    assert torch.equal(latents, before)


def perceptual(regions: Tensor = ONE_REGION, strength: float = 1.0) -> PerceptualCoherence:
    """With the plainest of distances, and a decoder that doubles."""
    return PerceptualCoherence(
        windows(),
        regions,
        strength,
        decode=lambda latents: 2 * latents,
        distance=lambda a, b: ((a - b) ** 2).sum() / 400,
    )


def test_the_perceptual_gradient_leads_to_the_anchor() -> None:
    """Cell by cell, for the first steps, less at each; the anchor stays."""
    latents = drifting_latents()
    steer = perceptual()

    with torch.no_grad():
        first, second = steer(latents, step_at(0)), steer(latents, step_at(1))
    model = crop(latents, Window(0, 40, 16, 56))
    before, after = ((x[..., 80:96] - model).square().mean() for x in (latents, first))

    assert float(after) < 0.7 * float(before)
    assert torch.equal(first[..., MODEL], latents[..., MODEL])
    assert torch.allclose(second - latents, 0.95 * (first - latents), atol=1e-5)
    assert torch.equal(steer(latents, step_at(4)), latents)
    assert torch.equal(perceptual(strength=0.0)(latents, step_at(0)), latents)


def test_the_perceptual_gradient_compares_a_region_with_itself() -> None:
    """Where the anchor shows another region at the same place, nothing is moved."""
    upper = torch.zeros(CANVAS)
    upper[:8] = 1
    upper[:, 72:] = 1
    regions = torch.stack([upper, 1 - upper])
    latents = drifting_latents()

    moved = perceptual(regions)(latents, step_at(0)) - latents

    assert float(moved[..., 8:, 72:].abs().max()) == 0
    assert float(moved[..., :8, 72:].abs().min(dim=-1).values.max()) > 0


@pytest.mark.parametrize("count", [1, 2])
def test_very_short_runs_are_steered_too(count: int) -> None:
    """The only step of a run is its last."""
    latents = drifting_latents()
    coherence = Coherence(windows(), ONE_REGION, 1.0)

    assert spread(coherence(latents, step_at(count - 1, count))) < 0.35 * spread(latents)


def test_nothing_leaves_the_device() -> None:
    """Latents stay where they are: a device that gives nothing back is enough for every step."""
    coherence = Coherence(windows(), ONE_REGION, 0.5)
    for step in (step_at(0), LAST):
        found = coherence(torch.empty(1, 4, *CANVAS, device="meta"), step)
        assert found.device.type == "meta"
        assert found.shape == (1, 4, *CANVAS)
