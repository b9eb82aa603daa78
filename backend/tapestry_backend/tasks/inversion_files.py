"""Inversions on disk: a picture that is edited again is not taken back to noise again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from .tensor_files import TensorFiles

_MOST_BYTES = 2**29
"""All of them together. One of 1024 x 1024 pixels takes 13 MB with Stable Diffusion XL in 50 steps.
"""


class InversionFiles:
    """The levels of inverted pictures, by what they depend on; as `TensorFiles`."""

    def __init__(self, folder: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._files = TensorFiles(folder, most_bytes)

    def find(self, key: str) -> dict[int, Tensor] | None:
        """Levels [L, C, H, W] by the index of their step, float32 on the CPU; None: not kept."""
        levels = self._files.find(key)
        if levels is None:
            return None
        try:
            return {int(name): tensor for name, tensor in levels.items()}
        except ValueError:
            self._files.forget(key)
            return None

    def keep(self, key: str, levels: Mapping[int, Tensor]) -> None:
        """Keep the levels of an inversion, and let old ones go."""
        self._files.keep(key, {str(index): tensor for index, tensor in levels.items()})
