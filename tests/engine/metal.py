"""Tensors that refuse what Apple's GPUs refuse, with their words, on a computer without one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

NO_FLOAT64 = (
    "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."
)
NO_SUCH_POOL = "Adaptive pool MPS: input sizes must be divisible by output sizes."


class Metal(Tensor):
    """A tensor as if on an Apple GPU; what is computed from it is there too, until `cpu()`.

    Converting on the way to the processor, `to("cpu", dtype)`, happens on the GPU, as there.
    """

    @classmethod
    def of(cls, values: Tensor) -> Metal:
        """The same numbers over there; raises TypeError for numbers it does not know."""
        if values.dtype == torch.float64:
            raise TypeError(NO_FLOAT64)
        return values.as_subclass(cls)

    @classmethod
    def __torch_function__(
        cls, function: Any, kinds: Any, arguments: tuple = (), named: dict | None = None
    ) -> Any:
        given = (*arguments, *(named or {}).values())
        if function in {Tensor.double, Tensor.to, Tensor.type} and (
            torch.float64 in given or function is Tensor.double
        ):
            raise TypeError(NO_FLOAT64)
        if function is functional.adaptive_avg_pool2d:
            values, size = arguments[:2]
            sides = zip(values.shape[-2:], size, strict=True)
            if any(side % wanted for side, wanted in sides):
                raise RuntimeError(NO_SUCH_POOL)
        made = super().__torch_function__(function, kinds, arguments, named)
        leaves = function is Tensor.cpu or (function is Tensor.to and "cpu" in given)
        return made.as_subclass(Tensor) if leaves and isinstance(made, Tensor) else made
