"""Tells a scene's sky from its ground by colour; taught by the model's single windows of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..metrics.colours import colour_table, named

_TAUGHT = 3
"""Single windows of each scene that teach; one more examines."""

PARTS = 5
"""A scene's uppermost, middle and lowest fifths say what its parts look like."""

TOP, MIDDLE, BOTTOM = range(3)

Plain = Callable[[str, int], np.ndarray]
"""(prompt, seed) -> the model's own picture of it, uint8 [H, W, 3]."""


class SceneParts:
    """Says of each pixel which part of a scene has its colours: top, middle or bottom.

    The middle is asked for because a beach that begins with its sea has lost its sky.
    """

    def __init__(self, paint_plain: Plain) -> None:
        self._paint = paint_plain
        self._plain: dict[str, np.ndarray] = {}

    def name(self, picture: np.ndarray, prompt: str) -> np.ndarray:
        """`TOP`, `MIDDLE` or `BOTTOM` for each pixel of uint8 [H, W, 3]: [H, W]."""
        plain = self._pictures(prompt)[:_TAUGHT]
        fifths = np.array_split(plain, PARTS, axis=1)
        tables = [colour_table(fifths[i]) for i in (0, PARTS // 2, -1)]
        return named(picture, tables, np.zeros(picture.shape[:2], dtype=int))

    def is_whole(self, picture: np.ndarray, prompt: str) -> bool:
        """Whether a picture's uppermost fifth shows the scene's top, and its lowest the bottom."""
        parts = self.name(picture, prompt)
        fifth = max(1, picture.shape[0] // PARTS)
        shows = ((parts[:fifth] == TOP).mean(), (parts[-fifth:] == BOTTOM).mean())
        return bool(min(shows) > 0.5)

    def unseen(self, prompt: str) -> np.ndarray:
        """A single window that taught nothing, uint8 [H, W, 3]."""
        return self._pictures(prompt)[_TAUGHT]

    def _pictures(self, prompt: str) -> np.ndarray:
        if prompt not in self._plain:
            first = 48_000 + 10 * len(self._plain)
            made = [self._paint(prompt, first + i) for i in range(_TAUGHT + 1)]
            self._plain[prompt] = np.stack(made)
        return self._plain[prompt]
