"""Measures how well the bundled model follows instructions, on pairs that no training has seen."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.run import run
from tapestry_protocol.messages import Edit, PixelsRef, Request
from tapestry_protocol.pixels import Pixels

from .classifier import PictureNet
from .common import WORK
from .edit_pairs import draw_family
from .edits import Change, canonical
from .evaluate import judge, save_grid
from .evaluate_adapters import agreement, scribble
from .train_edit import EDIT_FILE, KIND_SHARES

SIDE, STEPS = 128, 20
# Which family holds each kind of change.
FAMILY_OF = {
    "region": "regions",
    "whole": "regions",
    "time": "times",
    "season": "seasons",
    "add": "presence",
    "remove": "presence",
    "colour": "things",
    "thing": "things",
}
JUDGES = {
    "whole": "material",
    "time": "scene",
    "add": "object",
    "colour": "object",
    "thing": "object",
}
_PATCH, _STRIDE = 48, 16
_AROUND_PX = 17
_CHANGED = 12.0
"""Levels of 255 by which a pixel differs that has changed."""


class Pair(NamedTuple):
    """Drawings uint8 [H, W, 3] before and after a change."""

    before: np.ndarray
    after: np.ndarray
    change: Change

    @property
    def changed(self) -> np.ndarray:
        """Where they differ, [H, W]."""
        apart = self.after.astype(np.float32) - self.before.astype(np.float32)
        return np.abs(apart).mean(-1) > _CHANGED


def pairs(kind: str, seed: int) -> Iterator[Pair]:
    """Pairs of one of `KIND_SHARES`, without end; each of a family of its own."""
    number = 0
    while True:
        rng = np.random.default_rng([seed, list(KIND_SHARES).index(kind), number])
        family = draw_family(rng, FAMILY_OF[kind], SIDE, SIDE)
        found = [change for change in family.changes if change[2].kind == kind]
        number += 1
        if found:
            old, new, change = found[int(rng.integers(len(found)))]
            yield Pair(family.pictures[old], family.pictures[new], change)


def edited(
    store: ModelCache, picture: np.ndarray, words: str, seed: int, text: float, shown: float
) -> np.ndarray:
    """The picture uint8 [H, W, 3] as the product changes it.

    text, shown: the scales of the instruction and of the picture
    """
    height, width = picture.shape[:2]
    opaque = np.full((height, width, 1), 255, np.uint8)
    given = Pixels(height, width, 4, np.concatenate([picture, opaque], 2).tobytes())
    request = Request(
        "edit",
        height,
        width,
        words,
        seed=seed,
        model=EDIT_FILE.stem,
        image=PixelsRef.of(given),
        strength=1.0,
        edit=Edit("instruct", picture_scale=shown),
        guidance_scale=text,
        num_inference_steps=STEPS,
    )
    *_, finished = run(request, {given.sha256: given.data}, store)
    if not isinstance(finished, Finished):
        raise TypeError("the run did not finish")
    rgba = np.frombuffer(finished.pixels.data, np.uint8).reshape(height, width, 4)
    return rgba[..., :3].copy()


def is_nearer(picture: np.ndarray, pair: Pair) -> bool:
    """Whether what should change looks more like the drawing after the change than before it."""
    far = [
        np.abs(picture.astype(np.float32) - drawing)[pair.changed].mean()
        for drawing in (pair.after, pair.before)
    ]
    return bool(far[0] < far[1])


def shows(picture: np.ndarray, pair: Pair, judges: dict[str, PictureNet]) -> bool | None:
    """Whether a judge sees what was asked for; None where none knows it."""
    kind = pair.change.kind
    if kind == "region":
        return _shows_material(picture, pair, judges["material"])
    if kind not in JUDGES:
        return None
    net = judges[JUDGES[kind]]
    wanted = pair.change.after
    if kind == "time":  # the scene is what the judge takes the drawing for
        wanted = net.name(pair.after[None])[0]
    return net.name(picture[None])[0] == wanted


def _shows_material(picture: np.ndarray, pair: Pair, net: PictureNet) -> bool | None:
    """By most of the patches that lie in the region; None where it is too small for one."""
    places = [
        (slice(top, top + _PATCH), slice(left, left + _PATCH))
        for top in range(0, SIDE - _PATCH + 1, _STRIDE)
        for left in range(0, SIDE - _PATCH + 1, _STRIDE)
    ]
    inside = [place for place in places if pair.changed[place].mean() > 0.85]
    if not inside:
        return None
    found = net.name(np.stack([picture[place] for place in inside]))
    return bool(np.mean([name == pair.change.after for name in found]) > 0.5)


def left_alone(picture: np.ndarray, pair: Pair) -> float | None:
    """Mean difference, in levels of 255, from the drawing away from the change."""
    changed = torch.from_numpy(pair.changed).float()[None, None]
    near = functional.max_pool2d(changed, _AROUND_PX, 1, _AROUND_PX // 2)[0, 0].numpy() > 0
    if near.mean() > 0.95:
        return None
    return float(np.abs(picture.astype(np.float32) - pair.after)[~near].mean())


def _as_tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255


def copied(store: ModelCache, picture: np.ndarray) -> np.ndarray:
    """The picture as it comes back from the autoencoder alone: nothing can be kept better."""
    model = store.load(EDIT_FILE.stem)
    pixels = _as_tensor(picture)[None] * 2 - 1
    with torch.inference_mode():
        made = model.decode(model.encode(pixels))[0]
    levels = (made / 2 + 0.5).clamp(0, 1) * 255
    return levels.round().to(torch.uint8).permute(1, 2, 0).numpy()


def measure(
    work: Path, each: int, seed: int, text: float, shown: float
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Figures over `each` unseen pairs of every kind, and some of the pictures."""
    store = ModelCache(Catalogue())
    judges = {kind: judge(work, kind)[0] for kind in ("material", "scene", "object")}
    figures: dict[str, Any] = {"pairs": each * len(KIND_SHARES), "scales": [text, shown]}
    away: dict[str, list[float]] = {"edited": [], "autoencoder": []}
    edges: dict[str, list[float]] = {"edited": [], "autoencoder": []}
    tiles = []
    for kind in KIND_SHARES:
        seen, near = [], []
        for number, pair in enumerate(islice(pairs(kind, seed), each)):
            made = edited(store, pair.before, canonical(pair.change), number, text, shown)
            near.append(is_nearer(made, pair))
            seen.append(shows(made, pair, judges))
            for name, picture in (
                ("edited", made),
                ("autoencoder", copied(store, pair.after)),
            ):
                far = left_alone(picture, pair)
                away[name] += [] if far is None else [far]
                edges[name].append(agreement(_as_tensor(picture), scribble(_as_tensor(pair.after))))
            if number < 5:
                tiles += [pair.before, made]
        judged = [one for one in seen if one is not None]
        figures[kind] = {"nearer": round(float(np.mean(near)), 3)}
        if judged:
            figures[kind] |= {"shown": round(float(np.mean(judged)), 3), "judged": len(judged)}
        print(kind, json.dumps(figures[kind]), flush=True)
    nearer = [figures[kind]["nearer"] for kind in KIND_SHARES]
    shares = [figures[kind]["shown"] for kind in KIND_SHARES if "shown" in figures[kind]]
    figures["nearer"], figures["shown"] = (round(float(np.mean(m)), 3) for m in (nearer, shares))
    for name, values in (("away_from_the_change", away), ("edges", edges)):
        figures[name] = {k: round(float(np.mean(v)), 3) for k, v in values.items()}
    return figures, tiles


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK, help="where the judges are")
    parser.add_argument("--each", type=int, default=12, help="pairs of every kind of change")
    parser.add_argument("--seed", type=int, default=99)
    parser.add_argument("--text", type=float, default=5.0, help="scale of the instruction")
    parser.add_argument("--shown", type=float, default=1.2, help="scale of the picture")
    parser.add_argument("--out", type=Path, default=EDIT_FILE.parent, help="folder")
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True)
    figures, tiles = measure(given.work, given.each, given.seed, given.text, given.shown)
    text = json.dumps(figures, indent=2) + "\n"
    (given.out / "figures.json").write_text(text, encoding="utf-8")
    save_grid(tiles, 10, given.out / "grid.png", 96)
    print(text)


if __name__ == "__main__":
    main()
