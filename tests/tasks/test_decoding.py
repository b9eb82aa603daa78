"""From latents to pixels: a picture that wraps has no beginning, one window is the model's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.engine import extension
from tapestry_backend.engine.extension import continue_edges, match_colours, preserve_cells_until
from tapestry_backend.engine.layers import Layers, make_layers
from tapestry_backend.engine.regions import PaintedMask, PixelShare, occlude, occluded
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks import decoding
from tapestry_backend.tasks.canvas_source import CanvasSource
from tapestry_backend.tasks.decoding import compose_layers, decode_beside, decode_canvas
from tapestry_protocol.messages import Request
from tests.models.tiny_checkpoints import save_checkpoint


def latents(model, height: int, width: int) -> torch.Tensor:
    """Latents of a picture of coarse random colours."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height, width, generator=generator) * 2 - 1
    return model.encode(coarse.repeat_interleave(8, dim=-1).repeat_interleave(8, dim=-2))


@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_one_window_is_what_a_model_with_norms_decodes(tmp_path, size: tuple[int, int]) -> None:
    """The very picture of the model's own pipeline, and of its pipeline alone."""
    folder = save_checkpoint(tmp_path / "checkpoint")
    model = ModelCache(Catalogue([str(folder)]), "cpu").load(str(folder))
    one = torch.randn(1, model.channels, *size, generator=torch.Generator().manual_seed(0))

    decoded = decode_canvas(model, one, wrap=False)
    continued = decode_canvas(model, one, wrap=False, continued=True)

    assert not model.decodes_locally
    assert torch.equal(decoded, (model.decode(one) / 2 + 0.5).clamp(0, 1))
    assert not torch.equal(continued, decoded)


def test_one_window_has_no_frame(model) -> None:
    """The decoder sees the picture go on beyond its edges, which moves nothing else."""
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    one = model.encode(torch.nn.functional.interpolate(coarse, (128, 128), mode="bilinear"))
    plain = (model.decode(one) / 2 + 0.5).clamp(0, 1)
    decoded = decode_canvas(model, one, wrap=False)

    assert _frame(decoded) < min(1.2, _frame(plain))
    inner = (..., slice(48, -48), slice(48, -48))
    assert float((decoded[inner] - plain[inner]).abs().max()) < 0.5 / 255


def _frame(pixels: torch.Tensor) -> float:
    """Change from the outermost pixels to the next ones, over that elsewhere."""
    across, down = pixels.diff(dim=-1).abs(), pixels.diff(dim=-2).abs()
    edge = torch.stack([across[..., 0], across[..., -1], down[..., 0, :], down[..., -1, :]]).mean()
    return float(edge / (across[..., 1:-1].mean() + down[..., 1:-1, :].mean()) * 2)


def test_a_picture_that_wraps_may_begin_anywhere(model) -> None:
    """Turned around, it is the same picture turned around: to less than a level of eight bits."""
    canvas = latents(model, 16, 40)

    decoded = decode_canvas(model, canvas, wrap=True)
    turned = decode_canvas(model, canvas.roll(13, dims=-1), wrap=True)

    difference = (turned.roll(-13 * model.cell_px, dims=-1) - decoded).abs()
    assert float(difference.max()) < 0.5 / 255


def test_a_picture_that_does_not_wrap_would_show_where_it_begins(model) -> None:
    """The check above is worth something."""
    canvas = latents(model, 16, 40)

    decoded = decode_canvas(model, canvas, wrap=False)
    turned = decode_canvas(model, canvas.roll(13, dims=-1), wrap=False)

    difference = (turned.roll(-13 * model.cell_px, dims=-1) - decoded).abs()
    assert float(difference.max()) > 1 / 255


