"""Composition: does a canvas of several windows show its scene once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..common.prompts import scenes, textures
from ..metrics.detail import detail_energy, mean_ratio
from ..metrics.horizon import has_one_horizon
from .captioned import CaptionedPicture
from .judge import PATCH_PX, STRIDE_PX, PatchNet, patch_grid, train_patches
from .workbench import Measured, Workbench

_LEVELS = 8
"""Bands of a single picture, top to bottom, that the judge tells apart."""

_STEPS = 1000
"""Of teaching: heights in pictures of several scales take longer to tell than prompts."""

_SCALES = (1, 2, 3)
"""How large a scene may be, in windows."""

UNSEEN = 2
"""Single pictures of each scene that teach nothing, but examine."""
_SIZES = ((2, 2), (3, 3), (2, 6))
_SHOWN = 20
"""Pictures on the contact sheet."""

_CAPTIONS = {"one_horizon": "Tapestry", "plain_windows": "plain windows"}


class HeightJudge:
    """Says of each patch where it would lie in a single picture of the same prompt.

    Taught by the model's single-window pictures: each patch's class is its scene and its band. Also
    by the same ones enlarged: a scene that spans three windows is one scene three times as large.
    """

    def __init__(self, net: PatchNet, prompts: Sequence[str], window_px: int) -> None:
        self._net = net
        self._prompts = tuple(prompts)
        self._window_px = window_px

    @classmethod
    def taught(
        cls, pictures: np.ndarray, prompts: Sequence[str], seed: int, steps: int | None = None
    ) -> HeightJudge:
        """A judge taught by single-window pictures, uint8 [K, N, H, W, 3]."""
        count, each, height, _, _ = pictures.shape
        flat = pictures.reshape(count * each, *pictures.shape[2:])
        firsts = np.repeat(np.arange(count), each) * _LEVELS
        shown, classes = zip(*(_enlarged(flat, firsts, by) for by in _SCALES), strict=True)
        net = train_patches(
            np.concatenate(shown),
            np.concatenate(classes),
            count * _LEVELS,
            seed,
            steps or _STEPS,
        )
        return cls(net, prompts, height)

    def heights(self, picture: np.ndarray, prompt: str) -> np.ndarray:
        """uint8 [H, W, 3] -> [h, w] in 0..1, top to bottom, the mean over the bands."""
        first = self._prompts.index(prompt) * _LEVELS
        shares = self._net.logits(picture)[first : first + _LEVELS].softmax(dim=0)
        bands = (torch.arange(_LEVELS) + 0.5) / _LEVELS
        return (shares * bands[:, None, None]).sum(dim=0).numpy()

    def sees_one_horizon(self, picture: np.ndarray, prompt: str) -> bool:
        """Whether the picture, uint8 [H, W, 3], shows its scene from sky to ground once."""
        heights = self.heights(picture, prompt)
        return has_one_horizon(heights, self._window_px // STRIDE_PX, PATCH_PX // STRIDE_PX)


def _enlarged(pictures: np.ndarray, firsts: np.ndarray, by: int) -> tuple[np.ndarray, np.ndarray]:
    """Parts of enlarged pictures, uint8 [M, H, W, 3], and the class of each patch, [M, h, w].

    Of a picture `by` times as high, `by` parts of the old size along its diagonal. firsts [N]: the
    class of the uppermost band of each picture.
    """
    _, height, width, _ = pictures.shape
    rows, columns = patch_grid(height, width)
    middles = np.arange(rows) * STRIDE_PX + PATCH_PX / 2
    parts, classes = [], []
    for picture, first in zip(pictures, firsts, strict=True):
        large = np.asarray(Image.fromarray(picture).resize((width * by, height * by)))
        for i in range(by):
            parts.append(large[i * height :, i * width :][:height, :width])
            bands = ((middles + i * height) / (height * by) * _LEVELS).astype(int)
            classes.append(np.broadcast_to(first + bands[:, None], (rows, columns)))
    return np.stack(parts), np.stack(classes)


def measure_composition(bench: Workbench) -> Measured:
    """The share of scenes with one horizon, with Tapestry's composition and without."""
    painter = bench.painter
    prompts = scenes(painter.settings.model)[: 5 if bench.scope.quick else None]
    bench.say(f"composition: single windows of {len(prompts)} scenes")
    singles = single_windows(bench, prompts)
    judge = HeightJudge.taught(singles[:, :-UNSEEN], prompts, painter.settings.seed)
    asked = _asked(bench, prompts)
    found: dict[str, list[np.ndarray]] = {}
    for name, fields in {"one_horizon": {}, "plain_windows": {"composition": 0.0}}.items():
        bench.say(f"composition: {len(asked)} scenes, {name}")
        found[name] = scene_pictures(bench, asked, **fields)
    seen = {
        name: [judge.sees_one_horizon(each[i], prompt) for i, (_, prompt) in enumerate(asked)]
        for name, each in found.items()
    }
    sharpness, error = texture_detail(bench)
    shares = {name: float(np.mean(each)) for name, each in seen.items()}
    return Measured(
        {
            **shares,
            "sharpness": sharpness,
            **_examined(judge, singles[:, -UNSEEN:], prompts),
        },
        _rows(asked, found, seen),
        errors={name: _error(share, len(asked)) for name, share in shares.items()}
        | {"sharpness": error},
    )


