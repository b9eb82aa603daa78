"""Measures the bundled adapters against drawings that no training has seen."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.run import run
from tapestry_protocol.adapters import Control, Lora
from tapestry_protocol.messages import PixelsRef, Request
from tapestry_protocol.pixels import Bounds, Pixels

from .adapter_data import INK, PAPER, scribble
from .captions import caption
from .classifier import train_patch_classifier
from .draw import Group, draw_one
from .evaluate import detail_energy
from .materials import MATERIAL_NAMES
from .train_adapters import ADAPTERS_FOLDER, LORA_NAME, QUICK_NAME, T2I_NAME

UNSEEN = Group("pictures", 128, 128, 1, (0.0, 0.5, 0.1, 0.4))
SIDE, STEPS = 128, 20
_NEAR_PX = 3


def agreement(picture: Tensor, wanted: Tensor) -> float:
    """How well the outlines of a picture [3, H, W] agree with a scribble [1, H, W]: 0 to 1.

    The harmonic mean of two shares: of the scribble near an outline, and of the outlines near the
    scribble (F1, with a tolerance as usual for edges).
    """
    found = scribble(picture)
    side = 2 * _NEAR_PX + 1
    around = [functional.max_pool2d(e[None], side, 1, _NEAR_PX)[0] for e in (found, wanted)]
    recall = float((wanted * around[0]).sum() / wanted.sum().clamp(min=1))
    precision = float((found * around[1]).sum() / found.sum().clamp(min=1))
    return 2 * recall * precision / max(recall + precision, 1e-9)


def distance_to_ink(picture: Tensor) -> float:
    """How far the colours of a picture [3, H, W] lie from those between ink and paper."""
    ink, paper = (torch.tensor(colour)[:, None, None] for colour in (INK, PAPER))
    along = ((picture - ink) * (paper - ink)).sum(dim=0) / ((paper - ink) ** 2).sum()
    nearest = ink + along.clamp(0, 1) * (paper - ink)
    return float((picture - nearest).norm(dim=0).mean())


def colours_apart(picture: Tensor, drawing: Tensor) -> float:
    """How far the colours [3, H, W] of a picture are from a drawing's, in parts of 16 pixels."""
    parts = [functional.avg_pool2d(shown[None], 16)[0] for shown in (picture, drawing)]
    return float((parts[0] - parts[1]).norm(dim=0).mean())


def cases(count: int, seed: int) -> Iterator[tuple[Tensor, str]]:
    """Drawings [3, 128, 128] in 0..1 that are no part of the training, with their captions."""
    for number in range(count):
        picture, label = draw_one(seed, UNSEEN, number)
        words = caption(np.random.default_rng([seed, number]), label)
        yield torch.from_numpy(picture).permute(2, 0, 1).float() / 255, words


def paint(
    store: ModelCache,
    prompt: str,
    seed: int,
    hint: Tensor | None = None,
    weight: float = 1.0,
    **more: Any,
) -> Tensor:
    """A picture of the bundled model, [3, 128, 128] in 0..1, as the product paints it.

    hint: a scribble [1, 128, 128] in 0..1, which counts with this weight
    """
    blobs = {}
    if hint is not None:
        alpha = (hint[0] * 255).round().to(torch.uint8).numpy()
        black = np.zeros((SIDE, SIDE, 3), np.uint8)
        layer = Pixels(SIDE, SIDE, 4, np.dstack([black, alpha]).tobytes())
        blobs[layer.sha256] = layer.data
        bounds = Bounds(0, 0, SIDE, SIDE)
        ref = PixelsRef.of(layer)
        more["controls"] = (Control(T2I_NAME, "lines", bounds, ref, weight),)
    more.setdefault("num_inference_steps", STEPS)
    request = Request("generate", SIDE, SIDE, prompt, seed=seed, **more)
    *_, finished = run(request, blobs, store)
    if not isinstance(finished, Finished):
        raise TypeError("the run did not finish")
    rgba = np.frombuffer(finished.pixels.data, np.uint8).reshape(SIDE, SIDE, 4)
    return torch.from_numpy(rgba[..., :3].copy()).permute(2, 0, 1).float() / 255


def measure(count: int, seed: int) -> dict[str, Any]:
    """Means over `count` drawings, without each adapter and with it.

    How far the colours lie from the drawing's says whether the prompt still holds with a scribble.
    """
    store = ModelCache(Catalogue())
    ink, edges, colours = ({"without": [], "with": []} for _ in range(3))
    for number, (drawing, words) in enumerate(cases(count, seed)):
        hint = scribble(drawing)
        plain = paint(store, words, number)
        inked = paint(store, words, number, loras=(Lora(Path(LORA_NAME).stem),))
        guided = paint(store, words, number, hint)
        for name, styled, shaped in (("without", plain, plain), ("with", inked, guided)):
            ink[name].append(distance_to_ink(styled))
            edges[name].append(agreement(shaped, hint))
            colours[name].append(colours_apart(shaped, drawing))
    return {
        "pictures": count,
        "distance_to_ink": _means(ink),
        "agreement_with_the_scribble": _means(edges),
        "colours_apart_from_the_drawing": _means(colours),
    }


QUICK: dict[str, Any] = {"num_inference_steps": 4, "guidance_scale": 1.0}
# What four steps are without the LoRA at their best: a sampler that is made for few of them.
FEW: dict[str, Any] = QUICK | {"scheduler": "lcm"}


def measure_quick(each: int, seed: int) -> dict[str, Any]:
    """Four steps without the LoRA for few steps and with it, beside the usual number of steps.

    Over `each` pictures of every material: the share of patches of 32 pixels that a judge takes
    for the material, and the energy of what is fine as a share of that of the usual pictures.
    """
    store, judge = ModelCache(Catalogue()), train_patch_classifier()
    lora = {"loras": (Lora(Path(QUICK_NAME).stem),)}
    ways = {"usual": {}, "without": FEW, "with": QUICK | lora}
    right, pictures = ({way: [] for way in ways} for _ in range(2))
    for number, (name, _) in enumerate(product(MATERIAL_NAMES, range(each))):
        for way, settings in ways.items():
            made = paint(store, name, seed + number, **settings)
            shown = (made.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
            patches = [found for row in judge.name_patches(shown) for found in row]
            right[way].append(np.mean([found == name for found in patches]))
            pictures[way].append(shown)
    detail = {way: detail_energy(np.stack(shown)) for way, shown in pictures.items()}
    return {
        "pictures": each * len(MATERIAL_NAMES),
        "patches_of_the_material": _means(right),
        "detail": {way: round(value / detail["usual"], 3) for way, value in detail.items()},
    }


def _means(values: dict[str, list[float]]) -> dict[str, float]:
    return {name: round(float(np.mean(found)), 3) for name, found in values.items()}


def _kept(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=24, help="drawings; 0 keeps their figures")
    parser.add_argument(
        "--each", type=int, default=2, help="pictures of every material, where few steps are taught"
    )
    parser.add_argument("--seed", type=int, default=99)
    parser.add_argument("--out", type=Path, default=ADAPTERS_FOLDER / "figures.json")
    given = parser.parse_args()
    figures = measure(given.count, given.seed) if given.count else _kept(given.out)
    if (ADAPTERS_FOLDER / QUICK_NAME).exists():
        figures["few_steps"] = measure_quick(given.each, given.seed)
    given.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
