"""Layers whose weights stay packed in memory, and are unpacked when they are computed (GGUF)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_AT_ONCE = 2**23
"""Numbers that are unpacked at once: in single precision, and with what that takes meanwhile, some
hundred MiB."""


class PackedLinear(nn.Linear):
    """A linear layer with its weights in blocks, as a GGUF file has them.

    packed   uint8 [out, bytes of a row]
    kind     how: a `gguf.GGMLQuantizationType`
    """

    def __init__(
        self, in_features: int, out_features: int, kind: Any, dtype: torch.dtype, *, bias: bool
    ) -> None:
        nn.Module.__init__(self)  # nn.Linear's own makes weights
        import gguf  # noqa: PLC0415  an extra

        count, size = gguf.GGML_QUANT_SIZES[kind]
        self.in_features, self.out_features = in_features, out_features
        self.kind, self.dtype = kind, dtype
        rows = torch.empty(
            out_features, in_features // count * size, dtype=torch.uint8, device="meta"
        )
        self.packed = nn.Parameter(rows, requires_grad=False)
        added = torch.empty(out_features, dtype=dtype, device="meta")
        self.register_parameter("bias", nn.Parameter(added) if bias else None)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """Shape and precision of the weights; the numbers are `unpacked()`."""
        return torch.empty(self.out_features, self.in_features, dtype=self.dtype, device="meta")

    def unpacked(self) -> Tensor:
        """The weights [out, in]."""
        return unpacked(self.packed, self.kind, self.dtype)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  torch's own name for it
        return functional.linear(input, self.unpacked(), self.bias)


def weights_of(layer: Any) -> Tensor:
    """A layer's weights, packed or not."""
    return layer.unpacked() if isinstance(layer, PackedLinear) else layer.weight.detach()


def unpacked(packed: Tensor, kind: Any, dtype: torch.dtype) -> Tensor:
    """uint8 [..., bytes of a row] -> [..., numbers of a row] in this precision.

    kind: a `gguf.GGMLQuantizationType`. Computed in single precision, whatever is made of it: the
    scales of small blocks go below what half precision knows.
    """
    import gguf  # noqa: PLC0415  an extra
    from diffusers.quantizers.gguf.utils import dequantize_functions  # noqa: PLC0415  needs gguf

    count, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = packed.reshape(-1, size)
    made = torch.empty(len(blocks), count, dtype=dtype, device=packed.device)
    step = _AT_ONCE // count
    for start in range(0, len(blocks), step):
        some = slice(start, start + step)
        made[some] = dequantize_functions[kind](blocks[some], count, size, dtype=torch.float32)
    return made.reshape(*packed.shape[:-1], -1)


def pack_layers(network: nn.Module, state: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Make room in a network for the packed ones among these tensors, and call them as it does.

    What is no linear layer's weight is unpacked in `state`.
    """
    for name in [name for name, tensor in state.items() if hasattr(tensor, "quant_type")]:
        tensor: Any = state.pop(name)
        path, _, last = name.rpartition(".")
        layer = network.get_submodule(path)
        kind, stored = tensor.quant_type, tensor.as_tensor()
        if last != "weight" or not isinstance(layer, nn.Linear):
            state[name] = unpacked(stored, kind, dtype)
            continue
        packed = PackedLinear(
            layer.in_features, layer.out_features, kind, dtype, bias=layer.bias is not None
        )
        network.set_submodule(path, packed)
        state[f"{path}.packed"] = stored.contiguous()
