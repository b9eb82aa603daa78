"""Tensors on disk, so that what took long is not computed again; and what names them."""

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

_ENDING = ".safetensors"


class TensorFiles:
    """Named tensors, by what they depend on.

    folder: made when something is kept; none but its owner can read what is in it. most_bytes: of
    all files together; the one that was used longest ago goes first. A file that cannot be read or
    written only costs the time of making it.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def find(self, key: str) -> dict[str, Tensor] | None:
        """The tensors by name, float32 on the CPU; None: not kept."""
        path = self._folder / f"{key}{_ENDING}"
        try:
            tensors = safetensors.torch.load(path.read_bytes())
            os.utime(path)  # it has been used
        except OSError:
            return None
        except (safetensors.SafetensorError, ValueError):
            self.forget(key)  # cut off or damaged
            return None
        return tensors

    def forget(self, key: str) -> None:
        """Let a file go that is of no use."""
        (self._folder / f"{key}{_ENDING}").unlink(missing_ok=True)

    def keep(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep these under a key, in place of what was there, and let old ones go."""
        named = {
            name: tensor.detach().to("cpu", torch.float32).contiguous()
            for name, tensor in tensors.items()
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
    """What kept tensors depend on, as a name for their file.

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
