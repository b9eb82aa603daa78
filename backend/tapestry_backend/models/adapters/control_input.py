"""What a control network is shown, and for which rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor


class ControlInput(NamedTuple):
    """A network, what it is shown, which of the pictures each row's is, and how firmly it counts.

    pictures [K, 3, H, W] uint8, or what the model makes of them for its networks
    (`Denoiser.prepare_control`)
    mode: the number of the pictures' type, for a network that is several in one
    """

    network: Any
    pictures: Tensor
    rows: Sequence[int]
    weight: float
    mode: int | None = None
