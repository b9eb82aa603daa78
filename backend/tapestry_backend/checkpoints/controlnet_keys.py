"""ControlNets of one file, told from its header: whose names its tensors have."""

from __future__ import annotations

from typing import NamedTuple

from tapestry_protocol.sentences import Sentence

from .safetensors_header import BrokenFileError, Header

_ORIGINAL = "input_hint_block.0.weight"
_DIFFUSERS = "controlnet_cond_embedding.conv_in.weight"
TYPES = "task_embedding"
"""The tensor with a row for each type of a network that is several in one."""
_READING = "attn2.to_k.weight"
_BESIDES = {
    TYPES: Sentence(
        "it is a ControlNet of several kinds in one (union) with names that Tapestry does not know"
    ),
    "lora_controlnet": Sentence("it is a Control-LoRA, which Tapestry does not know"),
    "difference": Sentence(
        "it is the difference of a ControlNet to a model, which Tapestry does not know"
    ),
}


class ControlNetKeys(NamedTuple):
    """What a file says of its ControlNet.

    prefix      what its tensors' names begin with
    original    whether they have the names of its authors' code, or those of diffusers
    text_widths that of the texts which it reads; empty where it reads none
    type_count  how many types of pictures it tells apart; 0: it is made for one
    """

    prefix: str
    original: bool
    text_widths: tuple[int, ...]
    type_count: int = 0


def read_control_marks(header: Header) -> ControlNetKeys | None:
    """None for a file with another thing; raises BrokenFileError for one that is no plain one."""
    for prefix in ("control_model.", ""):
        for mark, original in ((_ORIGINAL, True), (_DIFFUSERS, False)):
            if prefix + mark not in header.shapes:
                continue
            types = header.shapes.get(prefix + TYPES, ())
            for name, problem in _BESIDES.items():
                if name == TYPES and types and not original:
                    continue
                if name in header.shapes or prefix + name in header.shapes:
                    raise BrokenFileError(problem)
            reading = [
                shape[1]
                for name, shape in header.shapes.items()
                if name.startswith(prefix) and name.endswith(_READING) and len(shape) == 2
            ]
            return ControlNetKeys(prefix, original, tuple(reading[:1]), *types[:1])
    return None
