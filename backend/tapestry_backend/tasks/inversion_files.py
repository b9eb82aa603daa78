"""Inversions on disk: a picture that is edited again is not taken back to noise again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tapestry_protocol.files import write_whole

_MOST_BYTES = 2**29
"""All of them together; the one that was used longest ago goes first. One of 1024 x 1024 pixels
takes 13 MB with Stable Diffusion XL in 50 steps."""

_ENDING = ".safetensors"


class InversionFiles:
    """The levels of inverted pictures, by what they depend on.

    folder: made when something is kept; none but its owner can read what is in it. most_bytes: of
    all files together. A file that cannot be read or written only costs the time of inverting.
    """

    def __init__(self, folder: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def find(self, key: str) -> dict[int, Tensor] | None:
        """Levels [L, C, H, W] by the index of their step, float32 on the CPU; None: not kept."""
        path = self._folder / f"{key}{_ENDING}"
        try:
            levels = safetensors.torch.load(path.read_bytes())
            os.utime(path)  # it has been used
            return {int(name): tensor for name, tensor in levels.items()}
        except OSError:
            return None
        except (safetensors.SafetensorError, ValueError):
            path.unlink(missing_ok=True)  # cut off or damaged
            return None

    def keep(self, key: str, levels: Mapping[int, Tensor]) -> None:
        """Keep the levels of an inversion, and let old ones go."""
        named = {
            str(index): tensor.to("cpu", torch.float32).contiguous()
            for index, tensor in levels.items()
        }
        data = safetensors.torch.save(named)
        if len(data) > self._most_bytes:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._folder / f"{key}{_ENDING}", [data], mode=0o600)
            self._let_old_ones_go()
        except OSError:
            return  # a full disk takes nothing from the picture

    def _let_old_ones_go(self) -> None:
        files = [(path, path.stat()) for path in self._folder.glob(f"*{_ENDING}")]
        total = sum(status.st_size for _, status in files)
        for path, status in sorted(files, key=lambda each: each[1].st_mtime_ns):
            if total <= self._most_bytes:
                return
            path.unlink(missing_ok=True)
            total -= status.st_size


def key_of(tensors: Iterable[Tensor], settings: object, weights: Path) -> str:
    """What an inversion depends on, as a name for its file.

    tensors: picture, texts and shares. settings: everything else, by its `repr`. weights: the
    model's file or folder; a model that was changed is another one.
    """
    digest = hashlib.sha256(repr(settings).encode())
    for tensor in tensors:
        values = tensor.detach().to("cpu", torch.float32).contiguous()
        digest.update(repr(tuple(values.shape)).encode())
        digest.update(values.numpy().tobytes())
    files = sorted(weights.rglob("*.safetensors")) if weights.is_dir() else [weights]
    for file in files:
        status = file.stat()
        digest.update(f"{file}:{status.st_size}:{status.st_mtime_ns}".encode())
    return digest.hexdigest()
