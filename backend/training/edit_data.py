"""Families of drawings for training edits, as latents, with the changes between them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderTiny

from .adapter_data import encode
from .common import WORK, pick_device
from .edit_pairs import FAMILY_SHARES, Family, draw_family
from .export import MODEL_FOLDER

# Sizes in pixels, a little larger than a window, and how often each is drawn.
SIZES: tuple[tuple[int, int], ...] = ((144, 144), (112, 176), (176, 112))
SIZE_SHARES = (0.76, 0.12, 0.12)
PART = 200
"""So many families are in a file."""
_BATCH = 32


class Part(NamedTuple):
    """Families of one size: raw latents [N, C, h, w], and rows of (before, after, change)."""

    latents: torch.Tensor
    changes: list[tuple[int, int, dict[str, str]]]


def family(seed: int, number: int, height: int, width: int) -> Family:
    """Family `number` of a set."""
    rng = np.random.default_rng([seed, number])
    kind = str(rng.choice(list(FAMILY_SHARES), p=list(FAMILY_SHARES.values())))
    return draw_family(rng, kind, height, width)


def size_of(seed: int, part: int) -> tuple[int, int]:
    """Height and width in pixels of all families of a part."""
    rng = np.random.default_rng([seed, 1, part])
    return SIZES[int(rng.choice(len(SIZES), p=SIZE_SHARES))]


def prepare(work: Path, seed: int, count: int) -> None:
    """Writes `edits-<n>.pt` for `count` families in all; those that are there are kept."""
    autoencoder = AutoencoderTiny.from_pretrained(MODEL_FOLDER, subfolder="vae").eval()
    autoencoder.to(pick_device(), memory_format=torch.channels_last)
    for part in range(-(-count // PART)):
        path = work / f"edits-{part}.pt"
        if path.exists():
            continue
        content = _part(autoencoder, seed, part)
        torch.save(content._asdict(), path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)


def _part(autoencoder: AutoencoderTiny, seed: int, part: int) -> Part:
    height, width = size_of(seed, part)
    pictures, changes, rows = [], [], 0
    for number in range(part * PART, (part + 1) * PART):
        drawn = family(seed, number, height, width)
        pictures.append(drawn.pictures)
        changes += [(rows + a, rows + b, change.to_dict()) for a, b, change in drawn.changes]
        rows += len(drawn.pictures)
    latents = []
    for some in torch.from_numpy(np.concatenate(pictures)).permute(0, 3, 1, 2).split(_BATCH):
        made = encode(autoencoder, some.to(autoencoder.device).float() / 255)
        latents.append((made / autoencoder.config.scaling_factor).half().cpu())
    return Part(torch.cat(latents), changes)


def load_parts(work: Path) -> list[Part]:
    """All that is there."""
    paths = sorted(work.glob("edits-*.pt"))
    return [Part(**torch.load(path, weights_only=True)) for path in paths]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--count", type=int, default=6000, help="families of two or three drawings")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    prepare(given.work, given.seed, given.count)


if __name__ == "__main__":
    main()
