"""Composition: when a draft is made, how large it is, and what of it is preserved."""

import pytest
import torch
from torch.nn import functional

from tapestry_backend.engine.composition import (
    STRUCTURED,
    PreserveComposition,
    area_mean,
    composed,
    draft_size,
    drawable,
    structure,
    structured,
)
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.windows import Size
from tests.engine.metal import Metal


def at(index: int) -> SamplingStep:
    """A step out of ten."""
    return SamplingStep(index, 10, torch.tensor(0), 0.6, 0.8, "epsilon")


@pytest.mark.parametrize("canvas", [Size(16, 16), Size(16, 200), Size(20, 64)])
def test_windows_side_by_side_need_no_draft(canvas: Size) -> None:
    """They show one scene by themselves."""
    assert draft_size(canvas, Size(16, 16)) is None


@pytest.mark.parametrize("canvas", [Size(32, 32), Size(48, 48), Size(32, 96), Size(96, 16)])
def test_a_draft_has_the_canvas_proportions_and_the_models_area(canvas: Size) -> None:
    """As near as whole cells allow."""
    size = draft_size(canvas, Size(16, 16))

    assert size is not None
    assert size.height * size.width == pytest.approx(256, rel=0.12)
    assert size.height / size.width == pytest.approx(canvas.height / canvas.width, rel=0.12)


def test_a_narrow_canvas_gets_a_draft_of_its_windows_area() -> None:
    """What is hardly higher than its own window is painted at once, whatever the square's side."""
    size = draft_size(Size(64, 12), Size(22, 12))

    assert draft_size(Size(26, 12), Size(22, 12)) is None
    assert size is not None
    assert size.height * size.width == pytest.approx(22 * 12, rel=0.12)


def test_large_shapes_are_preserved_and_small_ones_are_free() -> None:
    """At first the low frequencies are the draft's, detail stays the clean estimate's own."""
    draft, clean = torch.randn(1, 3, 8, 8), torch.randn(1, 3, 32, 32)
    enlarged = functional.interpolate(draft, (32, 32), mode="nearest")
    steered = PreserveComposition(enlarged, Size(8, 8), 0.0, 0.5, torch.ones(32, 32))(clean, at(0))
    low = functional.adaptive_avg_pool2d(steered, (8, 8))
    before = functional.adaptive_avg_pool2d(clean, (8, 8))

    assert float((low - draft).abs().mean()) < 0.5 * float((before - draft).abs().mean())
    rough = functional.interpolate(steered - clean, scale_factor=0.25, mode="area")
    smooth = functional.interpolate(rough, scale_factor=4, mode="bilinear")
    assert float((steered - clean - smooth).abs().mean()) < 0.5 * float(
        (steered - clean).abs().mean()
    )


def test_the_hold_falls_to_nothing() -> None:
    """Whole where it begins, then less at every step, and exactly nothing where it ends."""
    draft, clean = torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32)
    preserve = PreserveComposition(draft, Size(8, 8), 0.3, 0.7, torch.ones(32, 32))
    left = [float(preserve(clean, at(index)).mean()) for index in range(3, 10)]

    assert left[0] == pytest.approx(0)
    assert left == sorted(left)
    assert 0 < left[1] < left[3] < 1
    assert preserve(clean, at(7)) is clean


def test_a_canvas_that_agrees_is_not_changed() -> None:
    """There is nothing to draw towards the draft."""
    clean = torch.randn(1, 3, 32, 48)

    preserve = PreserveComposition(clean, Size(8, 12), 0.0, 1.0, torch.ones(32, 48))
    torch.testing.assert_close(preserve(clean, at(0)), clean)


def test_only_what_is_higher_than_a_window_is_composed() -> None:
    """A small region has its place; nothing is preserved there, nor beside it."""
    weights = torch.zeros(3, 32, 48)
    weights[0, 4:20, 4:20] = 1
    weights[1, :, 40:] = 1
    weights[2] = 1 - weights[0] - weights[1]
    each = composed(weights, 16, Size(8, 12))
    where = each.sum(dim=0)
    steered = PreserveComposition(torch.zeros(1, 3, 32, 48), Size(8, 12), 0.0, 1.0, where)
    clean = torch.ones(1, 3, 32, 48)

    assert torch.equal(each[0], torch.zeros(32, 48))
    assert float(where[:24, :24].max()) == 0
    assert float(where[:, 36:44].max()) == 0
    assert float(where[24:, :36].min()) == float(where[:, 24:36].min()) == 1
    assert float(where[:, 44:].min()) == 1
    assert bool((steered(clean, at(0))[..., 4:20, 4:20] == 1).all())
    assert bool((steered(clean, at(0))[..., 30:, :36] == 0).all())
    assert float(composed(weights[:1], 16, Size(8, 12)).max()) == 0


