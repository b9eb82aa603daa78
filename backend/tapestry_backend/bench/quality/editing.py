"""Editing with words: the place that is found, the way back to noise, and the shapes that stay.

Blind for taste: an edit may have its material in the right place and still look pasted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from tapestry_protocol.messages import Edit, PixelsRef, Request
from tapestry_protocol.pixels import Pixels

from ...engine.inversion import deterministic, invert
from ...engine.multidiffusion import MultiDiffusion, RegionPrompt
from ...engine.noise_schedule import SamplingStep, sampling_steps
from ...engine.views import ViewPlan, WindowLayout
from ...engine.windows import Size
from ...tasks.decoding import decode_canvas
from ...tasks.imagic import learned_files
from ...tasks.inversion_files import InversionFiles
from ..common.layouts import RegionLayout
from ..common.prompts import renamed
from ..metrics.structure import edge_agreement
from ..peers.diffedit import difference_mask
from .captioned import CaptionedPicture
from .workbench import Measured, Workbench

_STEPS = 50
"""Of inversion, as its authors measure it."""

_SHOWN = 6

_LEARNING_STEPS = 100
_ON_THE_WAY = (0.0, 0.5, 1.0)


def measure_editing(bench: Workbench) -> Measured:
    """Masks on pictures of two and three materials; round trips; one material for another."""
    found = [_masks(bench), _round_trips(bench), _shapes(bench), _learned(bench)]
    values = {name: each for figures, _ in found for name, each in figures.items()}
    return Measured(
        {name: float(np.mean(each)) for name, each in values.items()}
        | {"worst_iou": min(values["iou"]), "worst_round_trip": max(values["round_trip"])},
        [row for _, rows in found for row in rows[:_SHOWN]],
        errors={name: float(np.std(each) / len(each) ** 0.5) for name, each in values.items()},
    )


_Found = tuple[dict[str, list[float]], list[list[CaptionedPicture]]]


def _masks(bench: Workbench) -> _Found:
    """How far the place that is found is the region that was painted (intersection over union)."""
    count = 6 if bench.scope.quick else 24
    bench.say(f"editing: the place in {count} pictures")
    values: dict[str, list[float]] = {"iou": [], "diffedit_iou": []}
    rows = []
    for number, layout in enumerate(itertools.islice(_layouts(bench), count)):
        picture = bench.painter.layout(layout, 52_000 + number)
        now, wanted = layout.prompts[0], bench.prompts[(5 * number + 3) % len(bench.prompts)]
        words = Edit("diffedit", now, map_only=True)
        grey = _edited(bench, picture, words, wanted, number)[..., 0]
        truth = layout.masks[0]
        values["iou"].append(_iou(grey >= 128, truth))
        if not bench.scope.alone:
            model = bench.painter.model
            steps = bench.painter.settings.num_inference_steps
            clean = model.encode(_as_pixels(picture)).float()
            cells = difference_mask(model, clean, now, wanted, steps, number)
            plain = cells.repeat(model.cell_px, axis=0).repeat(model.cell_px, axis=1)
            values["diffedit_iou"].append(_iou(plain, truth))
        shown = np.repeat(grey[..., None], 3, axis=2)
        edited = _edited(bench, picture, replace(words, map_only=False), wanted, number)
        rows.append(
            [
                CaptionedPicture(f"{now}", picture),
                CaptionedPicture("where it is", shown),
                CaptionedPicture(f"{wanted} instead", _over(picture, edited)),
            ]
        )
    return {name: each for name, each in values.items() if each}, rows


def _layouts(bench: Workbench) -> Iterator[RegionLayout]:
    """One window with two materials, or three: a half, a disc, a corner, a band."""
    side = bench.painter.window_px
    rows, columns = np.indices((side, side)) / side
    shapes = (
        columns < 0.5,
        np.hypot(rows - 0.5, columns - 0.5) < 0.32,
        rows > 0.6,
        rows + columns < 0.9,
    )
    for number in itertools.count():
        names = [bench.prompts[(5 * number + i) % len(bench.prompts)] for i in (0, 1, 2)]
        masks = [shapes[number % len(shapes)]]
        if number % 2:  # a third material, in what is left
            masks.append(~masks[0] & (columns > 0.55))
        yield RegionLayout("edit", tuple(masks), tuple(names[: len(masks)]), names[2])


def _round_trips(bench: Workbench) -> _Found:
    """Decibels that a picture loses on its way to noise and back, beside the autoencoder's own."""
    count = 2 if bench.scope.quick else 6
    bench.say(f"editing: {count} pictures to noise and back, in one window and in four")
    side, model = bench.painter.window_px, bench.painter.model
    values: dict[str, list[float]] = {"round_trip": [], "wide_round_trip": []}
    for number in range(count):
        prompt = bench.prompts[(5 * number) % len(bench.prompts)]
        for name, windows in (("round_trip", 1), ("wide_round_trip", 4)):
            request = bench.painter.request(side, windows * side, prompt, 53_000 + number)
            pixels = _as_pixels(bench.painter.paint(request)[..., :3])
            clean = model.encode(pixels).float()
            again = _there_and_back(bench, clean, prompt)
            plain, back = (
                _psnr(decode_canvas(model, latents, wrap=False), pixels / 2 + 0.5)
                for latents in (clean, again)
            )
            values[name].append(plain - back)
    return values, []


