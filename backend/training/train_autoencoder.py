"""Trains the picture autoencoder on drawn pictures; no captions and no diffusion."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor
from torch.nn import functional

from .common import (
    WORK,
    Averaged,
    Stopper,
    ThreadChooser,
    autocast,
    cosine_rate,
    load_state,
    pick_device,
    save_state,
    seed_all,
)

LATENT_CHANNELS = 10
WIDTH = 64
CROP = 64
# Scenes and objects have finer shapes than textures, so they are seen twice as often.
GROUP_NAMES = ("pictures", "pictures", "textures")


def build_autoencoder() -> AutoencoderTiny:
    """An untrained autoencoder: RGB in -1..1 to latents [10, H/8, W/8] and back.

    It has no group norm, so a tile decodes as it would within a larger picture. The finest level
    carries no residual blocks: most of the time would go there.
    """
    return AutoencoderTiny(
        encoder_block_out_channels=(WIDTH,) * 4,
        decoder_block_out_channels=(WIDTH,) * 4,
        latent_channels=LATENT_CHANNELS,
        num_encoder_blocks=(0, 2, 3, 3),
        num_decoder_blocks=(3, 3, 2, 0),
    )


def luma_chroma(rgb: Tensor) -> Tensor:
    """RGB [B, 3, H, W] to luma and two colour differences, same shape."""
    red, green, blue = rgb.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([luma, blue - luma, red - luma], 1)


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Distance in luma and chroma at three scales; the coarse ones keep the colours true."""
    difference = luma_chroma(made - wanted)
    total = difference.new_zeros(())
    for weight in (1.0, 0.5, 0.5):
        total = total + weight * (difference.abs().mean() + 2.0 * difference.square().mean())
        difference = functional.avg_pool2d(difference, 2)
    return total


def latent_loss(latents: Tensor) -> Tensor:
    """Keeps every latent channel near zero mean and unit variance, and its values bounded."""
    mean = latents.mean((0, 2, 3))
    variance = latents.var((0, 2, 3))
    beyond = functional.relu(latents.abs() - 2.5).square().mean()
    return mean.square().mean() + (variance - 1).square().mean() + beyond


def random_crops(
    groups: list[np.ndarray], rng: np.random.Generator, count: int, size: int
) -> Tensor:
    """`count` crops [B, 3, size, size] in -1..1 from uint8 pictures, some mirrored."""
    crops = []
    for group in rng.integers(0, len(groups), count):
        pictures = groups[group]
        top, left = rng.integers(0, pictures.shape[1] - size + 1, 2)
        picture = pictures[rng.integers(len(pictures))]
        crop = picture[top : top + size, left : left + size]
        crops.append(crop[:, ::-1] if rng.uniform() < 0.5 else crop)
    batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return batch.contiguous(memory_format=torch.channels_last)


def psnr(model: AutoencoderTiny, pictures: np.ndarray) -> float:
    """Mean peak signal-to-noise ratio in dB over uint8 pictures [N, H, W, 3]."""
    device = next(model.parameters()).device
    values = []
    with torch.no_grad():
        for start in range(0, len(pictures), 16):
            batch = torch.from_numpy(np.array(pictures[start : start + 16])).to(device)
            batch = batch.permute(0, 3, 1, 2).float() / 127.5 - 1
            made = model.decoder(model.encoder(batch)).clamp(-1, 1)
            error = (made - batch).div(2).square().mean((1, 2, 3))
            values.append(-10 * torch.log10(error))
    return float(torch.cat(values).mean())


def step_loss(model: AutoencoderTiny, wanted: Tensor, around: int) -> tuple[Tensor, Tensor]:
    """The loss of one batch [B, 3, H, W], without a border of `around` pixels, and its latents."""
    with autocast(wanted.device):
        latents = model.encoder(wanted).float()
        if around:
            latents = latents[..., 1:-1, 1:-1]
            wanted = wanted[..., around:-around, around:-around]
        # The noise teaches the decoder to forgive what the diffusion model gets slightly wrong.
        made = model.decoder(latents + 0.04 * torch.randn_like(latents)).float()
    return picture_loss(made, wanted) + 0.01 * latent_loss(latents), latents


def train(work: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    """Trains for `steps` steps in all, resuming from `work/autoencoder.pt` where it exists."""
    device = pick_device()
    seed_all(seed)
    loaded = {name: np.load(work / f"{name}.npy") for name in set(GROUP_NAMES)}
    groups = [loaded[name] for name in GROUP_NAMES]
    held_out = np.load(work / "unseen.npy", mmap_mode="r")[:128]
    model = build_autoencoder().to(device, memory_format=torch.channels_last)
    averaged = Averaged(model, 0.998)
    optimiser = torch.optim.AdamW(model.parameters(), rate, betas=(0.9, 0.98), weight_decay=1e-4)
    path = work / "autoencoder.pt"
    start = load_state(path, model, averaged, optimiser)
    rng = np.random.default_rng(seed + start)
    stopper, threads, begun, shown = Stopper(), ThreadChooser(), time.monotonic(), 0.0
    for step in range(start, steps):
        threads.step(step)
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, steps, rate, warmup=200)
        # Every other batch is encoded with its surroundings, since windows of a larger picture are.
        around = 8 * (step % 2)
        wanted = random_crops(groups, rng, batch, CROP + 2 * around).to(device)
        loss, latents = step_loss(model, wanted, around)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        averaged.update(model, step)
        shown = loss.item() if step == start else 0.98 * shown + 0.02 * loss.item()
        if (step + 1) % 250 == 0 or step + 1 == steps or stopper.asked:
            save_state(path, step + 1, model, averaged, optimiser)
            with averaged.swapped(model):
                value = psnr(model, held_out)
            spread = latents.std().item()
            print(
                f"{step + 1}/{steps} loss {shown:.4f} psnr {value:.2f} dB "
                f"latent deviation {spread:.2f} {time.monotonic() - begun:.0f} s",
                flush=True,
            )
        if stopper.asked:
            return


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=6200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    train(arguments.work, arguments.steps, arguments.batch, arguments.rate, arguments.seed)


if __name__ == "__main__":
    main()