def test_what_lies_further_off_than_the_halo_moves_nothing(model, monkeypatch) -> None:
    """Twice as many cells beyond the edges change no pixel by half a level of eight bits."""
    canvas = latents(model, 16, 24)

    decoded = decode_canvas(model, canvas, wrap=False)
    monkeypatch.setattr(decoding, "_HALO_CELLS", 2 * decoding._HALO_CELLS)
    further = decode_canvas(model, canvas, wrap=False)

    assert 0 < float((further - decoded).abs().max()) < 0.5 / 255


@pytest.fixture
def leaves(paint) -> torch.Tensor:
    """A picture that continued edges do not foresee, [1, 3, 128, 320] in -1..1."""
    pixels = paint(Request("generate", 128, 320, "autumn leaves", num_inference_steps=8)).pixels
    rgba = torch.frombuffer(bytearray(pixels.data), dtype=torch.uint8).reshape(128, 320, 4)
    return rgba[..., :3].permute(2, 0, 1)[None].float() / 127.5 - 1


def _extended(
    model, whole, left: int, right: int, *, wrap: bool
) -> tuple[CanvasSource, torch.Tensor]:
    """A picture known between two cells, and latents as an extension leaves them.

    New cells go on from the known ones nearly as the picture does: four pixels too low.
    """
    known = torch.zeros(128, 320, dtype=torch.bool)
    known[:, 8 * left : 8 * right] = True
    continued = continue_edges(whole * known, known, wrap=wrap)
    preserved = preserve_cells_until(known.float(), 8) >= 1
    latents = torch.where(preserved, model.encode(continued), model.encode(whole.roll(4, -2)))
    weights = torch.ones(1, *preserved.shape)
    return CanvasSource(weights, continued / 2 + 0.5, known.float(), None, 8), latents


def test_the_border_is_decoded_as_it_is_known(model, leaves, monkeypatch) -> None:
    """New cells that do not quite fit the known ones spoil these no longer."""
    source, latents = _extended(model, leaves, 12, 28, wrap=False)
    beside = [8 * 12, 8 * 28 - 1]
    errors = []

    def listen(decoded, original, known, cell_px, carried):
        errors.append(float((decoded - original)[..., beside].abs().mean()))
        return match_colours(decoded, original, known, cell_px, carried)

    monkeypatch.setattr(decoding, "match_colours", listen)
    pixels = decode_beside(model, latents, source, wrap=False)

    assert torch.equal(pixels[..., source.known], source.pixels[..., source.known])
    before, after = errors
    assert after < 0.8 * before, errors


def test_an_outline_that_crosses_the_border_does_not_glow(model) -> None:
    """That it is softer in latents than it was painted is no error for the other side to have."""
    whole = torch.full((1, 3, 128, 320), -0.5)
    whole[:, :, 60:] = 0.7
    source, _ = _extended(model, whole, 0, 20, wrap=False)
    latents = model.encode(whole)
    outlines = torch.zeros(16, 40, dtype=torch.bool)
    outlines[6:9] = True
    plain = decode_canvas(model, latents, wrap=False)

    def changed(outlines: torch.Tensor | None) -> float:
        pixels = decode_beside(model, latents, source, wrap=False, outlines=outlines)
        return float((pixels - plain)[..., 48:72, 160:166].abs().max())

    assert changed(outlines) < 0.65 * changed(None)


def _ellipse(height: int, width: int) -> torch.Tensor:
    """[H, W] bool: an ellipse in the middle that meets no cell's edge for long."""
    down = (torch.arange(height)[:, None] + 0.5) / height - 0.5
    across = (torch.arange(width) + 0.5) / width - 0.5
    return down**2 + across**2 < 0.11


def _change_across(pixels: torch.Tensor, inside: torch.Tensor) -> float:
    """Change between neighbours across an outline over that elsewhere, in [1, 3, H, W]."""
    on, off = [], []
    for axis in (-2, -1):
        change = pixels[0].diff(dim=axis).abs().mean(dim=0)
        crossing = inside.int().diff(dim=axis) != 0
        on.append(change[crossing])
        off.append(change[~crossing])
    return float(torch.cat(on).mean() / torch.cat(off).mean())


