"""Teaches the decoder alone to paint crisp shapes; latents, and with them the U-Net, stay.

The autoencoder is taught by distances of pixels, which a soft picture keeps small where the latents
leave something open. Here a critic of small patches learns beside the decoder to tell its pictures
from drawings (hinge loss, as in VQGAN; Esser et al., 2021), and most of the latents are not the
encoder's but the diffusion model's own, which is what the decoder is given in use: some painted
near a drawing, which should come out of them, and some painted from noise alone. The latter have no
drawing; they keep the colours that the decoder gave them before, and the critic asks for the rest.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

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
from .export import assemble, load_averaged
from .labels import Label
from .muon import Muon
from .train_autoencoder import CROP, GROUP_NAMES, NOISE, build_autoencoder, picture_loss, psnr

CELLS = CROP // 8 + 1
# Parts of the encoded latents, of those painted near a drawing, and of those painted from noise.
PARTS = (0.3, 0.3, 0.4)
PAINTED_NAME, FRESH_NAME = "painted.latents.pt", "fresh.latents.pt"
# The painted ones begin between these timesteps: further up, another picture would come out.
NOISY_TIMES, GUIDANCES, PAINT_STEPS = (80, 400), (1.0, 5.0), 3
FRESH_STEPS, FRESH_GUIDANCE = 20, 5.0
# The critic has its say once it knows a little.
CRITIC_FROM, CRITIC_FULL, CRITIC_RATE = 50, 200, 4e-4
# What is encoded should come back as it was: there the critic counts this much of its weight.
CRITIC_ON_ENCODED = 0.2
# Pictures painted from noise are compared with their former selves as squares of this many pixels.
COARSE_PX = 8


def build_critic() -> nn.Sequential:
    """Pictures [B, 3, H, W] in -1..1 to how drawn each patch looks, [B, 1, H / 4, W / 4]."""
    shapes = ((3, 32, 4, 2), (32, 64, 4, 2), (64, 128, 3, 1), (128, 1, 3, 1))
    layers: list[nn.Module] = []
    for taken, made, kernel, stride in shapes:
        layers += [spectral_norm(nn.Conv2d(taken, made, kernel, stride, 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def critic_loss(critic: nn.Module, drawn: Tensor, made: Tensor) -> Tensor:
    """Hinge loss: drawn pictures above one, the decoder's below minus one."""
    real, false = critic(torch.cat([drawn, made.detach()])).float().chunk(2)
    return functional.relu(1 - real).mean() + functional.relu(1 + false).mean()


