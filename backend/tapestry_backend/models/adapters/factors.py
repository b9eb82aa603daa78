"""The factors of which a LoRA's change of a layer is made, and what it makes of an input.

Each kind of file stores a change of a layer's weights as a product of smaller tensors: LoRA (Hu et
al. 2021) as two matrices, LoHa as two such products multiplied number by number (Hyeon-Woo et al.
2022), LoKr as a Kronecker product (Edalati et al. 2022), for convolutions perhaps with a small core
between (Tucker). The names are those of LyCORIS (Yeh et al. 2024).
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Factors(ABC):
    """The tensors of one layer, by their roles (`Role` in `checkpoints.lora_keys`)."""

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        self._parts = dict(parts)

    @property
    def parts(self) -> Mapping[str, Tensor]:
        """By their roles."""
        return self._parts

    def to(self, *place: Any) -> Factors:
        """The same on another device, or in another precision."""
        return type(self)({role: part.to(*place) for role, part in self._parts.items()})

    @property
    @abstractmethod
    def rank(self) -> int | None:
        """By which a file's alpha is divided; None where that means nothing."""

    @abstractmethod
    def change(self) -> Tensor:
        """What is added to the layer's weights, flat or in their shape.

        Raises RuntimeError when the factors do not belong together.
        """

    def fits(self, layer: Any) -> bool:
        """Whether the change has the layer's shape; no number is computed."""
        wanted = layer.weight.shape
        try:
            change = self.to("meta").change()
            sized = change.shape[0] == wanted[0] and change.numel() == wanted.numel()
            return sized and self.rank != 0 and all(part.ndim > 1 for part in self._parts.values())
        except (RuntimeError, IndexError):
            return False

    def beside(self, layer: Any, given: Tensor) -> Tensor:
        """What the change makes of the layer's input.

        The change itself is computed anew each time: kept, it would be as large as the layer.
        """
        change = self.change().reshape(layer.weight.shape)
        if isinstance(layer, nn.Conv2d):
            return _convolved(layer, given, change)
        return functional.linear(given.to(change.dtype), change)

    def split(self, rows: Sequence[int]) -> list[Factors]:
        """The same for several layers whose rows, so many each, are one after the other in it.

        Raises RuntimeError when it has not as many.
        """
        made = self.to("meta").change()
        if made.ndim < 2 or made.shape[0] != sum(rows):
            raise RuntimeError(f"{tuple(made.shape)} is no change of {sum(rows)} rows")
        stops = list(itertools.accumulate(rows))
        return [Rows(self, stop - size, stop) for size, stop in zip(rows, stops, strict=True)]

    def _core(self, core: str, outer: str, inner: str) -> Tensor:
        """From outer [r, out], core [r, s, h, w], inner [s, in] -> [out, in, h, w]."""
        parts = self._parts[core], self._parts[outer], self._parts[inner]
        return torch.einsum("rshw,ro,si->oihw", *parts)


class LowRank(Factors):
    """down [r, in, ...] and up [out, r, ...]: multiplied for a DoRA's lengths alone."""

    @property
    def rank(self) -> int:
        return self._parts["down"].shape[0]

    def change(self) -> Tensor:
        down, up = self._parts["down"], self._parts["up"]
        return up.flatten(1) @ down.flatten(1)

    def fits(self, layer: Any) -> bool:
        down = self._parts["down"]
        wide = layer.weight.shape[1:]
        narrow = down.ndim == 2 and all(side == 1 for side in wide[1:])
        same = down.shape[1 : 1 + len(wide)] == wide and down[0].numel() == wide.numel()
        return super().fits(layer) and (narrow or same)

    def beside(self, layer: Any, given: Tensor) -> Tensor:
        down, up = self._parts["down"], self._parts["up"]
        if not isinstance(layer, nn.Conv2d):
            low = functional.linear(given.to(down.dtype), down.flatten(1))
            return functional.linear(low, up.flatten(1))
        # The first of the two does what the layer does: its steps and its padding.
        low = _convolved(layer, given, down[..., None, None] if down.ndim == 2 else down)
        return functional.conv2d(low, up.flatten(1)[..., None, None])

    def split(self, rows: Sequence[int]) -> list[Factors]:
        down, up = self._parts["down"], self._parts["up"]
        return [LowRank({"down": down, "up": part}) for part in up.split(list(rows))]


class Gated(LowRank):
    """Down [1, in] and up [out, 1], open for inputs that look like one word (Tewel et al. 2023).

    `down` says how much an input looks like it: 1 for the word itself.
    """

    bias, temperature = 0.75, 0.1
    """Where the gate is half open, and how soft it is: the paper's values in use."""

    def beside(self, layer: Any, given: Tensor) -> Tensor:  # noqa: ARG002  as for any other
        down, up = self._parts["down"], self._parts["up"]
        alike = functional.linear(given.to(down.dtype), down)
        gate = torch.sigmoid((alike - self.bias) / self.temperature)
        return functional.linear(alike * gate, up)


