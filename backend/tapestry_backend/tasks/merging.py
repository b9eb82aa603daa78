"""Files that were taught apart become one, in which each word keeps what it means.

Custom Diffusion's constrained least squares (Kumari et al. 2023); what of it is arithmetic is in
`engine.merging`. No picture is looked at: the model's text encoder says all that is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch

from tapestry_protocol.errors import ErrorCode, TapestryError

from ..checkpoints.adapter_recognition import Adapter
from ..checkpoints.taught import token_of
from ..checkpoints.taught_merging import cards_to_merge, merged_card
from ..engine.merging import reading_projectors
from ..models.adapters.taught_files import merged_file
from ..models.denoiser import Denoiser
from ..models.model_cache import ModelCache
from .teaching import OTHER_TEXTS
from .teaching_methods import TEMPLATES

_RANDOM_TEXTS = 200
"""As many captions as its authors' program takes; words are drawn where it has captions."""


def merge_taught(paths: Sequence[Path], model_id: str, model_cache: ModelCache) -> bytes:
    """The bytes of one file that holds what these hold; the catalogue knows them all.

    Raises TapestryError where they cannot be merged.
    """
    cards = cards_to_merge(paths)
    contents = [path.read_bytes() for path in paths]
    card = merged_card(cards, [hashlib.sha256(content).hexdigest() for content in contents])
    model = model_cache.load(model_id)
    for path in paths:
        _check_whole(model, model_cache.catalogue.adapters.find(str(path), "lora"))
    words = [_read_of(model, [token_of(word) for word in each.words]) for each in cards]
    materials = model_cache.catalogue.find(model_id).materials
    others = torch.cat(
        [
            *(model.states_from(text, text) for text in (*materials, *OTHER_TEXTS)),
            *(model.states_from(text, text) for text in model.random_texts(_RANDOM_TEXTS)),
        ]
    )
    files = [safetensors.torch.load(content) for content in contents]
    return merged_file(files, reading_projectors(words, others), card)


def _check_whole(model: Denoiser, adapter: Adapter) -> None:
    """Raises TapestryError where a file does not fit the model, or not all of it does."""
    with model.adapter_manager.activated([(adapter, 1.0)]):
        left_out = model.adapter_manager.notices_about(adapter)
    if left_out:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            left_out[0],
            "Get it again from where it came from, or teach it again, then merge it.",
        )


def _read_of(model: Denoiser, tokens: Sequence[str]) -> torch.Tensor:
    """What the model reads of words [n, D], in each prompt that they were taught with."""
    templates = dict.fromkeys(TEMPLATES)
    return torch.cat(
        [model.states_from(each.format(token), token) for token in tokens for each in templates]
    )
