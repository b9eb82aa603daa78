"""How wide the texts are that a checkpoint reads, from configurations and headers alone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from .checkpoint_file import read_checkpoint
from .folder_checks import MAX_CONFIGURATION_BYTES
from .safetensors_header import read_json
from .shapes import LANGUAGE_MODELS

_BACKBONE = "unet"
_ENCODERS = ("text_encoder", "text_encoder_2")
_UNTAUGHT = {"t5", *LANGUAGE_MODELS}
"""Kinds of text encoders for which no words are made."""
_CLIP = "clip_text_model"
"""What text encoders are called that learn words."""


class EmbeddingDims(NamedTuple):
    """What adapters have to fit.

    text      of the texts that the U-Net reads; None where there is no U-Net, or it is unknown
    words     of the vectors of words, in each of CLIP's text encoders; empty where it is unknown
    """

    text: int | None
    words: tuple[int, ...]


def read_embedding_dims(path: Path, component_files: Mapping[str, Path]) -> EmbeddingDims:
    """The embedding dimensions of a model's folder or file; none where it cannot be read."""
    configs: Mapping[str, Mapping[str, Any]] = {}
    with suppress(OSError, ValueError):
        configs = _of_file(path, component_files) if path.is_file() else _of_folder(path)
    text = configs.get(_BACKBONE, {}).get("cross_attention_dim")
    words = [configs.get(part, {}).get("hidden_size") for part in _ENCODERS]
    return EmbeddingDims(
        text if isinstance(text, int) else None,
        tuple(width for width in words if isinstance(width, int)),
    )


def _of_file(path: Path, component_files: Mapping[str, Path]) -> dict[str, Mapping[str, Any]]:
    model = read_checkpoint(path, component_files)
    parts = {} if model is None else model.parts
    return {name: source.config for name, source in parts.items() if source.kind not in _UNTAUGHT}


def _of_folder(path: Path) -> dict[str, Mapping[str, Any]]:
    """Parts that are not there are left out."""
    configs: dict[str, Mapping[str, Any]] = {}
    for part in (_BACKBONE, *_ENCODERS):
        file = path / part / "config.json"
        if file.is_file():
            config = read_json(file, MAX_CONFIGURATION_BYTES)
            if part == _BACKBONE or config.get("model_type") == _CLIP:
                configs[part] = config
    return configs
