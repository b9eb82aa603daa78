"""Which material a piece of a picture looks like, learnt from plain pictures; numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

PATCH_PX = 32
_NEIGHBOURS = 5


class Appearance:
    """Nearest neighbours among the patches of plain pictures, by colour and texture."""

    def __init__(self, pictures: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Learn from pictures [H, W, 3] of 0..255, several for each name."""
        features, names = [], []
        for name, of_this_name in pictures.items():
            for picture in of_this_name:
                found = [_features(patch) for _, patch in patches(picture)]
                features += found
                names += [name] * len(found)
        self._names = np.array(names)
        known = np.array(features)
        within = [known[self._names == name].std(axis=0) for name in pictures]
        self._scale = np.sqrt(np.mean(np.square(within), axis=0)) + 1e-3
        self._known = known / self._scale

    def name(self, patch: np.ndarray) -> str:
        """The name whose patches this one is nearest to."""
        distances = np.linalg.norm(self._known - _features(patch) / self._scale, axis=1)
        nearest = self._names[np.argsort(distances)[:_NEIGHBOURS]]
        values, counts = np.unique(nearest, return_counts=True)
        return str(values[counts.argmax()])


def patches(
    picture: np.ndarray, mask: np.ndarray | None = None
) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Square patches with their corner (y, x), every half patch; with a mask, those inside it."""
    found = []
    height, width = picture.shape[:2]
    for y in range(0, height - PATCH_PX + 1, PATCH_PX // 2):
        for x in range(0, width - PATCH_PX + 1, PATCH_PX // 2):
            window = slice(y, y + PATCH_PX), slice(x, x + PATCH_PX)
            if mask is None or mask[window].all():
                found.append(((y, x), picture[window]))
    return found


def _features(patch: np.ndarray) -> np.ndarray:
    """Mean colour, its spread, and how much it changes across and down."""
    pixels = patch.astype(float)
    luma = pixels.mean(axis=2)
    across, down = np.abs(np.diff(luma, axis=1)).mean(), np.abs(np.diff(luma, axis=0)).mean()
    return np.array([*pixels.mean(axis=(0, 1)), *pixels.std(axis=(0, 1)), across, down])