@torch.inference_mode()
def paint_near(
    pipeline: StableDiffusionPipeline,
    latents: Tensor,
    words: list[str],
    timestep: int,
    guidance: float,
) -> Tensor:
    """Scaled latents [B, C, h, w], made noisy and painted again in three steps: nearly the same."""
    device, alphas = latents.device, pipeline.scheduler.alphas_cumprod
    tokens = pipeline.tokenizer(
        [*words, *[""] * len(words)], padding="max_length", truncation=True, return_tensors="pt"
    ).input_ids
    text = pipeline.text_encoder(tokens.to(device)).last_hidden_state
    times = [timestep * left // PAINT_STEPS for left in range(PAINT_STEPS, 0, -1)]
    clean, noise = latents, torch.randn_like(latents)
    for now in times:
        keep = alphas[now]
        noisy = keep.sqrt() * clean + (1 - keep).sqrt() * noise
        worded, plain = pipeline.unet(noisy.repeat(2, 1, 1, 1), now, text).sample.chunk(2)
        velocity = plain + guidance * (worded - plain)
        clean = keep.sqrt() * noisy - (1 - keep).sqrt() * velocity
        noise = keep.sqrt() * velocity + (1 - keep).sqrt() * noisy
    return clean


def paint_latents(work: Path, count: int, seed: int) -> None:
    """Writes `painted.latents.pt`: raw latents of `count` drawings, painted again by the model."""
    device, rng = pick_device(), np.random.default_rng(seed)
    torch.manual_seed(seed)
    pipeline = assemble(work).to(device)
    factor = pipeline.vae.config.scaling_factor
    latents = torch.load(work / "pictures.latents.pt", weights_only=True)
    labels = json.loads((work / "pictures.json").read_text(encoding="utf-8"))
    numbers, parts = rng.permutation(len(latents))[:count], []
    for start in range(0, len(numbers), 24):
        part = numbers[start : start + 24]
        words = [caption(rng, Label(**labels[number])) for number in part]
        near = paint_near(
            pipeline,
            latents[part].float().to(device) * factor,
            words,
            int(rng.integers(*NOISY_TIMES)),
            float(rng.uniform(*GUIDANCES)),
        )
        parts.append((near / factor).half().cpu())
    torch.save(
        {"index": torch.from_numpy(numbers), "latents": torch.cat(parts)}, work / PAINTED_NAME
    )


@torch.inference_mode()
def paint_fresh(work: Path, count: int, seed: int) -> None:
    """Writes `fresh.latents.pt`: raw latents painted from noise, after the words of drawings.

    Beside them the number of each drawing, and the picture that the decoder makes of them today,
    uint8 [N, 3, H, W].
    """
    device, rng = pick_device(), np.random.default_rng(seed)
    pipeline = assemble(work).to(device)
    pipeline.set_progress_bar_config(disable=True)
    labels = json.loads((work / "pictures.json").read_text(encoding="utf-8"))
    shape = torch.load(work / "pictures.latents.pt", weights_only=True).shape[2:]
    numbers, latents, pictures = rng.permutation(len(labels))[:count], [], []
    for start in range(0, len(numbers), 16):
        part = numbers[start : start + 16]
        made = pipeline(
            [caption(rng, Label(**labels[number])) for number in part],
            height=8 * shape[0],
            width=8 * shape[1],
            num_inference_steps=FRESH_STEPS,
            guidance_scale=FRESH_GUIDANCE,
            generator=torch.Generator().manual_seed(seed + start),
            output_type="latent",
        ).images
        raw = made / pipeline.vae.config.scaling_factor
        latents.append(raw.half().cpu())
        picture = pipeline.vae.decode(raw).sample
        pictures.append(((picture / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).cpu())
    content = {"latents": torch.cat(latents), "pictures": torch.cat(pictures)}
    torch.save(content | {"index": torch.from_numpy(numbers)}, work / FRESH_NAME)


class Source(NamedTuple):
    """Latents [N, C, h, w] and the pictures [M, 8 h, 8 w, 3] they are of, by `index` [N].

    `before`, where those pictures only have the same subject: what was decoded, [N, 8 h, 8 w, 3].
    """

    latents: Tensor
    pictures: np.ndarray
    index: np.ndarray
    before: np.ndarray | None = None


class Batch(NamedTuple):
    """Latents [B, C, 7, 7], drawings and wanted pictures [B, 3, 56, 56] in -1..1, and two weights.

    `exact` [B] is one where the wanted picture should come out to the pixel, `critic` [B] is how
    much the critic has to say.
    """

    latents: Tensor
    drawn: Tensor
    wanted: Tensor
    exact: Tensor
    critic: Tensor


class Pairs:
    """Latents and the drawings that should come out of them."""

    def __init__(self, work: Path) -> None:
        pictures = {name: np.load(work / f"{name}.npy", mmap_mode="r") for name in GROUP_NAMES}
        self.encoded = []
        for name in GROUP_NAMES:
            latents = torch.load(work / f"{name}.latents.pt", weights_only=True)
            self.encoded.append(Source(latents, pictures[name], np.arange(len(latents))))
        painted = torch.load(work / PAINTED_NAME, weights_only=True)
        self.painted = Source(painted["latents"], pictures["pictures"], painted["index"].numpy())
        fresh = torch.load(work / FRESH_NAME, weights_only=True)
        self.fresh = Source(
            fresh["latents"],
            pictures["pictures"],
            fresh["index"].numpy(),
            fresh["pictures"].permute(0, 2, 3, 1).numpy(),
        )

    def sample(self, rng: np.random.Generator, count: int) -> Batch:
        """`count` crops; latents that were encoded get noise."""
        latents, drawn, wanted, kinds = [], [], [], rng.choice(len(PARTS), count, p=PARTS)
        for kind in kinds:
            encoded = self.encoded[rng.integers(len(self.encoded))]
            source = (encoded, self.painted, self.fresh)[kind]
            number = int(rng.integers(len(source.latents)))
            whole = source.latents[number]
            top, left = (int(rng.integers(side - CELLS + 1)) for side in whole.shape[1:])
            cells = whole[:, top : top + CELLS, left : left + CELLS].float()
            if kind == 0:
                cells = cells + NOISE * rng.uniform() * torch.randn_like(cells)
            latents.append(cells)
            place = np.s_[8 * top : 8 * (top + CELLS), 8 * left : 8 * (left + CELLS)]
            drawn.append(_unit(source.pictures[source.index[number]][place]))
            before = source.before
            wanted.append(drawn[-1] if before is None else _unit(before[number][place]))
        latents, drawn, wanted = (
            torch.stack(part).contiguous(memory_format=torch.channels_last)
            for part in (latents, drawn, wanted)
        )
        given = torch.from_numpy(kinds)
        critic = torch.where(given == 0, CRITIC_ON_ENCODED, 1.0)
        return Batch(latents, drawn, wanted, (given < 2).float(), critic)


def _unit(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 127.5 - 1


def distance(made: Tensor, batch: Batch) -> Tensor:
    """The loss of an autoencoder where a picture should come out, else that of coarse colours."""
    exact, total = batch.exact > 0, made.new_zeros(())
    if exact.any():
        total = total + exact.float().mean() * picture_loss(made[exact], batch.wanted[exact])
    if not exact.all():
        coarse = functional.avg_pool2d((made - batch.wanted)[~exact], COARSE_PX)
        total = total + 2 * (~exact).float().mean() * (coarse.abs().mean() + coarse.square().mean())
    return total


def build_optimisers(
    decoder: nn.Sequential, critic: nn.Module, rate: float
) -> list[torch.optim.Optimizer]:
    """Muon for the decoder's inner matrices, AdamW for its end, its biases and the critic."""
    end = {id(parameter) for parameter in decoder[-1].parameters()}
    matrices = [p for p in decoder.parameters() if p.dim() > 1 and id(p) not in end]
    inner = {id(parameter) for parameter in matrices}
    others = [p for p in decoder.parameters() if id(p) not in inner]
    return [
        Muon(matrices, rate),
        torch.optim.AdamW(others, rate, betas=(0.9, 0.98)),
        torch.optim.AdamW(critic.parameters(), CRITIC_RATE, betas=(0.5, 0.9)),
    ]


def train(given: argparse.Namespace) -> None:
    """Trains for `given.steps` steps in all, resuming from `decoder.pt` where it exists."""
    device, path = pick_device(), given.work / "decoder.pt"
    seed_all(given.seed)
    if not (given.work / PAINTED_NAME).exists():
        paint_latents(given.work, given.painted, given.seed)
    if not (given.work / FRESH_NAME).exists():
        paint_fresh(given.work, given.fresh, given.seed)
    model = build_autoencoder()
    load_averaged(model, given.work / "autoencoder.pt")
    model = model.to(device, memory_format=torch.channels_last)
    critic = build_critic().to(device, memory_format=torch.channels_last)
    decoder = model.decoder
    both = nn.ModuleDict({"decoder": decoder, "critic": critic})
    averaged = Averaged(decoder, 0.998)
    *optimisers, critics = build_optimisers(decoder.layers, critic, given.rate)
    start = load_state(path, both, averaged, *optimisers, critics)
    rng = np.random.default_rng([given.seed, start])
    torch.manual_seed(given.seed + start)
    pairs, held_out = Pairs(given.work), np.load(given.work / "unseen.npy", mmap_mode="r")[:128]
    stopper, threads, begun, shown = Stopper(), ThreadChooser(), time.monotonic(), 0.0
    for step in range(start, given.steps):
        threads.step(step)
        along = progress(step, given.steps, time.monotonic() - begun, given.seconds)
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = cosine_rate(step, along, given.steps, given.rate, warmup=50)
        batch = Batch(*(part.to(device) for part in pairs.sample(rng, given.batch)))
        say = (step - CRITIC_FROM) / (CRITIC_FULL - CRITIC_FROM)
        with autocast(device):
            made = decoder(batch.latents).float()
            critic.requires_grad_(False)  # noqa: FBT003
            doubt = -(critic(made).float().mean((1, 2, 3)) * batch.critic).mean()
            critic.requires_grad_(True)  # noqa: FBT003
        loss = distance(made, batch)
        both.zero_grad(set_to_none=True)
        (loss + given.critic * min(1.0, max(0.0, say)) * doubt).backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        with autocast(device):
            critic_loss(critic, batch.drawn, made).backward()
        for optimiser in (*optimisers, critics):
            optimiser.step()
        averaged.update(decoder, step)
        shown = loss.item() if step == start else 0.98 * shown + 0.02 * loss.item()
        late = stopper.asked or time.monotonic() - begun > given.seconds
        if (step + 1) % 250 == 0 or step + 1 == given.steps or late:
            save_state(path, step + 1, both, averaged, *optimisers, critics)
            with averaged.swapped(decoder):
                value = psnr(model, held_out)
            took = time.monotonic() - begun
            print(
                f"{step + 1}/{given.steps} loss {shown:.4f} psnr {value:.2f} dB {took:.0f} s",
                flush=True,
            )
        if late:
            return


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What the command line says, or `words`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--critic", type=float, default=0.08, help="how much the critic counts")
    parser.add_argument("--painted", type=int, default=4800, help="drawings to paint beforehand")
    parser.add_argument("--fresh", type=int, default=1600, help="pictures to paint beforehand")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after this time")
    return parser.parse_args(words)


if __name__ == "__main__":
    train(arguments())
