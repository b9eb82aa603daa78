"""Writes the drawn data sets to a folder; what is drawn is decided in `labels`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .common import WORK
from .labels import KINDS, Label, draw_label, sample_label


class Group(NamedTuple):
    """A set of square pictures; `shares` weighs `KINDS`."""

    name: str
    size: int
    count: int
    shares: tuple[float, float, float, float]


# Training pictures are larger than a window: latents are cropped from them, away from the border.
GROUPS: tuple[Group, ...] = (
    Group("unseen", 128, 384, (0.4, 0.25, 0.15, 0.2)),
    Group("textures", 192, 3000, (1.0, 0.0, 0.0, 0.0)),
    Group("pictures", 144, 11000, (0.0, 0.38, 0.24, 0.38)),
    Group("large", 272, 1500, (0.4, 0.3, 0.1, 0.2)),
)


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """Float 0..1 to uint8 0..255."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def draw_one(seed: int, group: Group, index: int) -> tuple[np.ndarray, Label]:
    """Picture number `index` of a group, uint8 [size, size, 3], and its label."""
    rng = np.random.default_rng([seed, [g.name for g in GROUPS].index(group.name), index])
    label = sample_label(rng, str(rng.choice(KINDS, p=group.shares)))
    return to_bytes(draw_label(rng, label, group.size, group.size)), label


def draw_group(out: Path, group: Group, seed: int) -> None:
    """Writes `<name>.npy` (uint8 [N, size, size, 3]) and, when complete, `<name>.json`."""
    done = out / f"{group.name}.json"
    if done.exists():
        return
    shape = (group.count, group.size, group.size, 3)
    pictures = np.lib.format.open_memmap(
        out / f"{group.name}.npy", mode="w+", dtype=np.uint8, shape=shape
    )
    labels = []
    for index in range(group.count):
        pictures[index], label = draw_one(seed, group, index)
        labels.append(label.to_dict())
    pictures.flush()
    done.write_text(json.dumps(labels), encoding="utf-8")
    print(f"{group.name}: {group.count} pictures of {group.size} px", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WORK)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for group in GROUPS:
        draw_group(arguments.out, group, arguments.seed)


if __name__ == "__main__":
    main()
