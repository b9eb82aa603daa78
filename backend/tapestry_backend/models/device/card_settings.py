"""How a transformer is held and computed on a device, as the one who starts the backend says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

ATTENTIONS = {
    "native": "native",
    "math": "_native_math",
    "cudnn": "_native_cudnn",
    "flash": "flash",
    "sage": "sage",
    "xformers": "xformers",
}
"""What does attention, and what diffusers calls it; none of those that it would fetch."""


@dataclass(frozen=True)
class CardSettings:
    """Of all models of one backend.

    fp8         a transformer's layers are held in 8 bits (float8_e4m3fn) and computed in the
                model's precision: half the memory of 16 bits, and a little of the quality
    in_layers   transformers and text encoders come to the device layer by layer from the start
    attention   one of `ATTENTIONS`; empty: what torch chooses
    """

    fp8: bool = False
    in_layers: bool = False
    attention: str = ""

    def prepare(self, transformer: Any, dtype: torch.dtype) -> None:
        """A transformer that is not on its device yet; raises TapestryError where it cannot be."""
        if self.attention:
            self._choose_attention(transformer)
        if self.fp8 and not any(
            parameter.dtype == torch.uint8 for parameter in transformer.parameters()
        ):  # what a GGUF file has packed takes as little as it is
            transformer.enable_layerwise_casting(torch.float8_e4m3fn, dtype)

    def _choose_attention(self, transformer: Any) -> None:
        try:
            transformer.set_attention_backend(ATTENTIONS[self.attention])
        except (ImportError, RuntimeError, ValueError) as error:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                Sentence(
                    "Attention cannot be done by {name} here ({why}).",
                    name=quoted(self.attention),
                    why=" ".join(str(error).split())[:200],
                ),
                "Install what is missing, or start the backend without --attention.",
            ) from error
