"""Trains the U-Net and the text encoder on encoded pictures; no drawing and no measuring."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTokenizer

from .captions import caption
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
from .labels import Label
from .models import build_scheduler, build_text_encoder, build_unet
from .tokenizer import kept_tokenizer

CAPTION_DROP = 0.1
TEXTURE_SHARE = 0.4
# Scenes are the hardest to get right in one piece.
PICTURE_SHARES = {"scene": 0.65, "object": 0.2, "relation": 0.15, "material": 0.4}
LARGE_EVERY = 8
SNR_CAP = 6.0


class LatentSet:
    """One group of encoded pictures with their labels; crops are `side` latents wide."""

    def __init__(self, work: Path, name: str, side: int, factor: float) -> None:
        self.latents = torch.load(work / f"{name}.latents.pt", weights_only=True)
        content = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
        self.labels = [Label(**entry) for entry in content]
        self.side, self.factor = side, factor
        kinds = [label.kind for label in self.labels]
        counts = Counter(kinds)
        chances = np.array([PICTURE_SHARES[kind] / counts[kind] for kind in kinds])
        self.chances = chances / chances.sum()

    def sample(self, rng: np.random.Generator, count: int) -> tuple[list[Tensor], list[str]]:
        """`count` scaled latents [C, side, side] with freshly worded captions."""
        crops, words = [], []
        room = self.latents.shape[-1] - self.side + 1
        for index in rng.choice(len(self.labels), count, p=self.chances):
            top, left = rng.integers(0, room, 2)
            crop = self.latents[index, :, top : top + self.side, left : left + self.side]
            crops.append(crop.float() * self.factor)
            dropped = rng.uniform() < CAPTION_DROP
            words.append("" if dropped else caption(rng, self.labels[index]))
        return crops, words


class Batches:
    """Mixes the groups; every `LARGE_EVERY`-th batch holds a quarter as many large pictures."""

    def __init__(self, work: Path, tokenizer: CLIPTokenizer, batch: int, texture: float) -> None:
        scale = json.loads((work / "latent_scale.json").read_text(encoding="utf-8"))
        factor = float(scale["scaling_factor"])
        self.textures = LatentSet(work, "textures", 16, factor)
        self.pictures = LatentSet(work, "pictures", 16, factor)
        self.large = LatentSet(work, "large", 32, factor)
        self.tokenizer, self.batch = tokenizer, batch
        self.texture_count = round(batch * texture)

    def sample(self, rng: np.random.Generator, step: int) -> tuple[Tensor, Tensor]:
        """Latents [B, C, h, w] and token numbers [B, 40]."""
        if step % LARGE_EVERY == LARGE_EVERY - 1:
            crops, words = self.large.sample(rng, self.batch // 4)
        else:
            crops, words = self.textures.sample(rng, self.texture_count)
            more, more_words = self.pictures.sample(rng, self.batch - self.texture_count)
            crops, words = crops + more, words + more_words
        tokens = self.tokenizer(
            words, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        return torch.stack(crops).contiguous(memory_format=torch.channels_last), tokens


def velocity_loss(
    modules: nn.ModuleDict,
    latents: Tensor,
    tokens: Tensor,
    alphas: Tensor,
    noise: Tensor,
    times: Tensor,
) -> Tensor:
    """Weighted error of the predicted velocity at `times` [B]; latents and noise [B, C, h, w].

    Nearly clean latents, whose velocity is mostly noise, count less.
    """
    keep = alphas[times].view(-1, 1, 1, 1)
    noisy = keep.sqrt() * latents + (1 - keep).sqrt() * noise
    wanted = keep.sqrt() * noise - (1 - keep).sqrt() * latents
    with autocast(latents.device):
        text = modules["text_encoder"](tokens).last_hidden_state
        made = modules["unet"](noisy, times, text).sample
    ratio = keep / (1 - keep)
    weight = ((SNR_CAP + 1) / (ratio + 1)).clamp(max=1.0)
    return (weight * functional.mse_loss(made.float(), wanted, reduction="none")).mean()


def spread_times(count: int, device: torch.device) -> Tensor:
    """`count` timesteps 0..999, one from each equal stretch, so that batches differ less."""
    places = (torch.arange(count) + torch.rand(count)) / count
    return (places * 1000).long().clamp(0, 999).to(device)


def build_modules(tokenizer: CLIPTokenizer) -> nn.ModuleDict:
    """U-Net and text encoder, untrained."""
    unet = build_unet().to(memory_format=torch.channels_last)
    return nn.ModuleDict({"unet": unet, "text_encoder": build_text_encoder(tokenizer)})


def train(work: Path, steps: int, batch: int, rate: float, seed: int, texture: float) -> None:
    """Trains for `steps` steps in all, resuming from `work/diffusion.pt` where it exists."""
    device = pick_device()
    seed_all(seed)
    tokenizer = kept_tokenizer(work)
    modules = build_modules(tokenizer).to(device).train()
    alphas = build_scheduler().alphas_cumprod.to(device)
    averaged = Averaged(modules, 0.998)
    optimiser = torch.optim.AdamW(
        modules.parameters(), rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    path = work / "diffusion.pt"
    start = load_state(path, modules, averaged, optimiser)
    rng = np.random.default_rng([seed, start])
    torch.manual_seed(seed + start)
    batches = Batches(work, tokenizer, batch, texture)
    stopper, threads, begun, shown = Stopper(), ThreadChooser(), time.monotonic(), 1.0
    for step in range(start, steps):
        threads.step(step)
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, steps, rate, warmup=150)
        latents, tokens = (part.to(device) for part in batches.sample(rng, step))
        noise, times = torch.randn_like(latents), spread_times(len(latents), device)
        loss = velocity_loss(modules, latents, tokens, alphas, noise, times)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        optimiser.step()
        averaged.update(modules, step)
        shown = 0.98 * shown + 0.02 * loss.item()
        if (step + 1) % 250 == 0 or step + 1 == steps or stopper.asked:
            save_state(path, step + 1, modules, averaged, optimiser)
            print(
                f"{step + 1}/{steps} loss {shown:.4f} {time.monotonic() - begun:.0f} s", flush=True
            )
        if stopper.asked:
            return


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=4600)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--rate", type=float, default=7e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--textures", type=float, default=TEXTURE_SHARE, help="share of single materials in a batch"
    )
    given = parser.parse_args()
    train(given.work, given.steps, given.batch, given.rate, given.seed, given.textures)


if __name__ == "__main__":
    main()