def test_a_filled_ellipse_has_no_outline(model, leaves) -> None:
    """What is new inside meets what is around it, all along a border that is no rectangle."""
    inside = _ellipse(128, 320)
    whole = leaves / 2 + 0.5
    preserved = preserve_cells_until((~inside).float(), 8) >= 1
    latents = torch.where(preserved, model.encode(leaves), model.encode(leaves.roll(6, -2)))
    source = CanvasSource(torch.ones(1, *preserved.shape), whole, (~inside).float(), None, 8)

    filled = decode_beside(model, latents, source, wrap=False)
    pasted = torch.where(inside, decode_canvas(model, latents, wrap=False), whole)

    assert torch.equal(filled[..., ~inside], whole[..., ~inside])
    assert _change_across(pasted, inside) > 1.5
    assert _change_across(filled, inside) < 1.2


def test_nothing_of_another_thing_is_carried_over_its_outline(model, leaves, monkeypatch) -> None:
    """Leaves that are preserved amid blue: beside them it stays as blue as it is painted."""
    inside = _ellipse(128, 320)
    blue = torch.tensor([-0.5, 0.0, 0.9])[None, :, None, None].expand_as(leaves)
    whole = torch.where(inside, leaves, blue)
    preserved = preserve_cells_until(inside.float(), 8) >= 1
    latents = torch.where(preserved, model.encode(whole), model.encode(blue))
    source = CanvasSource(torch.ones(1, 16, 40), whole / 2 + 0.5, inside.float(), None, 8)
    beside = functional.max_pool2d(inside.float()[None, None], 25, stride=1, padding=12)[0, 0] > 0

    def stained() -> float:
        pixels = decode_beside(model, latents, source, wrap=False)
        return float((pixels - (blue / 2 + 0.5)).abs()[..., beside & ~inside].mean())

    told = stained()
    monkeypatch.setattr(decoding, "same_content", lambda new, *_: torch.ones(new.shape[-2:]))
    monkeypatch.setattr(extension, "_is_error", lambda _: torch.tensor(1.0))
    assert told < 0.7 * stained()


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize(("left", "right"), [(0, 28), (12, 28), (20, 40)])
def test_what_is_far_from_the_border_moves_nothing(
    model, leaves, monkeypatch, left: int, right: int, *, wrap: bool
) -> None:
    """With everything that is known, no pixel changes by half a level of eight bits."""
    source, latents = _extended(model, leaves, left, right, wrap=wrap)

    beside = decode_beside(model, latents, source, wrap=wrap)
    monkeypatch.setattr(extension, "_NEAR_CELLS", 40)
    monkeypatch.setattr(extension, "_AGAIN_CELLS", 40)
    whole = decode_beside(model, latents, source, wrap=wrap)

    assert float((beside - whole).abs().max()) < 0.5 / 255


def test_what_is_far_from_everything_new_is_not_decoded(model, leaves, monkeypatch) -> None:
    """A picture of 32 cells grows by 8: half of it is looked at, on both sides of the border."""
    source, latents = _extended(model, leaves, 0, 32, wrap=False)
    widths = []
    monkeypatch.setattr(
        model,
        "decode",
        lambda latents, context: (
            widths.append(latents.shape[-1] - 2 * context.width)
            or type(model).decode(model, latents, context)
        ),
    )

    pixels = decode_beside(model, latents, source, wrap=False)

    assert widths == [16, 16]
    assert torch.equal(pixels[..., source.known], source.pixels[..., source.known])


