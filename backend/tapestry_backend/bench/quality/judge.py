"""Patch classifiers: small networks that tell what a piece of a picture shows.

They are trained in the same run, on the model's own pictures of one prompt alone: so they measure
whether a place looks like what the model paints for its prompt, and nothing about taste.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

PATCH_PX = 16
"""Side of the square that one judgement sees; nothing beyond it can tell the classes apart."""

STRIDE_PX = 4
"""From one judged patch to the next."""

STEPS = 300
"""Training steps; twice as many find no more."""

_BATCH = 8


class PatchNet(nn.Module):
    """Judges every patch of a picture; its convolutions have no padding and see 16 x 16 pixels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._layers = nn.Sequential(
            *_block(3, 32, kernel=4, stride=2),
            *_block(32, 32, kernel=3, stride=1),
            *_block(32, 64, kernel=3, stride=2),
            *_block(64, 96, kernel=2, stride=1),
            nn.Conv2d(96, classes, 1),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in 0..1 -> logits [B, K, (H - 16) // 4 + 1, (W - 16) // 4 + 1]."""
        return self._layers(pixels * 2 - 1)

    @torch.no_grad()
    def logits(self, picture: np.ndarray) -> Tensor:
        """uint8 [H, W, 3] -> logits [K, h, w]."""
        return self.eval()(_tensor(picture)[None])[0]


class Judge:
    """Names the prompt of every patch."""

    def __init__(self, net: PatchNet, prompts: Sequence[str]) -> None:
        self._net = net
        self.prompts = tuple(prompts)

    @classmethod
    def taught(
        cls, pictures: np.ndarray, prompts: Sequence[str], seed: int, steps: int = STEPS
    ) -> Judge:
        """A judge taught by plain pictures, uint8 [K, N, H, W, 3]: N of each of K prompts."""
        numbers = np.repeat(np.arange(len(pictures)), pictures.shape[1])
        rows, columns = patch_grid(*pictures.shape[2:4])
        classes = np.broadcast_to(numbers[:, None, None], (len(numbers), rows, columns))
        flat = pictures.reshape(-1, *pictures.shape[2:])
        return cls(train_patches(flat, classes, len(pictures), seed, steps), prompts)

    def name(self, picture: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] -> the index of each patch's prompt, [h, w]."""
        return self._net.logits(picture).argmax(dim=0).numpy()

    def accuracy(self, pictures: np.ndarray) -> np.ndarray:
        """Share of patches named rightly in pictures [K, N, H, W, 3], for each prompt: [K]."""
        return np.array(
            [np.mean([self.name(p) == k for p in each]) for k, each in enumerate(pictures)]
        )


def patch_grid(height: int, width: int) -> tuple[int, int]:
    """How many patches lie in a picture, down and across."""
    return (height - PATCH_PX) // STRIDE_PX + 1, (width - PATCH_PX) // STRIDE_PX + 1


def train_patches(
    pictures: np.ndarray, classes: np.ndarray, count: int, seed: int, steps: int = STEPS
) -> PatchNet:
    """A network taught by pictures [N, H, W, 3], and the class (below `count`) of each patch.

    classes [N, h, w]; the same seed gives the same network.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        net = PatchNet(count)
    samples, wanted = _tensor(pictures), torch.from_numpy(np.array(classes, dtype=np.int64))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    net.train()
    for _ in range(steps):
        chosen = torch.randint(len(samples), (_BATCH,), generator=generator)
        loss = functional.cross_entropy(net(_varied(samples[chosen], generator)), wanted[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def _block(before: int, after: int, *, kernel: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, kernel, stride, bias=False)
    return convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)


def _tensor(pictures: np.ndarray) -> Tensor:
    """uint8 [..., H, W, 3] -> float [..., 3, H, W] in 0..1."""
    return torch.from_numpy(np.array(pictures)).movedim(-1, -3).float() / 255


def _varied(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Slightly tinted, blurred and noisy: no name may hang on the finest detail."""
    count = len(pixels)
    blurred = functional.avg_pool2d(pixels, 3, 1, 1, count_include_pad=False)
    share = torch.rand((count, 1, 1, 1), generator=generator)
    tint = 0.03 * torch.randn((count, 3, 1, 1), generator=generator)
    noise = 0.02 * torch.randn(pixels.shape, generator=generator)
    return pixels + share * (blurred - pixels) + tint + noise
