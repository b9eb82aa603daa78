"""Trains a LoRA for ink and wash or for few steps, or a T2I-Adapter for scribbles."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import T2IAdapter, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from tapestry_backend.models.adapters.factors import LowRank
from tapestry_backend.models.adapters.lora import Delta, laid_on

from .captions import caption
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
from .export import MODEL_FOLDER
from .labels import Label
from .models import build_scheduler
from .quick import STEPS, Paths, jumps, paint_paths, path_loss
from .train_diffusion import SNR_CAP

ADAPTERS_FOLDER = MODEL_FOLDER.parent / "sample_adapters"
LORA_NAME, T2I_NAME = "sample-ink.safetensors", "sample-scribble"
QUICK_NAME = "sample-quick.safetensors"
RANK, QUICK_RANK = 8, 24
_SIDE = 16
_LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.2", "conv1", "conv2", "conv_out")
_CAPTION_DROP = {"lora": 0.1, "t2i": 0.4}
_THICKER = 0.25
_EVERY = 100


class UnetLora(nn.Module):
    """A LoRA beside the layers of a U-Net; it begins as none."""

    def __init__(self, unet: nn.Module, rank: int = RANK) -> None:
        super().__init__()
        self.downs, self.ups = nn.ParameterDict(), nn.ParameterDict()
        self._layers = {
            name: layer
            for name, layer in unet.named_modules()
            if name.endswith(_LAYERS) and isinstance(layer, nn.Linear | nn.Conv2d)
        }
        for name, layer in self._layers.items():
            out, into, *kernel = layer.weight.shape
            key = name.replace(".", "|")
            down = torch.randn(rank, into, *kernel) / (into * np.prod(kernel)) ** 0.5
            self.downs[key] = nn.Parameter(down)
            self.ups[key] = nn.Parameter(torch.zeros(out, rank, *[1 for _ in kernel]))

    def laid_on(self) -> AbstractContextManager[None]:
        """Inside, the U-Net runs with it."""
        deltas = []
        for name, layer in self._layers.items():
            key = name.replace(".", "|")
            factors = LowRank({"down": self.downs[key], "up": self.ups[key]})
            deltas.append(Delta(layer, factors, 1.0))
        return laid_on([(deltas, 1.0)])

    def tensors(self) -> dict[str, Tensor]:
        """As diffusers names them."""
        found = {}
        for end, parameters in (("A", self.downs), ("B", self.ups)):
            for key, value in parameters.items():
                name = f"unet.{key.replace('|', '.')}.lora_{end}.weight"
                found[name] = value.detach().half().contiguous()
        return found


def build_t2i() -> T2IAdapter:
    """Grey pictures of 128 x 128 to features of the U-Net's three levels and of its middle.

    The first level hands on what it has made smaller, as SDXL's does. Begins by whispering.
    """
    adapter = T2IAdapter(
        in_channels=1,
        channels=[96, 128, 160, 160],
        num_res_blocks=2,
        downscale_factor=16,
        adapter_type="full_adapter_xl",
    )
    # Features as loud as a usual start makes them would spoil what the model can do already.
    with torch.no_grad():
        for layer in adapter.modules():
            if isinstance(layer, nn.Conv2d):
                layer.bias.zero_()
        adapter.adapter.conv_in.weight *= 0.5
    return adapter.to(memory_format=torch.channels_last)


class Pool:
    """The prepared pictures; a batch is cropped at random."""

    def __init__(self, work: Path, what: str, tokenizer: CLIPTokenizer) -> None:
        content = torch.load(work / "adapters.pt", weights_only=True)
        self.latents = content["ink" if what == "lora" else "plain"]
        self.scribbles = content["scribbles"]
        labels = json.loads((work / "adapters.json").read_text(encoding="utf-8"))
        self.labels = [Label(**label) for label in labels]
        self.drop, self.tokenizer = _CAPTION_DROP[what], tokenizer

    def sample(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Latents [B, 10, 16, 16], scribbles [B, 1, 128, 128] in 0..1, tokens [B, 40]."""
        latents, hints, words = [], [], []
        room = self.latents.shape[-1] - _SIDE + 1
        for index in rng.integers(0, len(self.latents), count):
            top, left = rng.integers(0, room, 2)
            latents.append(self.latents[index, :, top : top + _SIDE, left : left + _SIDE].float())
            rows, columns = (slice(8 * at, 8 * (at + _SIDE)) for at in (top, left))
            hints.append(brushed(rng, self.scribbles[index, :, rows, columns].float()))
            dropped = rng.uniform() < self.drop
            words.append("" if dropped else caption(rng, self.labels[index]))
        tokens = self.tokenizer(
            words, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        return torch.stack(latents), torch.stack(hints), tokens


def brushed(rng: np.random.Generator, lines: Tensor) -> Tensor:
    """Lines [1, H, W], now and then thicker: not every artist takes the same brush."""
    if rng.uniform() >= _THICKER:
        return lines
    return functional.max_pool2d(lines[None], 5, stride=1, padding=2)[0]


class Trainer:
    """The frozen model, and one adapter that learns beside it."""

    def __init__(self, what: str) -> None:
        self.what, self.device = what, pick_device()
        self.unet: Any = UNet2DConditionModel.from_pretrained(
            MODEL_FOLDER, subfolder="unet", torch_dtype=torch.bfloat16
        )
        # On a processor, the plain formula is differentiated quicker than the fused attention.
        self.unet.set_attn_processor(AttnProcessor())
        self.unet.to(self.device, memory_format=torch.channels_last)
        self.text_encoder: Any = CLIPTextModel.from_pretrained(MODEL_FOLDER / "text_encoder")
        self.unet.requires_grad_(requires_grad=False).eval()
        self.text_encoder.to(self.device).requires_grad_(requires_grad=False).eval()
        self.alphas = build_scheduler().alphas_cumprod.to(self.device)
        self.jumps = jumps(build_scheduler())
        rank = QUICK_RANK if what == "quick" else RANK
        self.adapter: Any = build_t2i() if what == "t2i" else UnetLora(self.unet, rank)
        self.adapter.to(self.device)

    def velocity(self, noisy: Tensor, times: Tensor, text: Tensor, **told: Any) -> Tensor:
        """What the U-Net predicts for latents [B, C, h, w], in float32."""
        noisy = noisy.contiguous(memory_format=torch.channels_last).bfloat16()
        with autocast(self.device):
            return self.unet(noisy, times, text.bfloat16(), **told).sample.float()

    def loss(self, latents: Tensor, hints: Tensor, tokens: Tensor) -> Tensor:
        """Weighted error of the predicted velocity, as the model was trained with."""
        latents, hints, tokens = (part.to(self.device) for part in (latents, hints, tokens))
        count = len(latents)
        share = (torch.arange(count) + torch.rand(count)) / count
        if self.what == "t2i":
            share = 1 - (1 - share) ** 2  # where things are is decided in the noise
        times = (share * 1000).long().clamp(0, 999).to(self.device)
        keep = self.alphas[times].view(-1, 1, 1, 1)
        noise = torch.randn_like(latents)
        noisy = keep.sqrt() * latents + (1 - keep).sqrt() * noise
        wanted = keep.sqrt() * noise - (1 - keep).sqrt() * latents
        text = self.text_encoder(tokens).last_hidden_state
        told = {}
        if self.what == "t2i":
            with autocast(self.device):
                told["down_intrablock_additional_residuals"] = list(self.adapter(hints))
        with self.adapter.laid_on() if self.what == "lora" else nullcontext():
            made = self.velocity(noisy, times, text, **told)
        weight = ((SNR_CAP + 1) / (keep / (1 - keep) + 1)).clamp(max=1.0)
        return (weight * functional.mse_loss(made, wanted, reduction="none")).mean()

    def quick_loss(self, paths: Tensor, tokens: Tensor) -> Tensor:
        """Paths [B, 5, C, h, w] and tokens [B, T]: how far off the steps of the LoRA are."""
        paths, tokens = paths.to(self.device), tokens.to(self.device)
        with torch.no_grad():
            text = self.text_encoder(tokens).last_hidden_state
        steps = torch.randint(STEPS, (len(paths),)).to(self.device)
        return path_loss(self, paths, text, steps)


def train(
    work: Path,
    what: str,
    steps: int,
    batch: int,
    rate: float,
    seconds: float,
    paths: int = 3000,
) -> None:
    """Trains for `steps` steps in all, resuming from `work/<what>.pt`, at most so many seconds.

    The learning rate comes down with the steps or with the seconds, whichever are over first. For
    four steps, `paths` are painted beforehand.
    """
    seed_all(1)
    trainer = Trainer(what)
    adapter = trainer.adapter.train()
    averaged = Averaged(adapter, 0.99)
    optimiser = torch.optim.AdamW(adapter.parameters(), rate, betas=(0.9, 0.99), weight_decay=0.01)
    path = work / f"{what}.pt"
    start = load_state(path, adapter, averaged, optimiser)
    rng = np.random.default_rng([1, start])
    torch.manual_seed(1 + start)
    pool: Paths | Pool
    if what == "quick":
        paint_paths(MODEL_FOLDER, work, paths, 1)
        pool = Paths(work)
    else:
        pool = Pool(work, what, CLIPTokenizer.from_pretrained(MODEL_FOLDER / "tokenizer"))
    loss_of = trainer.quick_loss if what == "quick" else trainer.loss
    stopper, begun, shown = Stopper(), time.monotonic(), 0.0
    for step in range(start, steps):
        along = progress(step, steps, time.monotonic() - begun, seconds)
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, along, steps, rate, warmup=30)
        loss = loss_of(*pool.sample(rng, batch))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        optimiser.step()
        averaged.update(adapter, step)
        shown = loss.item() if not shown else 0.97 * shown + 0.03 * loss.item()
        late = stopper.asked or time.monotonic() - begun > seconds
        if (step + 1) % _EVERY == 0 or step + 1 == steps or late:
            save_state(path, step + 1, adapter, averaged, optimiser)
            took = time.monotonic() - begun
            print(f"{what} {step + 1}/{steps} loss {shown:.4f} {took:.0f} s", flush=True)
        if late:
            return


