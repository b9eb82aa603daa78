"""Encodes the drawn pictures once into latents."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny

from .common import WORK, autocast, pick_device
from .draw import GROUPS
from .export import trained_autoencoder

GROUP_NAMES = tuple(group.name for group in GROUPS if group.name != "unseen")


def encode_group(work: Path, name: str, autoencoder: AutoencoderTiny, part: float) -> torch.Tensor:
    """Raw latents of the first part of a group, half precision [N, C, height / 8, width / 8]."""
    pictures = np.load(work / f"{name}.npy", mmap_mode="r")
    pictures = pictures[: max(1, round(part * len(pictures)))]
    device = next(autoencoder.parameters()).device
    parts = []
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(pictures), 32):
            batch = torch.from_numpy(np.array(pictures[start : start + 32])).to(device)
            batch = batch.permute(0, 3, 1, 2).float() / 127.5 - 1
            batch = batch.contiguous(memory_format=torch.channels_last)
            parts.append(autoencoder.encoder(batch).half().cpu())
    return torch.cat(parts)


def encode(work: Path, part: float = 1.0) -> None:
    """Writes the latents of every group, and the scale that gives them unit variance."""
    autoencoder = trained_autoencoder(work).to(pick_device(), memory_format=torch.channels_last)
    deviations = {}
    for name in GROUP_NAMES:
        latents = encode_group(work, name, autoencoder, part)
        torch.save(latents, work / f"{name}.latents.pt")
        deviations[name] = float(latents.float().std())
        print(
            f"{name}: {tuple(latents.shape)} deviation {deviations[name]:.3f} "
            f"mean {float(latents.float().mean()):.3f}",
            flush=True,
        )
    factor = 1.0 / float(np.mean(list(deviations.values())))
    (work / "latent_scale.json").write_text(
        json.dumps({"scaling_factor": round(factor, 4)}), encoding="utf-8"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--part", type=float, default=1.0, help="part of each group")
    given = parser.parse_args()
    encode(given.work, given.part)
