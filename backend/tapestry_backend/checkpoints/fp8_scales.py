"""8-bit weights with scales of their own ("scaled fp8"), by names and shapes.

As ComfyUI stores them, beside a layer's `weight` stands by what its numbers are to be multiplied:
`scale_weight`, or `weight_scale` in newer files, one number or one for each row. What stands there
for the layer's input (`scale_input`, `input_scale`), or tells how it is stored (`comfy_quant`, and
`scaled_fp8` for all), is of use only to those who compute in 8 bits. See its QUANTIZATION.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tapestry_protocol.sentences import Sentence, quoted

from .safetensors_header import ANOTHER, BrokenFileError
from .shapes import Shapes

_SCALES = (".scale_weight", ".weight_scale")
_UNUSED = ("scale_input", "input_scale", "comfy_quant", "scaled_fp8")
_FOREIGN = ("weight_scale_2", "pre_quant_scale", "weight_scale_inv", "weight_scalar")
_EIGHT_BITS = {"F8_E4M3", "F8_E5M2"}


def check_scales(shapes: Shapes, types: Mapping[str, str]) -> None:
    """Raises BrokenFileError for weights whose scales mean something else than one for each row.

    shapes, types: of a network's tensors, by their names.
    """
    for name, shape in shapes.items():
        if _last(name) in _FOREIGN:
            raise _unknown(name)
        weight = weight_of(name)
        if weight is None:
            continue
        rows = shapes.get(weight, (0,))[:1]
        by_row = rows != (0,) and shape in {rows, (*rows, 1)}
        if types.get(weight) not in _EIGHT_BITS or not (math.prod(shape) == 1 or by_row):
            raise _unknown(name)
    for name in shapes:
        of_layer = name.removesuffix("comfy_quant") + "weight"
        if _last(name) == "comfy_quant" and types.get(of_layer) not in _EIGHT_BITS:
            raise _unknown(name)


def weight_of(name: str) -> str | None:
    """The weight that a scale belongs to; None for what is no scale."""
    end = next((end for end in _SCALES if name.endswith(end)), None)
    return None if end is None else name.removesuffix(end) + ".weight"


def is_packing(name: str) -> bool:
    """Whether a tensor says how others are stored, and is of no use without them."""
    return weight_of(name) is not None or _last(name) in _UNUSED


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _unknown(name: str) -> BrokenFileError:
    return BrokenFileError(
        Sentence(
            "its weights are packed in a way that Tapestry cannot read ({name}); of those in 8 "
            "bits it reads fp8 with one scale for each layer or row",
            name=quoted(name[:60]),
        ),
        ANOTHER,
    )
