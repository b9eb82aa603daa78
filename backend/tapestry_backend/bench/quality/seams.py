"""Seams where windows, edges, extensions and bands of decoding meet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import diffusers
import numpy as np
import torch

from tapestry_protocol.messages import PixelsRef, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels

from ...models.autoencoder import tiled_vae
from ...tasks.plan import Plan, make_plan
from ..common.prompts import even_textures, open_views
from ..metrics.detail import detail_energy
from ..metrics.seams import most_visible, seam_ratio, turned, wide_ratio
from .captioned import CaptionedPicture
from .workbench import Measured, Workbench

MeasuredPictures = list[tuple[float, CaptionedPicture]]
"""Seam ratios, and the pictures they belong to."""

Panorama = Callable[[int, int, str, int], np.ndarray]
"""(height, width, prompt, seed) -> its picture, uint8 [H, W, 3]."""

_MIB = 2**20

_WIDE_PX = 12
"""Of the squares that are compared over a border that is looked at from further away."""


def measure_seams(bench: Workbench) -> Measured:
    """Change across every kind of join over change elsewhere; 1 = nothing to be seen."""
    quick = bench.scope.quick
    found = {
        "panorama": panoramas(bench, 4 if quick else 16),
        "wrap": wraps(bench, 6 if quick else 48),
        "extension": extensions(bench, 4 if quick else 16),
        "frame": extensions(bench, 4 if quick else 16, framed=True),
        "fill": fills(bench, 4 if quick else 16),
    }
    wide = wide_extensions(bench, 10 if quick else 30)
    found |= {name: [(each[name], shown) for each, shown in wide] for name in wide[0][0]}
    details: dict[str, object] = {}
    if not bench.scope.alone:
        count = 1 if quick else 4
        found["paper"] = others(bench, "paper", bench.paper.panorama, count)
        found["diffusers"] = others(bench, "diffusers", bench.peer.panorama, count)
        details = _compare_others(bench, found["paper"][0][1], found["diffusers"][0][1])
    found["control"] = controls(bench)
    figures = {name: float(np.mean([ratio for ratio, _ in each])) for name, each in found.items()}
    figures["tiled_decode"] = tiled_decode(bench, found["panorama"][0][1].pixels)
    return Measured(
        figures,
        _rows(found),
        errors={
            name: float(np.std([ratio for ratio, _ in each]) / len(each) ** 0.5)
            for name, each in found.items()
            if len(each) > 1
        },
        details=details,
    )


def panoramas(bench: Workbench, count: int, **fields: Any) -> MeasuredPictures:
    """Across the borders of the windows, on canvases of several windows beside each other."""
    painter, side, columns = bench.painter, bench.painter.window_px, _columns(bench)
    bench.say(f"seams: {count} panoramas")
    found = []
    for i, prompt in enumerate(_prompts(bench, count)):
        request = painter.request(side, columns * side, prompt, 1000 + i, **fields)
        borders = window_borders(make_plan(request, painter.model))
        found.append(_rated(bench, prompt, painter.paint(request), borders))
    return found


def window_borders(plan: Plan) -> list[int]:
    """Where the fixed windows of a plan begin and end across the canvas, in cells."""
    grid = plan.layout.grid
    ends = {window.left for window in grid} | {window.right for window in grid}
    return sorted(ends - {0, plan.canvas.width})


def others(bench: Workbench, name: str, paint: Panorama, count: int) -> MeasuredPictures:
    """The first panoramas by another program, whose windows begin at every eighth of a window."""
    side, window = bench.painter.window_px, bench.painter.model.window
    stride = max(1, window // 8)
    borders = list(range(stride, _columns(bench) * window, stride))
    bench.say(f"seams: {count} panoramas, {name}")
    return [
        _rated(
            bench,
            f"{name}: {prompt}",
            paint(side, _columns(bench) * side, prompt, 1000 + i),
            borders,
        )
        for i, prompt in enumerate(_prompts(bench, count))
    ]


def _compare_others(
    bench: Workbench, paper: CaptionedPicture, peer: CaptionedPicture
) -> dict[str, object]:
    """Whether the paper's loop and diffusers' agree, and what diffusers' windows leave out."""
    difference = int(np.abs(paper.pixels.astype(int) - peer.pixels).max())
    side, width = bench.painter.window_px, paper.pixels.shape[1]
    odd = width + bench.painter.model.cell_px
    here, there = (bench.peer.uncovered_columns(side, each) for each in (width, odd))
    bench.say(
        f"seams: the paper's loop and diffusers differ by {difference} of 255 at most; diffusers' "
        f"windows leave out {here} columns of pixels at a width of {width}, {there} at {odd}"
    )
    return {
        "paper_and_diffusers_differ_by": difference,
        "diffusers_leaves_out": {f"{width}_px": here, f"{odd}_px": there},
    }