def export(work: Path, what: str, folder: Path) -> None:
    """Writes what has been learned so far, in half precision."""
    trainer = Trainer(what)
    adapter = trainer.adapter
    averaged = torch.load(work / f"{what}.pt", map_location="cpu", weights_only=True)["averaged"]
    adapter.load_state_dict(averaged)
    if what != "t2i":
        name = LORA_NAME if what == "lora" else QUICK_NAME
        folder.mkdir(exist_ok=True)
        save_file(adapter.tensors(), folder / name, metadata={"format": "pt"})
        (folder / name).chmod(0o644)
    else:
        adapter.half().save_pretrained(folder / T2I_NAME)
        for path in (folder / T2I_NAME).iterdir():
            path.chmod(0o644)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("lora", "t2i", "quick"))
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seconds", type=float, default=np.inf)
    parser.add_argument("--paths", type=int, default=3000, help="paths to paint for four steps")
    parser.add_argument("--export", type=Path, nargs="?", const=ADAPTERS_FOLDER)
    given = parser.parse_args()
    if given.export:
        export(given.work, given.what, given.export)
    else:
        train(
            given.work,
            given.what,
            given.steps,
            given.batch,
            given.rate,
            given.seconds,
            given.paths,
        )


if __name__ == "__main__":
    main()
