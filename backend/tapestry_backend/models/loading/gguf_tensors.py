"""Tensors of GGUF files, as they are stored there, through gguf's own reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...checkpoints.gguf_header import PACKINGS, read_gguf_header
from ...checkpoints.gguf_names import named_as_elsewhere

_PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def read_gguf(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by the names they have elsewhere; packed ones as `GGUFParameter`.

    Raises BrokenFileError for what the reader is better not given.
    """
    notes = read_gguf_header(path).notes
    from diffusers.quantizers.gguf.utils import GGUFParameter  # noqa: PLC0415  needs gguf
    from gguf import GGUFReader  # noqa: PLC0415  an extra

    made: dict[str, Tensor] = {}
    tensors = GGUFReader(path).tensors
    names = named_as_elsewhere([str(each.name) for each in tensors], notes)
    for name, tensor in zip(names, tensors, strict=True):
        packing = PACKINGS[int(tensor.tensor_type)]
        stored = torch.from_numpy(np.array(tensor.data))  # a copy: the file may go
        if packing.name in _PLAIN:
            made[name] = stored.view(_PLAIN[packing.name])
        else:
            made[name] = GGUFParameter(stored, quant_type=tensor.tensor_type)
    return made
