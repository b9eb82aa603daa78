"""Teaches the bundled model to follow instructions: its U-Net sees the picture besides.

InstructPix2Pix (Brooks et al. 2023): the picture's own latents stand behind the noised ones. Their
half of the first layer begins as a share of the other half, so that the model sees from the start
what it knows how to read; beginning with nothing, as the paper does, it learned to copy slowly.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from tapestry_backend.checkpoints.difference_file import FIRST_LAYER, SCALE
from tapestry_backend.models.loading.difference import packed

from .common import (
    WORK,
    Averaged,
    Stopper,
    autocast,
    cosine_rate,
    load_state,
    pick_device,
    progress,
    save_state,
    seed_all,
)
from .edit_data import Part, load_parts
from .edits import Change, instruction
from .export import MODEL_FOLDER
from .models import WINDOW_LATENTS, build_scheduler
from .train_diffusion import SNR_CAP, build_optimisers

EDIT_FILE = MODEL_FOLDER.parent / "sample_edit" / "sample-edit.safetensors"
# How often each kind of change is asked for.
KIND_SHARES = {
    "region": 0.23,
    "whole": 0.03,
    "time": 0.14,
    "season": 0.08,
    "add": 0.18,
    "remove": 0.14,
    "colour": 0.14,
    "thing": 0.06,
}
DROP = 0.05
"""Of the samples so many lack the words, as many the picture, and as many both."""
# Window shapes in latents by the shape of the drawings they are cropped from.
_WINDOWS = {(18, 18): (16, 16), (14, 22): (12, 20), (22, 14): (20, 12)}
_PICTURE_SHARE = 0.5
_EVERY = 40


class Batch(NamedTuple):
    """Raw latents [B, C, h, w] before and after, tokens [B, T], and which see no picture [B]."""

    before: Tensor
    after: Tensor
    tokens: Tensor
    unseen: Tensor


class Edits:
    """The prepared families; a batch has one shape."""

    def __init__(self, parts: list[Part], tokenizer: CLIPTokenizer) -> None:
        self.parts, self.tokenizer = parts, tokenizer
        self.by_kind = [
            {
                kind: [change for change in part.changes if change[2]["kind"] == kind]
                for kind in KIND_SHARES
            }
            for part in parts
        ]

    def sample(self, rng: np.random.Generator, count: int) -> Batch:
        """Changes of every kind, freshly worded; now and then without words, picture or both."""
        shape = self.parts[int(rng.integers(len(self.parts)))].latents.shape[-2:]
        alike = [n for n, part in enumerate(self.parts) if part.latents.shape[-2:] == shape]
        pairs, words = [], []
        for kind in rng.choice(list(KIND_SHARES), count, p=list(KIND_SHARES.values())):
            part = alike[int(rng.integers(len(alike)))]
            found = self.by_kind[part][str(kind)] or self.parts[part].changes
            old, new, change = found[int(rng.integers(len(found)))]
            window = _window(rng, *shape)
            pairs.append([self.parts[part].latents[n][window].float() for n in (old, new)])
            words.append(instruction(rng, Change(**change)))
        chance = rng.uniform(size=count)
        wordless = (chance < DROP) | (chance > 1 - DROP)
        words = ["" if without else said for without, said in zip(wordless, words, strict=True)]
        tokens = self.tokenizer(
            words, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        before, after = (torch.stack(side) for side in zip(*pairs, strict=True))
        return Batch(before, after, tokens, torch.from_numpy(chance < 2 * DROP))


def _window(rng: np.random.Generator, rows: int, columns: int) -> tuple[Any, ...]:
    height, width = _WINDOWS.get((rows, columns), (WINDOW_LATENTS, WINDOW_LATENTS))
    top, left = rng.integers(0, rows - height + 1), rng.integers(0, columns - width + 1)
    return ..., slice(top, top + height), slice(left, left + width)


def late_times(count: int) -> Tensor:
    """`count` timesteps 0..999, mostly noisy ones: there it is decided what changes."""
    share = (torch.arange(count) + torch.rand(count)) / count
    return ((1 - (1 - share) ** 2) * 1000).long().clamp(0, 999)


def widened(conv: nn.Conv2d, share: float) -> nn.Conv2d:
    """The same layer for twice as many channels, of which the new ones count such a share."""
    wide = nn.Conv2d(2 * conv.in_channels, conv.out_channels, 3, padding=1)
    with torch.no_grad():
        wide.weight.copy_(torch.cat([conv.weight, share * conv.weight], dim=1))
        wide.bias.copy_(conv.bias.float())
    return wide


def build_twin() -> nn.ModuleDict:
    """The bundled U-Net, which sees a picture besides, and its text encoder; all of it learns."""
    unet: Any = UNet2DConditionModel.from_pretrained(MODEL_FOLDER, subfolder="unet")
    # On a processor, the plain formula is differentiated quicker than the fused attention.
    unet.set_attn_processor(AttnProcessor())
    unet.conv_in = widened(unet.conv_in, _PICTURE_SHARE)
    text_encoder: Any = CLIPTextModel.from_pretrained(MODEL_FOLDER / "text_encoder")
    unet.to(memory_format=torch.channels_last)
    return nn.ModuleDict({"unet": unet, "text_encoder": text_encoder}).float()


def edit_loss(twin: nn.ModuleDict, batch: Batch, alphas: Tensor, factor: float) -> Tensor:
    """Weighted error of the predicted velocity, as the model was trained with.

    factor: by which raw latents are scaled for the U-Net; those of the picture are not
    """
    before, after, tokens, unseen = (part.to(alphas.device) for part in batch)
    latents, shown = after * factor, before * ~unseen[:, None, None, None]
    times = late_times(len(latents)).to(latents.device)
    keep = alphas[times].view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    noisy = keep.sqrt() * latents + (1 - keep).sqrt() * noise
    wanted = keep.sqrt() * noise - (1 - keep).sqrt() * latents
    given = torch.cat([noisy, shown], dim=1).contiguous(memory_format=torch.channels_last)
    with autocast(latents.device):
        text = twin["text_encoder"](tokens).last_hidden_state
        made = twin["unet"](given, times, text).sample.float()
    weight = ((SNR_CAP + 1) / (keep / (1 - keep) + 1)).clamp(max=1.0)
    return (weight * functional.mse_loss(made, wanted, reduction="none")).mean()


def latent_factor() -> float:
    """By which the bundled autoencoder's latents are scaled."""
    config = json.loads((MODEL_FOLDER / "vae" / "config.json").read_text(encoding="utf-8"))
    return float(config["scaling_factor"])