def scene_with_horizon() -> torch.Tensor:
    """A bright sky over a dark, grainy ground."""
    picture = torch.full((1, 3, 64, 64), 0.8)
    picture[..., 36:, :] = 0.3
    return picture + 0.1 * torch.randn(1, 3, 64, 64)


def test_a_scene_has_structure_and_a_texture_has_none() -> None:
    """However strong the texture; nor has a single colour, or a scene where it does not count."""
    everywhere = torch.ones(64, 64)
    checks = (torch.arange(64)[:, None] // 4 + torch.arange(64) // 4) % 2
    ground = torch.zeros(64, 64)
    ground[40:] = 1

    assert structure(scene_with_horizon(), everywhere) > 2 * STRUCTURED
    assert structure(checks.float().expand(1, 3, 64, 64), everywhere) < STRUCTURED
    assert structure(torch.rand(1, 3, 64, 64), everywhere) < STRUCTURED
    assert structure(torch.full((1, 3, 64, 64), 0.4), everywhere) == 0
    assert structure(scene_with_horizon(), ground) < STRUCTURED
    assert structure(scene_with_horizon(), torch.zeros(64, 64)) == 0


def test_a_draft_decides_nothing_at_its_outlines() -> None:
    """A long stroke as wide as they are, and what lies beside it: there windows paint alone."""
    weights = torch.zeros(2, 32, 48)
    weights[0, :, 18:23] = 1
    weights[1] = 1 - weights[0]

    stroke, around = composed(weights, 16, Size(8, 12))
    assert float(stroke.max()) == 0
    assert float(around[:, 12:28].max()) == 0
    assert float(around[:, :12].min()) == float(around[:, 28:].min()) == 1


def test_two_colours_of_two_regions_are_no_scene() -> None:
    """A draft is preserved by those regions alone that show more than a texture in it."""
    weights = torch.zeros(2, 16, 16)
    weights[0, :, :8], weights[1, :, 8:] = 1, 1
    plain = torch.full((1, 3, 64, 64), 0.3) + 0.02 * torch.randn(1, 3, 64, 64)
    plain[..., 32:] += 0.5
    scene = plain.clone()
    scene[..., :32] = scene_with_horizon()[..., :32]

    assert structure(plain, torch.ones(64, 64)) > STRUCTURED
    assert float(structured(plain, weights).max()) == 0
    assert torch.equal(structured(scene, weights), weights[0])


def test_a_draft_leaves_out_what_has_no_core_in_it() -> None:
    """The others have its cells; where nothing else is, the background."""
    stroke = torch.zeros(3, 32, 48)
    stroke[0, :, 18:23] = 1
    stroke[1, 8:, 23:] = 1
    stroke[2] = 1 - stroke[0] - stroke[1]
    crumbs = torch.zeros(3, 32, 48)
    crumbs[0, :, ::2], crumbs[1, :, 1::2] = 1, 1

    drawn = drawable(stroke, Size(8, 12))
    assert torch.equal(drawn[0], torch.zeros(8, 12))
    assert torch.equal(drawn[1:, 2:, 5], torch.tensor([[1.0], [0.0]]).expand(2, 6))
    assert torch.equal(drawn[2, :, 4], torch.ones(8))
    assert torch.equal(drawable(crumbs, Size(8, 12))[2], torch.ones(8, 12))
    torch.testing.assert_close(drawn.sum(dim=0), torch.ones(8, 12))


@pytest.mark.parametrize("size", [Size(8, 8), Size(5, 7), Size(30, 43), Size(40, 60)])
def test_areas_are_averaged_as_adaptive_pooling_does(size: Size) -> None:
    """Also where a device knows no sizes that do not divide, as Apple's do."""
    values = torch.randn(1, 4, 40, 60, generator=torch.Generator().manual_seed(0))
    wanted = functional.adaptive_avg_pool2d(values, tuple(size))
    torch.testing.assert_close(area_mean(values, size), wanted)
    torch.testing.assert_close(area_mean(Metal.of(values), size).cpu(), wanted)


def test_a_canvas_that_no_draft_divides_is_held_on_an_apple_gpu() -> None:
    """As on the processor."""
    draft, clean, where = torch.randn(1, 3, 30, 42), torch.randn(1, 3, 30, 42), torch.ones(30, 42)
    wanted = PreserveComposition(draft, Size(11, 13), 0.0, 0.5, where)(clean, at(0))
    there = [Metal.of(values) for values in (draft, clean, where)]
    found = PreserveComposition(there[0], Size(11, 13), 0.0, 0.5, there[2])(there[1], at(0))
    torch.testing.assert_close(found.cpu(), wanted)