def wraps(bench: Workbench, count: int, **fields: Any) -> MeasuredPictures:
    """Across the old edge of pictures that wrap around, rolled by half their width."""
    painter, side = bench.painter, bench.painter.window_px
    bench.say(f"seams: {count} pictures that wrap around")
    found = []
    for i, prompt in enumerate(_prompts(bench, count)):
        request = painter.request(side, 2 * side, prompt, 2000 + i, wrap=True, **fields)
        rolled = np.roll(painter.paint(request), side, axis=1)
        found.append(_rated(bench, f"{prompt}, rolled", rolled, [painter.model.window]))
    return found


def extensions(
    bench: Workbench, count: int, *, framed: bool = False, **fields: Any
) -> MeasuredPictures:
    """Across the borders of a picture of one window that grew on both sides by three quarters.

    Every second one grows at the top and bottom instead. The picture is the middle of a larger one:
    what an autoencoder paints along the edges of a single window is a frame of the old picture.
    Where that is what is measured, the picture is `framed`: a single window.
    """
    painter, side = bench.painter, bench.painter.window_px
    margin, rim = side * 3 // 4, 0 if framed else side // 8
    bench.say(f"seams: {count} extensions{' of single windows' if framed else ''}")
    found = []
    for i, prompt in enumerate(_prompts(bench, count)):
        upright = i % 2 == 1
        whole = painter.paint(painter.request(side + 2 * rim, side + 2 * rim, prompt, 3000 + i))
        old = whole[rim : rim + side, rim : rim + side]
        margins = (
            Margins(top=margin, bottom=margin) if upright else Margins(left=margin, right=margin)
        )
        picture = extended(bench, old, margins, prompt, 3000 + i, **fields)
        across = turned(picture) if upright else picture
        borders = [place // painter.model.cell_px for place in (margin, margin + side)]
        ratio, shown = _rated(bench, f"{prompt}, extended", across, borders)
        found.append((ratio, CaptionedPicture(shown.caption, picture)))
    return found


def wide_extensions(
    bench: Workbench, count: int
) -> list[tuple[dict[str, float], CaptionedPicture]]:
    """Skies, a sea and a meadow that grow on both sides: colours and detail beside the border."""
    painter, side = bench.painter, bench.painter.window_px
    margin, rim, near = side * 3 // 4, side // 8, side // 4
    names = open_views(painter.settings.model)
    bench.say(f"seams: {count} extensions of {len(names)} materials, seen from further away")
    found = []
    for i in range(count):
        prompt = names[i % len(names)]
        whole = painter.paint(painter.request(side + 2 * rim, side + 2 * rim, prompt, 3800 + i))
        old = whole[rim : rim + side, rim : rim + side]
        picture = extended(bench, old, Margins(left=margin, right=margin), prompt, 3800 + i)
        wide = wide_ratio(picture, [margin, margin + side], _WIDE_PX)
        new = picture[:, :margin][:, ::-1], picture[:, -margin:]
        beside, further = (
            np.mean([detail_energy(each[:, part]) for each in new])
            for part in (slice(0, near), slice(near, margin))
        )
        caption = f"{prompt}, over {2 * _WIDE_PX} pixels {wide:.2f}"
        figures = {"extension_wide": wide, "extension_detail": float(beside / further)}
        found.append((figures, CaptionedPicture(caption, picture)))
    return found


def fills(bench: Workbench, count: int, **fields: Any) -> MeasuredPictures:
    """Across the outline of a box in the middle of two windows that is filled anew.

    Its sides lie on no border of cells, as a painter's selection.
    """
    painter, side = bench.painter, bench.painter.window_px
    box = Bounds(side // 4 + 3, side * 3 // 4 - 5, side * 3 // 4 + 3, side * 5 // 4 - 5)
    mask = Pixels(box.height, box.width, 1, b"\xff" * (box.height * box.width))
    bench.say(f"seams: {count} filled selections")
    found = []
    for i, prompt in enumerate(_prompts(bench, count)):
        old = painter.paint(painter.request(side, 2 * side, prompt, 3500 + i))
        pixels = Pixels(side, 2 * side, 4, old.tobytes())
        request = painter.request(
            *(side, 2 * side, prompt, 3600 + i),
            task="fill",
            image=PixelsRef.of(pixels),
            selection=Selection(box, PixelsRef.of(mask)),
            **fields,
        )
        new = painter.paint(request, {each.sha256: each.data for each in (pixels, mask)})
        picture = pasted(old, new)
        ratio = box_ratio(picture, box, painter.model.cell_px)
        found.append((ratio, CaptionedPicture(f"{prompt}, filled {ratio:.2f}", picture)))
    return found


def pasted(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A result over a picture, both uint8 [H, W, 4], as a layer shows it: uint8 [H, W, 3]."""
    share = new[..., 3:].astype(np.float64) / 255
    return (share * new[..., :3] + (1 - share) * old[..., :3]).round().astype(np.uint8)


def box_ratio(picture: np.ndarray, box: Bounds, cell_px: int) -> float:
    """Change across the sides of a box in [H, W, 3] over that across other cell borders."""
    beside = seam_ratio(picture[box.top : box.bottom], [box.left, box.right], cell_px)
    across = turned(picture[:, box.left : box.right])
    return (beside + seam_ratio(across, [box.top, box.bottom], cell_px)) / 2


def extended(
    bench: Workbench,
    old: np.ndarray,
    margins: Margins,
    prompt: str,
    seed: int,
    blobs: Mapping[str, bytes] | None = None,
    **fields: Any,
) -> np.ndarray:
    """A picture, uint8 [H, W, 4], extended, with the old one in its place: uint8 [H, W, 3].

    blobs: of whatever else the request's `fields` refer to.
    """
    height, width = old.shape[:2]
    pixels = Pixels(height, width, 4, np.ascontiguousarray(old).tobytes())
    image = {"task": "extend", "margins": margins, "image": PixelsRef.of(pixels)}
    request = bench.painter.request(height, width, prompt, seed, **image, **fields)
    picture = bench.painter.paint(request, {**(blobs or {}), pixels.sha256: pixels.data}).copy()
    rows = slice(margins.top, margins.top + height)
    picture[rows, margins.left : margins.left + width] = old
    return picture[..., :3]


def controls(bench: Workbench) -> MeasuredPictures:
    """What a seam looks like: windows that know nothing of each other, side by side."""
    window = bench.painter.model.window
    return [
        _rated(
            bench,
            f"apart: {prompt}",
            np.concatenate(list(pictures[:4]), axis=1),
            [window, 2 * window, 3 * window],
        )
        for prompt, pictures in zip(bench.prompts, bench.plain_pictures, strict=True)
    ]


@torch.no_grad()
def tiled_decode(bench: Workbench, panorama: np.ndarray) -> float:
    """How visible the worst place of a panorama becomes when it is decoded in bands.

    Its latents are decoded whole and with as little memory as bands take. Every place is compared
    with itself in the whole decode, because bands end wherever memory says.
    """
    autoencoder = _load_autoencoder(bench)
    pixels = torch.from_numpy(panorama.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    latents = tiled_vae.encode(autoencoder, pixels, budget_bytes=2**40)
    whole = tiled_vae.decode(autoencoder, latents, budget_bytes=2**40)
    bands = tiled_vae.decode(autoencoder, latents, budget_bytes=_MIB)
    return most_visible(*(made[0].permute(1, 2, 0).numpy() * 127.5 for made in (whole, bands)))


def _load_autoencoder(bench: Workbench) -> torch.nn.Module:
    folder = bench.painter.folder
    name = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["vae"][1]
    return getattr(diffusers, name).from_pretrained(folder / "vae", local_files_only=True).eval()


def _rows(found: Mapping[str, MeasuredPictures]) -> list[list[CaptionedPicture]]:
    """The same panorama by each program side by side, then some of each other kind."""
    together = [name for name in ("panorama", "paper", "diffusers") if name in found]
    same = [list(group) for group in zip(*(found[name] for name in together), strict=False)]
    others = [
        found["panorama"][2:4],
        *(
            found[k][:4]
            for k in ("wrap", "extension", "frame", "fill", "extension_wide", "control")
        ),
    ]
    return [
        *[[picture for _, picture in group] for group in same[:2]],
        *[[picture] for each in others for _, picture in each],
    ]


def _columns(bench: Workbench) -> int:
    """How many windows wide a panorama is."""
    return 3 if bench.scope.quick else 6


def _prompts(bench: Workbench, count: int) -> list[str]:
    prompts = even_textures(bench.painter.settings.model)
    return [prompts[i % len(prompts)] for i in range(count)]


def _rated(
    bench: Workbench, caption: str, picture: np.ndarray, borders: Sequence[int]
) -> tuple[float, CaptionedPicture]:
    """The seam ratio across borders in cells, and the picture with a caption that says it."""
    cell_px = bench.painter.model.cell_px
    ratio = seam_ratio(picture[..., :3], [cell_px * cell for cell in borders], cell_px)
    return ratio, CaptionedPicture(f"{caption} {ratio:.2f}", picture[..., :3])
