"""What an artist reads when memory gives out, or when settings do not suit the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.sentences import Sentence, as_sentence, quoted

from ..engine.out_of_memory import is_out_of_memory
from ..models.device.memory import free_and_total_bytes
from .events import Progressed

Event = TypeVar("Event")

_GIB = 2**30
_MOST_STEPS = {"lcm": 8, "turbo": 4, "lightning": 8, "hyper": 8, "tcd": 8, "schnell": 4}
"""Steps that each kind of few-step checkpoint was made for."""

_MORE, _MOST_SCALE = 2, 2.5
"""How many times as many steps, and which guidance scale, are too much for these."""

_START, _REST = 40, 600
"""Characters of a prompt that a sentence shows: how it begins, and what was not read of it."""


def not_read(prompt: str, rest: str) -> str:
    """A sentence about the end of a prompt that a model's text encoders do not read."""
    shown, left = quoted(_shortened(prompt, _START)), quoted(_shortened(rest, _REST))
    return Sentence(
        "The prompt {prompt} is longer than this model reads; not read: {rest}.",
        prompt=shown,
        rest=left,
    )


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def unlike_few_steps(variant: str, steps: int, scale: float) -> tuple[str, ...]:
    """Sentences about settings that a checkpoint distilled for few steps was not made for.

    variant: of the checkpoint, "base" for an ordinary one.
    """
    if variant not in _MOST_STEPS:
        return ()
    most, sentences = _MOST_STEPS[variant], []
    if steps > _MORE * most:
        sentences.append(
            Sentence(
                "This checkpoint ({kind}) was made for few steps: {steps} make it worse, not "
                "better. Try {most} or fewer.",
                kind=variant,
                steps=steps,
                most=most,
            )
        )
    if scale > _MOST_SCALE and variant != "schnell":
        sentences.append(
            Sentence(
                "This checkpoint ({kind}) was made for hardly any guidance: at {scale} "
                "colours burn out. Try 1 to 2.",
                kind=variant,
                scale=f"{scale:g}",
            )
        )
    return tuple(sentences)


def unused_clip_skip(clip_skip: int, *, is_known: bool) -> tuple[str, ...]:
    """A sentence about a clip skip of a model that has nothing to skip."""
    if is_known or not clip_skip:
        return ()
    return ("This model reads its texts without CLIP's layers: clip skip changes nothing.",)


def short_of_memory(batch_size: int, planned: int) -> tuple[str, ...]:
    """A sentence about a picture that was painted with less memory than planned."""
    if batch_size == planned:
        return ()
    at_a_time = Sentence("{few} at a time instead of {many}", few=batch_size, many=planned)
    return (
        Sentence(
            "Memory was short: windows were painted {few}, which takes longer.", few=at_a_time
        ),
    )


def settings_notices(
    request: Request, variant: str, batch_size: int, planned: int, *, knows_clip_skip: bool
) -> tuple[str, ...]:
    """Sentences about a finished picture: memory that was short, settings that do not suit.

    variant: of the checkpoint. batch_size: the smallest that was used; planned: the plan's.
    """
    return (
        *short_of_memory(batch_size, planned),
        *unlike_few_steps(variant, request.num_inference_steps, request.guidance_scale),
        *unused_clip_skip(request.clip_skip, is_known=knows_clip_skip),
    )


def forgot_steps() -> str:
    """A sentence about a picture whose step cache had to make room."""
    return (
        "Memory was short: nothing was remembered from step to step any more, which takes longer."
    )


def layers_too_large() -> str:
    """A sentence about a picture whose layers are more than the server keeps."""
    return (
        "The regions' own pictures together are too large to keep: the picture comes as one. "
        "Paint smaller regions, or a part of the canvas at a time."
    )


def telling_of_memory(
    events: Iterator[Event], request: Request, device: torch.device
) -> Iterator[Event]:
    """The same events of a task; where memory gives out, a sentence for the artist is raised."""
    stage = "loading"
    try:
        for event in events:
            stage = event.stage if isinstance(event, Progressed) else stage
            yield event
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise _out_of_memory(request, stage, device) from error


def _out_of_memory(request: Request, stage: str, device: torch.device) -> TapestryError:
    """When everything that takes less memory has been tried; to be made where memory ran out."""
    margins = request.margins
    height = request.height + margins.top + margins.bottom
    width = request.width + margins.left + margins.right
    free, total = (value / _GIB for value in free_and_total_bytes(device))
    what = (
        Sentence("the model")
        if stage == "loading"
        else Sentence("a picture of {width} x {height} pixels", width=width, height=height)
    )
    return TapestryError(
        ErrorCode.OUT_OF_MEMORY,
        Sentence(
            "There was not enough memory for {what} while {stage}: {free} of {total} GiB "
            "were free.",
            what=what,
            stage=as_sentence(stage),
            free=f"{free:.1f}",
            total=f"{total:.1f}",
        ),
        "Fewer windows at a time, shorter bands and fewer parts of the model at once were tried "
        "already. Close other programs that use the graphics card or much memory, choose a smaller "
        "model, or make the canvas or the extension smaller; then press the button again.",
    )
