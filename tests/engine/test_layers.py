"""Layers: a tight region's latents go on beyond its outline, and the canvas is what all make."""

import torch

from tapestry_backend.engine.layers import continued, dilated, make_layers

H, W = 6, 20


def two_regions(middle: int = 8) -> torch.Tensor:
    """Left and right half of a canvas, as weights [2, H, W]."""
    weights = torch.zeros(2, H, W)
    weights[0, :, :middle], weights[1, :, middle:] = 1, 1
    return weights


def test_regions_that_share_everything_have_one_row_and_their_own_weights() -> None:
    """Without a region that is alone, nothing is different from plain weights."""
    weights = torch.rand(3, H, W).softmax(dim=0)
    layers = make_layers(weights, [False, False, False])

    assert layers.rows == (0, 0, 0)
    assert layers.within is weights
    latents = torch.randn(1, 4, H, W)
    assert layers.fused(latents) is latents
    assert layers.spread(latents) is latents


def test_a_margin_belongs_to_a_region_and_to_what_is_beside_it() -> None:
    """Both sides of an outline go on beyond it; the picture's own shares stay what they were."""
    layers = make_layers(two_regions(), [True, False], margin=3)

    assert layers.rows == (1, 0)
    assert bool(layers.inside[1, :, :11].all())
    assert not bool(layers.inside[1, :, 11:].any())
    assert bool(layers.inside[0, :, 5:].all())
    assert not bool(layers.inside[0, :, :5].any())
    assert torch.equal(layers.shares[[1, 0]], two_regions())
    assert torch.equal(layers.within > 0, layers.inside[[1, 0]])


def test_a_rows_regions_share_it_wholly() -> None:
    """Where a row counts, what its regions want of it sums to one, in the margin as well."""
    weights = torch.zeros(4, H, W)
    weights[0, :, 6:9] = 0.5
    weights[1, :, :12], weights[2, :, 8:] = 1, 1
    weights[3, 2:4] = 0.7
    weights /= weights.sum(dim=0)
    layers = make_layers(weights, [True, False, False, False], margin=2)

    assert layers.rows == (1, 0, 0, 0)
    torch.testing.assert_close(layers.shares.sum(dim=0), torch.ones(H, W))
    torch.testing.assert_close(layers.within[1:].sum(dim=0), layers.inside[0].float())
    torch.testing.assert_close(layers.within[0], layers.inside[1].float())


def test_each_row_shows_the_fused_canvas_around_its_own() -> None:
    """Inside it keeps what it has; outside it sees what all rows together make."""
    weights = two_regions()
    weights[:, :, 8] = 0.5
    layers = make_layers(weights, [True, False], margin=1)
    rows = torch.stack([torch.full((2, H, W), 1.0), torch.full((2, H, W), 3.0)])
    spread = layers.spread(rows)

    fused = layers.fused(rows)
    assert fused[0, 0, 0].tolist() == [3.0] * 8 + [2.0] + [1.0] * 11
    assert torch.equal(layers.fused(spread), fused)
    assert bool((spread[1][:, :, :10] == 3).all())
    assert bool((spread[1][:, :, 10:] == 1).all())
    assert bool((spread[0][:, :, 7:] == 1).all())
    assert bool((spread[0][:, :, :7] == 3).all())


def test_a_margin_wraps_with_the_canvas() -> None:
    """On a canvas whose edges continue each other, a margin does so, too."""
    weights = two_regions(2)
    wrapped = make_layers(weights, [True, False], margin=2, wrap=True)
    plain = make_layers(weights, [True, False], margin=2)

    assert bool(wrapped.inside[1, :, -2:].all())
    assert not bool(plain.inside[1, :, -2:].any())
    assert torch.equal(dilated(weights, 0), weights)


def test_what_no_window_reaches_is_not_a_regions_own() -> None:
    """There its row shows the canvas that is fused."""
    layers = make_layers(two_regions(), [True, False], margin=3)
    reach = torch.ones(2, H, W, dtype=torch.bool)
    reach[0, :, 9:] = False
    reached = layers.reached(reach)

    assert bool(reached.inside[1, :, :9].all())
    assert not bool(reached.inside[1, :, 9:].any())
    assert torch.equal(reached.inside[0], layers.inside[0])


def test_what_is_carried_on_goes_around_a_canvas_that_wraps() -> None:
    """A margin over its edge is one like any other."""
    latents = torch.zeros(1, 1, 8)
    latents[..., :3] = 5
    inside = latents[0] > 0

    assert continued(latents, inside, 2, wrap=True)[0, 0].tolist() == [5, 5, 5, 5, 5, 0, 5, 5]


def test_what_is_inside_is_carried_on_ring_by_ring() -> None:
    """A margin without latents of its own takes those beside it; the rest stays as it is."""
    latents = torch.zeros(1, 1, 8)
    latents[..., :3] = 5
    inside = torch.zeros(1, 8, dtype=torch.bool)
    inside[:, :3] = True

    assert continued(latents, inside, 2)[0, 0].tolist() == [5, 5, 5, 5, 5, 0, 0, 0]


def test_outlines_lie_where_several_rows_meet() -> None:
    """And in the cells beside, also over an edge that wraps; one row alone has none."""
    weights = torch.zeros(2, 4, 12)
    weights[0, :, :5], weights[0, :, 5] = 1, 0.5
    weights[1] = 1 - weights[0]
    layers = make_layers(weights, [True, False], margin=0)

    assert layers.outlines()[0].nonzero().flatten().tolist() == [4, 5, 6]
    turned = make_layers(weights.roll(-5, -1), [True, False], margin=0)
    assert turned.outlines(wrap=True)[0].nonzero().flatten().tolist() == [0, 1, 11]
    assert not bool(make_layers(weights, [False, False]).outlines().any())
