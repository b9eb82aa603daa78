"""Pictures for training adapters: drawn, in ink, as latents, and their scribbles."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from tapestry_backend.tasks.preprocessing import canny_edges

from .common import WORK, autocast
from .draw import Group, draw_one
from .export import MODEL_FOLDER

POOL = Group("pictures", 144, 144, 1920, (0.15, 0.4, 0.15, 0.3))
INKED = 480
"""So many of the first are made in ink as well: a style needs fewer examples than a layout."""

PAPER, INK = (0.95, 0.91, 0.82), (0.12, 0.13, 0.22)
TONES = 4
_DARKEST, _LIGHTEST = 0.1, 0.8
_THICK_PX = 3
_BATCH = 32


def in_ink(pictures: Tensor) -> Tensor:
    """Pictures [N, 3, H, W] in 0..1 as ink and wash on paper: few tones of grey, dark outlines."""
    grey = (pictures * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1)
    light = ((grey - _DARKEST) / (_LIGHTEST - _DARKEST)).clamp(0, 1)
    tones = (light * (TONES - 1)).round() / (TONES - 1)
    outlines = torch.stack([_thick(canny_edges(picture)[:1])[0] for picture in pictures])
    light = tones * (1 - 0.8 * outlines)
    paper, ink = (torch.tensor(colour)[:, None, None] for colour in (PAPER, INK))
    return ink + (paper - ink) * light[:, None]


def scribble(picture: Tensor) -> Tensor:
    """The outlines of what is large in a picture [3, H, W], as thick as a brush: [1, H, W].

    What is small is smoothed away first: nobody scribbles every leaf.
    """
    small = torch.nn.functional.avg_pool2d(picture[None], 4)
    smooth = torch.nn.functional.interpolate(small, picture.shape[-2:], mode="bilinear")[0]
    return _thick(canny_edges(smooth)[:1])


def _thick(lines: Tensor) -> Tensor:
    return torch.nn.functional.max_pool2d(lines[None], _THICK_PX, stride=1, padding=1)[0]


@torch.no_grad()
def encode(autoencoder: AutoencoderTiny, pictures: Tensor) -> Tensor:
    """Scaled latents [N, 10, H / 8, W / 8] of pictures [N, 3, H, W] in 0..1."""
    wanted = (pictures * 2 - 1).contiguous(memory_format=torch.channels_last)
    with autocast(pictures.device):
        return autoencoder.encoder(wanted).float() * autoencoder.config.scaling_factor


def prepare(work: Path, seed: int) -> None:
    """Writes `adapters.pt` (latents, the first in ink, scribbles) and, last, `adapters.json`.

    What was made before an interruption is kept, batch by batch.
    """
    autoencoder = AutoencoderTiny.from_pretrained(MODEL_FOLDER, subfolder="vae").eval()
    autoencoder.to(memory_format=torch.channels_last)
    labels, parts = [], []
    for start in range(0, POOL.count, _BATCH):
        made = work / f"adapters-{start}.pt"
        if not made.exists():
            _prepare_batch(autoencoder, seed, start, made)
        part = torch.load(made, weights_only=True)
        labels += part.pop("labels")
        parts.append(part)
    content = {name: torch.cat([part[name] for part in parts if name in part]) for name in parts[0]}
    torch.save(content, work / "adapters.pt")
    (work / "adapters.json").write_text(json.dumps(labels), encoding="utf-8")


def _prepare_batch(autoencoder: AutoencoderTiny, seed: int, start: int, path: Path) -> None:
    numbers = range(start, min(start + _BATCH, POOL.count))
    drawn = [draw_one(seed, POOL, number) for number in numbers]
    pictures = torch.from_numpy(np.stack([picture for picture, _ in drawn]))
    pictures = pictures.permute(0, 3, 1, 2).float() / 255
    content = {
        "labels": [label.to_dict() for _, label in drawn],
        "plain": encode(autoencoder, pictures).half(),
        "scribbles": torch.stack([scribble(picture) > 0 for picture in pictures]),
    }
    if start < INKED:
        content["ink"] = encode(autoencoder, in_ink(pictures)).half()
    torch.save(content, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if not (given.work / "adapters.json").exists():
        prepare(given.work, given.seed)


if __name__ == "__main__":
    main()
