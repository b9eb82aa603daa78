"""Tells a scene's sky from its ground by colour; taught by the model's single windows of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .metrics.colours import colour_table, named

_TAUGHT = 3
"""Single windows of each scene that teach; one more examines."""

PARTS = 5
"""A scene's uppermost and lowest fifths say what its sky and its ground look like."""

Plain = Callable[[str, int], np.ndarray]
"""(prompt, seed) -> the model's own picture of it, uint8 [H, W, 3]."""


class SceneParts:
    """Says of each pixel whether it has the colours of a scene's top, or those of its bottom."""

    def __init__(self, paint_plain: Plain) -> None:
        self._paint = paint_plain
        self._plain: dict[str, np.ndarray] = {}

    def name(self, picture: np.ndarray, prompt: str) -> np.ndarray:
        """0 where a picture, uint8 [H, W, 3], looks like the scene's top, 1 like its bottom."""
        plain = self._pictures(prompt)[:_TAUGHT]
        fifth = plain.shape[1] // PARTS
        tables = [colour_table(plain[:, :fifth]), colour_table(plain[:, -fifth:])]
        return named(picture, tables, np.zeros(picture.shape[:2], dtype=int))

    def is_whole(self, picture: np.ndarray, prompt: str) -> bool:
        """Whether a picture's uppermost fifth shows the scene's top, and its lowest the bottom."""
        below = self.name(picture, prompt)
        fifth = max(1, picture.shape[0] // PARTS)
        return bool(below[:fifth].mean() < 0.5 < below[-fifth:].mean())

    def unseen(self, prompt: str) -> np.ndarray:
        """A single window that taught nothing, uint8 [H, W, 3]."""
        return self._pictures(prompt)[_TAUGHT]

    def _pictures(self, prompt: str) -> np.ndarray:
        if prompt not in self._plain:
            first = 48_000 + 10 * len(self._plain)
            made = [self._paint(prompt, first + i) for i in range(_TAUGHT + 1)]
            self._plain[prompt] = np.stack(made)
        return self._plain[prompt]