class LowRankWithCore(Factors):
    """down [r, in, 1, 1], mid [r, r, h, w], up [out, r, 1, 1]."""

    @property
    def rank(self) -> int:
        return self._parts["down"].shape[0]

    def change(self) -> Tensor:
        down, mid, up = (self._parts[role] for role in ("down", "mid", "up"))
        return torch.einsum("rshw,or,si->oihw", mid, up.flatten(1), down.flatten(1))


class Hadamard(Factors):
    """Two products of the kind w_a [out, r] and w_b [r, in ...], or of w_a [r, out] and a core."""

    @property
    def rank(self) -> int:
        return self._parts["hada_w1_b"].shape[0]

    def change(self) -> Tensor:
        return self._product(1) * self._product(2)

    def _product(self, number: int) -> Tensor:
        outer, inner, core = f"hada_w{number}_a", f"hada_w{number}_b", f"hada_t{number}"
        if core in self._parts:
            return self._core(core, outer, inner)
        return self._parts[outer] @ self._parts[inner]


class Kronecker(Factors):
    """A small matrix, each of whose numbers is multiplied with all of another, larger one.

    Either may be a product of two. Where neither is, a file's alpha means nothing.
    """

    @property
    def rank(self) -> int | None:
        inner = [role for role in ("lokr_w2_b", "lokr_w1_b") if role in self._parts]
        return self._parts[inner[0]].shape[0] if inner else None

    def change(self) -> Tensor:
        small, large = self._factor("lokr_w1"), self._factor("lokr_w2")
        return torch.kron(
            small.reshape((*small.shape, *[1] * (large.ndim - 2))), large.contiguous()
        )

    def _factor(self, role: str) -> Tensor:
        if role in self._parts:
            return self._parts[role]
        if "lokr_t2" in self._parts and role == "lokr_w2":
            return self._core("lokr_t2", f"{role}_a", f"{role}_b")
        return self._parts[f"{role}_a"] @ self._parts[f"{role}_b"]


class NormShift(Factors):
    """What is added to a norm's weight (w_norm) and to its bias (b_norm), both [C] (LyCORIS)."""

    @property
    def rank(self) -> int | None:
        return None

    def change(self) -> Tensor:
        raise RuntimeError("a norm's change is no matrix")

    def fits(self, layer: Any) -> bool:
        own = layer.weight if isinstance(layer, NORMS) else None
        return own is not None and all(part.shape == own.shape for part in self._parts.values())

    def beside(self, layer: Any, given: Tensor) -> Tensor:
        """A norm is linear in its weight and bias: with these instead it gives the difference."""
        weight, bias = self._parts.get("w_norm"), self._parts.get("b_norm")
        if weight is None:
            weight = torch.zeros_like(layer.weight)
        given = given.to(weight.dtype)
        if isinstance(layer, nn.GroupNorm):
            return functional.group_norm(given, layer.num_groups, weight, bias, layer.eps)
        return functional.layer_norm(given, layer.normalized_shape, weight, bias, layer.eps)


NORMS = nn.GroupNorm | nn.LayerNorm


class Rows(Factors):
    """Some rows of a change that is made for several layers at once."""

    def __init__(self, whole: Factors, start: int, stop: int) -> None:
        super().__init__({})
        self._whole, self._start, self._stop = whole, start, stop

    @property
    def rank(self) -> int | None:
        return self._whole.rank

    def to(self, *place: Any) -> Factors:
        return Rows(self._whole.to(*place), self._start, self._stop)

    def change(self) -> Tensor:
        return self._whole.change()[self._start : self._stop]


class Kept(Factors):
    """A change that was computed once, of factors that would be multiplied at every call."""

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        super().__init__(parts)
        self.rank_of_factors: int | None = None

    @classmethod
    def of(cls, factors: Factors) -> Kept:
        """The same numbers as the factors give each time."""
        kept = cls({"change": factors.change()})
        kept.rank_of_factors = factors.rank
        return kept

    @property
    def rank(self) -> int | None:
        return self.rank_of_factors

    def change(self) -> Tensor:
        return self._parts["change"]


_KRONECKER = ("lokr_w1", "lokr_w2")


def factors_of(parts: Mapping[str, Tensor]) -> Factors | None:
    """The factors of a layer, by its tensors' roles; None when some of them are missing."""
    roles = parts.keys()
    if roles and roles <= {"w_norm", "b_norm"}:
        return NormShift(parts)
    if {"down", "up"} <= roles:
        return LowRankWithCore(parts) if "mid" in roles else LowRank(parts)
    if {f"hada_w{number}_{side}" for number in (1, 2) for side in "ab"} <= roles:
        return Hadamard(parts)
    if all(name in roles or {f"{name}_a", f"{name}_b"} <= roles for name in _KRONECKER):
        return Kronecker(parts)
    return None


def _convolved(layer: Any, given: Tensor, weight: Tensor) -> Tensor:
    """With the layer's steps and padding."""
    given = given.to(weight.dtype)
    return functional.conv2d(given, weight, None, layer.stride, layer.padding, layer.dilation)
