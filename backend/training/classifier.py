"""Small networks that name what drawn pictures show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .draw import to_bytes
from .materials import MATERIAL_NAMES, MATERIALS

PATCH = 32
Sampler = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


class PictureNet(nn.Module):
    """RGB [B, 3, H, W] in -1..1, at least 32 pixels each way, to logits [B, len(names)]."""

    def __init__(self, names: Sequence[str], width: int = 24, depth: int = 3) -> None:
        super().__init__()
        self.names = tuple(names)
        widths = [min(width * 2**level, 4 * width) for level in range(depth)]
        layers: list[nn.Module] = []
        for before, after in zip([3, *widths[:-1]], widths, strict=True):
            layers += [
                nn.Conv2d(before, after, 5 if before == 3 else 3, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.Conv2d(after, after, 3, 1, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(2 * widths[-1], len(self.names))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits; mean and peak of every feature, so that size and place do not matter."""
        features = self.layers(pictures)
        return self.head(torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1))

    @torch.no_grad()
    def name(self, pictures: np.ndarray) -> list[str]:
        """The likeliest name of each uint8 picture [N, H, W, 3]."""
        self.eval()
        found: list[str] = []
        for start in range(0, len(pictures), 64):
            logits = self(to_input(pictures[start : start + 64]))
            found += [self.names[index] for index in logits.argmax(1).tolist()]
        return found

    def name_patches(self, picture: np.ndarray) -> list[list[str]]:
        """Names of the whole 32-pixel patches of one uint8 picture [H, W, 3], row by row."""
        rows, columns = picture.shape[0] // PATCH, picture.shape[1] // PATCH
        whole = np.asarray(picture)[: rows * PATCH, : columns * PATCH]
        patches = whole.reshape(rows, PATCH, columns, PATCH, 3).swapaxes(1, 2)
        names = self.name(patches.reshape(-1, PATCH, PATCH, 3))
        return [names[row * columns : (row + 1) * columns] for row in range(rows)]


def to_input(pictures: np.ndarray) -> Tensor:
    """Uint8 [N, H, W, 3] to float [N, 3, H, W] in -1..1."""
    batch = torch.from_numpy(np.ascontiguousarray(pictures))
    return batch.permute(0, 3, 1, 2).float() / 127.5 - 1


def _disturbed(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Slightly blurred, tinted and noisy pictures: no name may hang on the finest detail."""
    count = len(pictures)
    blurred = functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    share = torch.rand((count, 1, 1, 1), generator=generator)
    tint = 0.06 * torch.randn((count, 3, 1, 1), generator=generator)
    noise = 0.03 * torch.randn(pictures.shape, generator=generator)
    return pictures + share * (blurred - pictures) + tint + noise


def train_network(net: PictureNet, sample: Sampler, steps: int, batch: int, seed: int) -> None:
    """Trains in place on `sample(rng, batch)`: uint8 pictures [B, H, W, 3] and class numbers."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    net.train()
    for _ in range(steps):
        pictures, classes = sample(rng, batch)
        logits = net(_disturbed(to_input(pictures), generator))
        loss = functional.cross_entropy(logits, torch.from_numpy(classes))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    net.eval()


def texture_crops(pool: np.ndarray, sizes: tuple[int, ...]) -> Sampler:
    """A sampler of square crops from `pool`, uint8 [materials, pictures, H, W, 3]."""

    def sample(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        size = int(rng.choice(sizes))
        classes = rng.integers(0, len(pool), count)
        room = pool.shape[2] - size + 1
        crops = []
        for material in classes:
            top, left = rng.integers(0, room, 2)
            picture = pool[material, rng.integers(pool.shape[1])]
            crops.append(picture[top : top + size, left : left + size])
        return np.stack(crops), classes.astype(np.int64)

    return sample


def draw_pool(seed: int, count: int, size: int) -> np.ndarray:
    """`count` drawings of every material, uint8 [materials, count, size, size, 3]."""
    rng = np.random.default_rng(seed)
    return np.stack(
        [
            np.stack([to_bytes(material.draw(rng, size, size)) for _ in range(count)])
            for material in MATERIALS
        ]
    )


def train_patch_classifier(seed: int = 7, steps: int = 400, drawings: int = 16) -> PictureNet:
    """A network that names 32-pixel patches, trained on drawings; less than a minute on a CPU."""
    torch.manual_seed(seed)
    net = PictureNet(MATERIAL_NAMES)
    train_network(net, texture_crops(draw_pool(seed, drawings, 160), (PATCH,)), steps, 96, seed)
    return net
