"""Trains the U-Net and the text encoder on encoded pictures."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

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
    progress,
    save_state,
    seed_all,
)
from .labels import Label
from .models import build_scheduler, build_text_encoder, build_unet
from .muon import Muon
from .tokenizer import kept_tokenizer

CAPTION_DROP = 0.1
# Within a group, how much each kind of picture counts.
KIND_SHARES = {"scene": 0.34, "object": 0.48, "relation": 0.18, "material": 0.15}
SNR_CAP = 6.0


class CropShape(NamedTuple):
    """Crops of `height` x `width` latents from groups; a batch has `samples` of its full count."""

    share: float
    height: int
    width: int
    samples: float
    groups: dict[str, float]


CROP_SHAPES: tuple[CropShape, ...] = (
    CropShape(0.72, 16, 16, 1.0, {"pictures": 0.8, "textures": 0.2}),
    CropShape(0.1, 12, 20, 1.0, {"wide": 1.0}),
    CropShape(0.06, 20, 12, 1.0, {"tall": 1.0}),
    CropShape(0.05, 10, 24, 1.0, {"panorama": 1.0}),
    CropShape(0.03, 24, 10, 1.0, {"tower": 1.0}),
    CropShape(0.04, 32, 32, 0.25, {"large": 1.0}),
)


class LatentSet:
    """One group of encoded pictures with their labels."""

    def __init__(self, work: Path, name: str, factor: float, shares: dict[str, float]) -> None:
        self.latents = torch.load(work / f"{name}.latents.pt", weights_only=True)
        content = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
        self.labels = [Label(**entry) for entry in content[: len(self.latents)]]
        self.factor = factor
        kinds = [label.kind for label in self.labels]
        counts = Counter(kinds)
        chances = np.array([shares[kind] / counts[kind] for kind in kinds])
        self.chances = chances / chances.sum()

    def sample(
        self, rng: np.random.Generator, count: int, shape: CropShape
    ) -> tuple[list[Tensor], list[str]]:
        """`count` scaled latents of that shape with freshly worded captions."""
        crops, words = [], []
        rows, columns = self.latents.shape[-2:]
        for index in rng.choice(len(self.labels), count, p=self.chances):
            top = rng.integers(rows - shape.height + 1)
            left = rng.integers(columns - shape.width + 1)
            crop = self.latents[index, :, top : top + shape.height, left : left + shape.width]
            crops.append(crop.float() * self.factor)
            dropped = rng.uniform() < CAPTION_DROP
            words.append("" if dropped else caption(rng, self.labels[index]))
        return crops, words


class Batches:
    """Batches of one shape each, in the proportions of `CROP_SHAPES`."""

    def __init__(
        self, work: Path, tokenizer: CLIPTokenizer, batch: int, shares: dict[str, float]
    ) -> None:
        scale = json.loads((work / "latent_scale.json").read_text(encoding="utf-8"))
        factor = float(scale["scaling_factor"])
        names = [name for shape in CROP_SHAPES for name in shape.groups]
        self.groups = {name: LatentSet(work, name, factor, shares) for name in names}
        self.tokenizer, self.batch = tokenizer, batch

    def sample(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Latents [B, C, h, w] and token numbers [B, 40]."""
        shape = CROP_SHAPES[rng.choice(len(CROP_SHAPES), p=[shape.share for shape in CROP_SHAPES])]
        crops, words = [], []
        for name, share in shape.groups.items():
            count = round(self.batch * shape.samples * share)
            more, more_words = self.groups[name].sample(rng, count, shape)
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
    # On a processor, the plain formula is differentiated quicker than the fused attention.
    unet.set_attn_processor(AttnProcessor())
    return nn.ModuleDict({"unet": unet, "text_encoder": build_text_encoder(tokenizer)})


def begin_from(modules: nn.ModuleDict, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Takes up another model's weights wherever names and shapes agree, and words by spelling."""
    given = {
        "unet": UNet2DConditionModel.from_pretrained(folder / "unet"),
        "text_encoder": CLIPTextModel.from_pretrained(folder / "text_encoder"),
    }
    for name, other in given.items():
        theirs, own = other.state_dict(), modules[name].state_dict()
        fitting = {n: v.float() for n, v in theirs.items() if n in own and own[n].shape == v.shape}
        modules[name].load_state_dict(own | fitting)
    before = CLIPTokenizer.from_pretrained(folder / "tokenizer").get_vocab()
    words = given["text_encoder"].get_input_embeddings().weight.detach().float()
    ours = modules["text_encoder"].get_input_embeddings().weight.detach()
    for token, number in tokenizer.get_vocab().items():
        ours[number] = words[before[token]] if token in before else words.mean(0)


def build_optimisers(modules: nn.ModuleDict, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the U-Net, AdamW for everything else."""
    unet = modules["unet"]
    ends = {id(p) for part in (unet.conv_in, unet.conv_out) for p in part.parameters()}
    matrices = [p for p in unet.parameters() if p.dim() > 1 and id(p) not in ends]
    inside = {id(p) for p in matrices}
    others = [p for p in modules.parameters() if id(p) not in inside]
    return [
        Muon(matrices, rate),
        torch.optim.AdamW(others, rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True),
    ]


def train(given: argparse.Namespace) -> None:
    """Trains for `given.steps` steps in all, resuming from `diffusion.pt` where it exists."""
    device, path = pick_device(), given.work / "diffusion.pt"
    seed_all(given.seed)
    tokenizer = kept_tokenizer(given.work)
    modules = build_modules(tokenizer)
    if given.begin and not path.exists():
        begin_from(modules, tokenizer, given.begin)
    modules = modules.to(device).train()
    alphas = build_scheduler().alphas_cumprod.to(device)
    averaged = Averaged(modules, 0.998)
    optimisers = build_optimisers(modules, given.rate)
    start = load_state(path, modules, averaged, *optimisers)
    rng = np.random.default_rng([given.seed, start])
    torch.manual_seed(given.seed + start)
    batches = Batches(given.work, tokenizer, given.batch, KIND_SHARES | dict(given.share))
    stopper, threads, begun, shown = Stopper(), ThreadChooser(), time.monotonic(), 0.0
    for step in range(start, given.steps):
        threads.step(step)
        along = progress(step, given.steps, time.monotonic() - begun, given.seconds)
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = cosine_rate(step, along, given.steps, given.rate, warmup=100)
        latents, tokens = (part.to(device) for part in batches.sample(rng))
        noise, times = torch.randn_like(latents), spread_times(len(latents), device)
        loss = velocity_loss(modules, latents, tokens, alphas, noise, times)
        modules.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        averaged.update(modules, step)
        shown = loss.item() if step == start else 0.98 * shown + 0.02 * loss.item()
        late = stopper.asked or time.monotonic() - begun > given.seconds
        if (step + 1) % 100 == 0 or step + 1 == given.steps or late:
            save_state(path, step + 1, modules, averaged, *optimisers)
            took = time.monotonic() - begun
            print(f"{step + 1}/{given.steps} loss {shown:.4f} {took:.0f} s", flush=True)
        if late:
            return


def _share(words: str) -> tuple[str, float]:
    kind, part = words.split("=")
    if kind not in KIND_SHARES:
        raise ValueError(kind)
    return kind, float(part)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What the command line says, or `words`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after this time")
    parser.add_argument("--begin", type=Path, help="folder of a model to begin from")
    parser.add_argument(
        "--share",
        action="append",
        type=_share,
        default=[],
        metavar="KIND=PART",
        help="how much a kind of picture counts within its group",
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    train(arguments())
