"""Where numbers that are not finite end a job."""

from __future__ import annotations

import torch
from torch import Tensor

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, as_sentence


def check_finite(values: Tensor, stage: str) -> None:
    """Raises TapestryError when a number is NaN or infinite: a black layer would be of no use."""
    if not bool(torch.isfinite(values).all()):
        raise TapestryError(
            ErrorCode.NOT_FINITE,
            Sentence(
                "The model gave numbers that are not finite while {stage}.",
                stage=as_sentence(stage),
            ),
            "Try a lower guidance scale, or another checkpoint.",
        )