def train(work: Path, steps: int, batch: int, rate: float, seconds: float) -> None:
    """Trains for `steps` steps in all, resuming from `work/edit.pt`, at most so many seconds.

    The learning rate comes down with the steps or with the seconds, whichever are over first.
    """
    device, path = pick_device(), work / "edit.pt"
    seed_all(1)
    twin = build_twin().to(device).train()
    alphas, factor = build_scheduler().alphas_cumprod.to(device), latent_factor()
    averaged = Averaged(twin, 0.99)
    optimisers = build_optimisers(twin, rate)
    start = load_state(path, twin, averaged, *optimisers)
    rng = np.random.default_rng([1, start])
    torch.manual_seed(1 + start)
    tokenizer = CLIPTokenizer.from_pretrained(MODEL_FOLDER / "tokenizer")
    edits = Edits(load_parts(work), tokenizer)
    stopper, begun, shown = Stopper(), time.monotonic(), 0.0
    for step in range(start, steps):
        along = progress(step, steps, time.monotonic() - begun, seconds)
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = cosine_rate(step, along, steps, rate, warmup=20)
        loss = edit_loss(twin, edits.sample(rng, batch), alphas, factor)
        twin.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        averaged.update(twin, step)
        shown = loss.item() if not shown else 0.95 * shown + 0.05 * loss.item()
        late = stopper.asked or time.monotonic() - begun > seconds
        if (step + 1) % _EVERY == 0 or step + 1 == steps or late:
            save_state(path, step + 1, twin, averaged, *optimisers)
            took = time.monotonic() - begun
            print(f"edit {step + 1}/{steps} loss {shown:.4f} {took:.0f} s", flush=True)
        if late:
            return


def differences(twin: nn.ModuleDict) -> dict[str, Tensor]:
    """What differs from the bundled model, as `checkpoints.difference_file` says."""
    found, plain = {}, build_twin().state_dict()
    for name, value in twin.named_parameters():
        if name.startswith(FIRST_LAYER):
            found[name] = value.detach().half().contiguous()
            continue
        apart = (value.detach() - plain[name]).float()
        if apart.ndim > 1:
            found[name], found[name + SCALE] = (part.contiguous() for part in packed(apart))
        else:
            found[name] = apart.half()
    return found


def export(work: Path, path: Path) -> None:
    """Writes what has been learned so far."""
    twin = build_twin()
    state = torch.load(work / "edit.pt", map_location="cpu", weights_only=True)
    twin.load_state_dict(state["averaged"], strict=False)
    path.parent.mkdir(exist_ok=True)
    save_file(differences(twin), path, metadata={"format": "pt"})
    path.chmod(0o644)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--seconds", type=float, default=np.inf)
    parser.add_argument("--export", type=Path, nargs="?", const=EDIT_FILE)
    given = parser.parse_args()
    if given.export:
        export(given.work, given.export)
    else:
        train(given.work, given.steps, given.batch, given.rate, given.seconds)


if __name__ == "__main__":
    main()