def _there_and_back(bench: Workbench, clean: Tensor, prompt: str) -> Tensor:
    """Latents [1, C, h, w] taken to noise by a prompt without guidance, and back."""
    model = bench.painter.model
    canvas, side = Size(*clean.shape[-2:]), model.window
    layout = WindowLayout(canvas, Size(side, side), Size(side // 2, side // 2))
    denoise = MultiDiffusion(
        model.predict,
        ViewPlan(layout, torch.ones(1, *canvas), device=model.device),
        [RegionPrompt(0, 0, 1.0)],
        model.encode_prompts([prompt]),
        model.batch_size,
    )
    steps = _steps(bench)
    *_, noise = invert(denoise, steps, clean)
    *_, back = deterministic(denoise, steps, noise.latents)
    return back.latents


def _steps(bench: Workbench) -> list[SamplingStep]:
    scheduler = bench.painter.model.make_scheduler("ddim")
    scheduler.set_timesteps(_STEPS)
    return sampling_steps(scheduler)


def _shapes(bench: Workbench) -> _Found:
    """Things take another colour, and scenes another light: their edges stay, and they have it.

    The fresh picture has the same seed. What has no shapes, as most materials, has none to keep.
    """
    pairs = renamed(bench.painter.settings.model)[:: 3 if bench.scope.quick else 1]
    count = len(pairs) * (1 if bench.scope.quick else 2)
    bench.say(f"editing: {count} things and scenes turned into others")
    values: dict[str, list[float]] = {}
    rows = []
    for number, (now, wanted) in enumerate(itertools.islice(itertools.cycle(pairs), count)):
        picture = bench.painter.plain(now, 54_000 + number)
        results = {"fresh": bench.painter.plain(wanted, 54_000 + number)}
        for name, words in (
            ("p2p", Edit("p2p", now, threshold=0.0)),
            ("plain", Edit("diffedit", now, threshold=0.0)),
            ("ddib", Edit("ddib", now)),
        ):
            results[name] = _edited(bench, picture, words, wanted, number, strength=1.0)[..., :3]
        for name, result in results.items():
            structure = edge_agreement(picture, result)
            values.setdefault(f"{name}_structure", []).append(structure)
            nearer = bench.colours.nearer(_middle(result), wanted, now)
            values.setdefault(f"{name}_adherence", []).append(nearer)
        row = {now: picture, **{f"{wanted}, {name}": each for name, each in results.items()}}
        rows.append([CaptionedPicture(text, each) for text, each in row.items()])
    return values, rows


def _learned(bench: Workbench) -> _Found:
    """Pictures that are learned: how much stays, and how much is the words', on the way to them."""
    count = 1 if bench.scope.quick else 4
    bench.say(f"editing: {count} pictures learned, {_LEARNING_STEPS} steps each")
    values: dict[str, list[float]] = {}
    rows = []
    for number in range(count):
        now, wanted = (bench.prompts[(5 * number + i) % len(bench.prompts)] for i in (0, 4))
        picture = bench.painter.plain(now, 54_000 + number)
        right = bench.prompts.index(wanted)
        row = [CaptionedPicture(now, picture)]
        with TemporaryDirectory() as folder:
            kept = learned_files(Path(folder)), InversionFiles(Path(folder) / "inversions")
            for share in _ON_THE_WAY:
                words = Edit("imagic", interpolation=share, learning_steps=_LEARNING_STEPS)
                asked, blobs = _asked(bench, picture, words, wanted, number, strength=1.0)
                result = bench.painter.paint(asked, blobs, *kept)[..., :3]
                name = f"imagic_{share * 100:.0f}"
                structure = edge_agreement(picture, result)
                named = float((bench.judge.name(result) == right).mean())
                values.setdefault(f"{name}_structure", []).append(structure)
                values.setdefault(f"{name}_adherence", []).append(named)
                row.append(CaptionedPicture(f"{wanted}, learned, {share:g}", result))
        rows.append(row)
    return values, rows


def _middle(picture: np.ndarray) -> np.ndarray:
    """Where a picture of one thing shows that; around it there may be anything."""
    height, width = picture.shape[:2]
    return picture[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4]


def _edited(
    bench: Workbench,
    picture: np.ndarray,
    words: Edit,
    wanted: str,
    seed: int,
    strength: float = 0.8,
) -> np.ndarray:
    """The result of an edit, uint8 [H, W, 4]."""
    return bench.painter.paint(*_asked(bench, picture, words, wanted, seed, strength))


def _asked(
    bench: Workbench, picture: np.ndarray, words: Edit, wanted: str, seed: int, strength: float
) -> tuple[Request, dict[str, bytes]]:
    """An edit's request, and its picture."""
    height, width = picture.shape[:2]
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[..., :3] = picture
    pixels = Pixels(height, width, 4, rgba.tobytes())
    request: Request = bench.painter.request(
        *(height, width, wanted, seed),
        task="edit",
        image=PixelsRef.of(pixels),
        edit=words,
        strength=strength,
    )
    return request, {pixels.sha256: pixels.data}


def _over(picture: np.ndarray, result: np.ndarray) -> np.ndarray:
    share = result[..., 3:] / 255
    return (result[..., :3] * share + picture * (1 - share)).round().astype(np.uint8)


def _as_pixels(picture: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> [1, 3, H, W] in -1..1."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def _iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks [H, W] bool."""
    return float((found & truth).sum() / max(1, (found | truth).sum()))


def _psnr(one: Tensor, other: Tensor) -> float:
    """Decibels, of pixels in 0..1."""
    return float(-10 * torch.log10(((one.cpu() - other.cpu()) ** 2).mean()))
