"""Trains the picture autoencoder on drawn pictures."""

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
    progress,
    save_state,
    seed_all,
)

LATENT_CHANNELS = 10
WIDTH = 64
CROP = 48
NOISE = 0.15
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
    """Distance in luma and chroma at three scales, and of edges.

    The coarse scales keep the colours true, the edges keep flat shapes crisp.
    """
    difference = luma_chroma(made - wanted)
    edges = difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
    total = 0.5 * edges
    for weight in (1.0, 0.5, 0.5):
        total = total + weight * (difference.abs().mean() + 2.0 * difference.square().mean())
        difference = functional.avg_pool2d(difference, 2, ceil_mode=True)
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


def turned(latents: Tensor, wanted: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Latents and their pictures, made smaller and turned alike (EQ-VAE, arXiv:2502.09509).

    Latents that may be treated like pictures are smooth, which is what a diffusion model learns.
    """
    side = int(rng.integers(latents.shape[-1] // 2, latents.shape[-1] + 1))
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    results = []
    for image, size in ((latents, side), (wanted, 8 * side)):
        small = functional.interpolate(
            image, size=(size, size), mode="bilinear", align_corners=False, antialias=True
        )
        small = torch.rot90(small, turns, (-2, -1))
        results.append(small.flip(-1) if mirrored else small)
    return results[0], results[1]


def step_loss(
    model: AutoencoderTiny, wanted: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """The loss of one batch [B, 3, CROP + 16, CROP + 16], and its latents.

    Every other batch is turned; the others are decoded without their surroundings, since windows
    of a larger picture are: this keeps a frame from appearing along the edges.
    """
    with autocast(wanted.device):
        latents = model.encoder(wanted).float()
        if rng.uniform() < 0.5:
            used, wanted = turned(latents, wanted, rng)
        else:
            top, left = (int(place) for place in rng.integers(0, 3, 2))
            side = CROP // 8
            used = latents[..., top : top + side, left : left + side]
            wanted = wanted[..., 8 * top : 8 * top + CROP, 8 * left : 8 * left + CROP]
        # The noise teaches the decoder to forgive what the diffusion model gets slightly wrong.
        amount = NOISE * torch.rand(len(used), 1, 1, 1, device=used.device)
        made = model.decoder(used + amount * torch.randn_like(used)).float()
    return picture_loss(made, wanted) + 0.01 * latent_loss(latents), latents


def begin_from(model: AutoencoderTiny, folder: Path) -> None:
    """Takes up the weights of another autoencoder wherever the shapes agree."""
    given = AutoencoderTiny.from_pretrained(folder, torch_dtype=torch.float32).state_dict()
    own = model.state_dict()
    fitting = {n: v for n, v in given.items() if n in own and own[n].shape == v.shape}
    model.load_state_dict(own | fitting)


def train(given: argparse.Namespace) -> None:
    """Trains for `given.steps` steps in all, resuming from `autoencoder.pt` where it exists."""
    device, path = pick_device(), given.work / "autoencoder.pt"
    seed_all(given.seed)
    groups = [np.load(given.work / f"{name}.npy", mmap_mode="r") for name in GROUP_NAMES]
    held_out = np.load(given.work / "unseen.npy", mmap_mode="r")[:128]
    model = build_autoencoder()
    if given.begin and not path.exists():
        begin_from(model, given.begin)
    model = model.to(device, memory_format=torch.channels_last)
    averaged = Averaged(model, 0.998)
    optimiser = torch.optim.AdamW(
        model.parameters(), given.rate, betas=(0.9, 0.98), weight_decay=1e-4
    )
    start = load_state(path, model, averaged, optimiser)
    rng = np.random.default_rng(given.seed + start)
    stopper, threads, begun, shown = Stopper(), ThreadChooser(), time.monotonic(), 0.0
    for step in range(start, given.steps):
        threads.step(step)
        along = progress(step, given.steps, time.monotonic() - begun, given.seconds)
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, along, given.steps, given.rate, warmup=100)
        wanted = random_crops(groups, rng, given.batch, CROP + 16).to(device)
        loss, latents = step_loss(model, wanted, rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        averaged.update(model, step)
        shown = loss.item() if step == start else 0.98 * shown + 0.02 * loss.item()
        late = stopper.asked or time.monotonic() - begun > given.seconds
        if (step + 1) % 250 == 0 or step + 1 == given.steps or late:
            save_state(path, step + 1, model, averaged, optimiser)
            with averaged.swapped(model):
                value = psnr(model, held_out)
            print(
                f"{step + 1}/{given.steps} loss {shown:.4f} psnr {value:.2f} dB latent deviation "
                f"{latents.std().item():.2f} {time.monotonic() - begun:.0f} s",
                flush=True,
            )
        if late:
            return


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What the command line says, or `words`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=6200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after this time")
    parser.add_argument("--begin", type=Path, help="folder of an autoencoder to begin from")
    return parser.parse_args(words)


if __name__ == "__main__":
    train(arguments())
