"""A model's own LoRA for few steps, as a request that asks for it is painted with it."""

from __future__ import annotations

from dataclasses import replace

from tapestry_protocol import bundled
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.sentences import Sentence, quoted

QUICK_LORAS = {bundled.SAMPLE: "sample-quick"}
"""By the model's id."""

_STEPS = 4
"""For which they were made, without guidance."""


def with_quick_lora(request: Request) -> Request:
    """The request with its model's LoRA for few steps, and the numbers that go with it.

    Raises TapestryError when the model has none.
    """
    if not request.quick:
        return request
    name = QUICK_LORAS.get(request.model)
    if name is None:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("The model {name} has no quick way to paint.", name=quoted(request.model)),
            "Switch Quick off, or choose the bundled model.",
        )
    is_named = any(lora.adapter == name for lora in request.loras)
    return replace(
        request,
        quick=False,
        loras=request.loras if is_named else (*request.loras, Lora(name, 1.0)),
        regions=tuple(replace(region, guidance_scale=None) for region in request.regions),
        num_inference_steps=_STEPS,
        guidance_scale=1.0,
        scheduler="checkpoint",
    )
