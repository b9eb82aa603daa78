"""Writes the drawn data sets to a folder."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .common import WORK
from .labels import KINDS, Label, draw_label, sample_label


class Group(NamedTuple):
    """A set of pictures of one size in pixels; `shares` weighs `KINDS`."""

    name: str
    height: int
    width: int
    count: int
    shares: tuple[float, float, float, float]


# Training pictures are larger than a window: latents are cropped from them, away from the border.
GROUPS: tuple[Group, ...] = (
    Group("unseen", 128, 128, 384, (0.25, 0.3, 0.15, 0.3)),
    Group("textures", 192, 192, 1200, (1.0, 0.0, 0.0, 0.0)),
    Group("pictures", 144, 144, 8000, (0.0, 0.32, 0.18, 0.5)),
    Group("wide", 112, 176, 1000, (0.1, 0.45, 0.15, 0.3)),
    Group("tall", 176, 112, 700, (0.1, 0.35, 0.15, 0.4)),
    Group("panorama", 96, 208, 500, (0.1, 0.6, 0.15, 0.15)),
    Group("tower", 208, 96, 400, (0.2, 0.3, 0.2, 0.3)),
    Group("large", 272, 272, 400, (0.3, 0.4, 0.1, 0.2)),
)


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """Float 0..1 to uint8 0..255."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def draw_one(seed: int, group: Group, index: int) -> tuple[np.ndarray, Label]:
    """Picture number `index` of a group, uint8 [height, width, 3], and its label."""
    rng = np.random.default_rng([seed, [g.name for g in GROUPS].index(group.name), index])
    label = sample_label(rng, str(rng.choice(KINDS, p=group.shares)))
    return to_bytes(draw_label(rng, label, group.height, group.width)), label


def _drawn(group: Group, seed: int, processes: int) -> Iterator[tuple[np.ndarray, Label]]:
    draw = partial(draw_one, seed, group)
    if processes == 1:
        yield from map(draw, range(group.count))
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(draw, range(group.count), chunksize=32)


def draw_all(out: Path, seed: int = 1, processes: int = 1, part: float = 1.0) -> None:
    """Writes every group, or the given part of each; what is there already is kept."""
    out.mkdir(parents=True, exist_ok=True)
    for group in GROUPS:
        count = max(16, round(part * group.count))
        draw_group(out, group._replace(count=count), seed, processes)


def draw_group(out: Path, group: Group, seed: int, processes: int = 1) -> None:
    """Writes `<name>.npy` (uint8 [N, height, width, 3]) and, when complete, `<name>.json`."""
    done = out / f"{group.name}.json"
    if done.exists():
        return
    shape = (group.count, group.height, group.width, 3)
    pictures = np.lib.format.open_memmap(
        out / f"{group.name}.npy", mode="w+", dtype=np.uint8, shape=shape
    )
    labels = []
    for index, (picture, label) in enumerate(_drawn(group, seed, processes)):
        pictures[index] = picture
        labels.append(label.to_dict())
    pictures.flush()
    done.write_text(json.dumps(labels), encoding="utf-8")
    print(f"{group.name}: {group.count} pictures of {group.width} x {group.height} px", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WORK)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    draw_all(arguments.out, arguments.seed, arguments.processes)