def test_an_edge_that_wraps_meets_what_is_known_at_the_other_one(model, leaves) -> None:
    """What is known at one edge is continued at the other as it is beside itself."""
    source, latents = _extended(model, leaves, 0, 20, wrap=True)

    decoded = decode_beside(model, latents, source, wrap=True)
    turned = CanvasSource(
        source.weights,
        source.pixels.roll(80, -1),
        source.preserve_until.roll(80, -1),
        None,
        source.cell_px,
    )
    other = decode_beside(model, latents.roll(10, -1), turned, wrap=True).roll(-80, -1)

    assert float((decoded - other).abs().max()) < 0.5 / 255


def test_where_nothing_is_known_the_canvas_is_decoded_as_it_is(model, leaves) -> None:
    """There is nothing to meet."""
    source, latents = _extended(model, leaves, 0, 20, wrap=False)
    free = CanvasSource(
        source.weights, source.pixels, torch.zeros_like(source.preserve_until), None, 8
    )

    decoded = decode_beside(model, latents, free, wrap=False)

    assert torch.equal(decoded, decode_canvas(model, latents, wrap=False))


def _two_materials(
    model, edge_px: int, opacity: float = 1.0
) -> tuple[torch.Tensor, Layers, list[PixelShare], torch.Tensor]:
    """Rows of a light canvas that is dark up to a column of pixels, and the picture of both."""
    dark, light = torch.full((1, 3, 128, 256), -0.6), torch.full((1, 3, 128, 256), 0.6)
    rows = torch.cat([model.encode(light), model.encode(dark)])
    mask = PaintedMask(0, 0, torch.full((128, edge_px), opacity))
    layers = make_layers(occlude([mask], Size(16, 32), 8), [True, False])
    picture = light.clone()
    picture[..., :edge_px].lerp_(dark[..., :edge_px], opacity)
    shares = [next(occluded([mask], Size(128, 256)))]
    return layers.spread(rows), layers, shares, picture / 2 + 0.5


@pytest.mark.parametrize("edge_px", [64, 67, 70])
def test_an_outline_is_where_it_was_painted(model, edge_px: int) -> None:
    """To the pixel, wherever it lies in a cell; cells alone miss it by some pixels."""
    rows, layers, shares, picture = _two_materials(model, edge_px)
    cells = decode_canvas(model, layers.fused(rows), wrap=False)
    pixels = cells.clone()
    new = torch.ones(128, 256, dtype=torch.bool)

    compose_layers(model, rows, layers, shares, pixels, new, wrap=False)

    assert float((pixels - picture).abs().max()) < 0.1
    assert float((cells - picture).abs().max()) > 0.2
    far = torch.cat([pixels[..., :16], pixels[..., 120:]], dim=-1)
    assert float((far - torch.cat([cells[..., :16], cells[..., 120:]], dim=-1)).abs().max()) < 0.01


@pytest.mark.parametrize("opacity", [0.1, 0.3, 0.7])
def test_painted_opacity_is_how_much_shows(model, opacity: float) -> None:
    """A wash of 30 % is 30 % of one material and 70 % of the other."""
    rows, layers, shares, picture = _two_materials(model, 96, opacity)
    pixels = decode_canvas(model, layers.fused(rows), wrap=False)
    new = torch.ones(128, 256, dtype=torch.bool)

    compose_layers(model, rows, layers, shares, pixels, new, wrap=False)

    assert float((pixels - picture).abs().max()) < 0.1
    assert float((pixels - picture).mean()) == pytest.approx(0, abs=0.02)


def test_what_is_known_keeps_its_pixels_beside_an_outline(model) -> None:
    """Composing changes nothing where nothing is painted."""
    rows, layers, shares, _ = _two_materials(model, 67)
    pixels = torch.rand(1, 3, 128, 256)
    before = pixels.clone()
    new = torch.zeros(128, 256, dtype=torch.bool)
    new[:, :64] = True

    compose_layers(model, rows, layers, shares, pixels, new, wrap=False, matched=True)

    assert torch.equal(pixels[..., 64:], before[..., 64:])
    assert not torch.equal(pixels[..., :64], before[..., :64])