def single_windows(bench: Workbench, prompts: Sequence[str]) -> np.ndarray:
    """The model's own pictures of each scene, uint8 [K, N, H, W, 3]."""
    count = (4 if bench.scope.quick else 6) + UNSEEN
    return np.stack(
        [
            [bench.painter.plain(prompt, 4000 + 100 * k + i) for i in range(count)]
            for k, prompt in enumerate(prompts)
        ]
    )


def scene_pictures(
    bench: Workbench, asked: Sequence[tuple[tuple[int, int], str]], **fields: Any
) -> list[np.ndarray]:
    """A picture, uint8 [H, W, 3], of each scene at each size in windows."""
    painter, side = bench.painter, bench.painter.window_px
    return [
        painter.paint(painter.request(rows * side, columns * side, prompt, 5000 + i, **fields))[
            ..., :3
        ]
        for i, ((rows, columns), prompt) in enumerate(asked)
    ]


def _error(share: float, count: int) -> float:
    return (share * (1 - share) / count) ** 0.5


def texture_detail(bench: Workbench) -> tuple[float, float]:
    """Fine detail of textures at two by two windows over that without composition, and its error.

    Textures, because a scene that is shown twice has twice the edges of one that is shown once.
    """
    prompts = textures(bench.painter.settings.model)[: 2 if bench.scope.quick else 8]
    bench.say(f"composition: {len(prompts)} textures, for their sharpness")
    asked = [((2, 2), prompt) for prompt in prompts]
    ours = scene_pictures(bench, asked)
    plain = scene_pictures(bench, asked, composition=0.0)
    pairs = zip(ours, plain, strict=True)
    return mean_ratio([detail_energy(a) / detail_energy(b) for a, b in pairs])


def _asked(bench: Workbench, prompts: Sequence[str]) -> list[tuple[tuple[int, int], str]]:
    """Sizes in windows and prompts: the smallest size alone in a quick run, otherwise all."""
    sizes, count = (_SIZES[:1], 5) if bench.scope.quick else (_SIZES, 40)
    return [(sizes[i % len(sizes)], prompts[i % len(prompts)]) for i in range(count)]


def _examined(judge: HeightJudge, singles: np.ndarray, prompts: Sequence[str]) -> dict[str, float]:
    """How often the judge is right about unseen single windows, and about two of them stacked."""
    one = [judge.sees_one_horizon(p, prompts[k]) for k, each in enumerate(singles) for p in each]
    stacked = [
        not judge.sees_one_horizon(np.concatenate([a, b]), prompts[k])
        for k, (a, b) in enumerate(singles)
    ]
    return {"judge": float(np.mean(one)), "judge_stacked": float(np.mean(stacked))}


def _rows(
    asked: Sequence[tuple[tuple[int, int], str]],
    found: dict[str, list[np.ndarray]],
    seen: dict[str, list[bool]],
) -> list[list[CaptionedPicture]]:
    return [
        [
            CaptionedPicture(
                f"{prompt}, {_CAPTIONS[name]}: {'one' if seen[name][i] else 'NOT ONE'}", each[i]
            )
            for name, each in found.items()
        ]
        for i, (_, prompt) in enumerate(asked[:_SHOWN])
    ]
