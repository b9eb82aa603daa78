"""Loads the parts of a checkpoint, from safetensors only and without the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import torch
import transformers
from torch import nn

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from ...checkpoints.catalogue import Checkpoint, read_file
from ...checkpoints.families import FAMILIES
from ...checkpoints.folder_checks import (
    MAX_CONFIGURATION_BYTES,
    PROCESSOR,
    check_folder,
    weights_variant,
)
from ...checkpoints.safetensors_header import read_json
from .difference import put_difference
from .file_loading import load_modules, load_scheduler, load_tokenizers
from .networks import load_network, sentence_for

transformers.utils.logging.disable_progress_bar()  # one stage, "loading", is all there is to show

_TOKENIZERS = {"Mistral3ForConditionalGeneration": "PreTrainedTokenizerFast"}
"""What reads the tokenizer of a text encoder that is not its family's usual one."""


class Parts(NamedTuple):
    """A checkpoint in memory, not on its device yet.

    modules, tokenizers    by the names that its family gives them
    options                what else its configuration says about the whole
    processor              how its language model looks at a picture; None: it does not
    """

    modules: dict[str, Any]
    tokenizers: dict[str, Any]
    scheduler: Any
    options: Mapping[str, Any]
    processor: Any = None


def load_parts(entry: Checkpoint, dtype: torch.dtype) -> Parts:
    """The parts of a checkpoint.

    Raises TapestryError when its files are not what their configuration says.
    """
    whole = entry.whole.is_dir() or not entry.whole.suffix
    if whole:
        check_folder(entry.whole)
    with sentence_for(partial(_broken, entry.whole)):
        parts = _load_folder(entry, dtype) if whole else _load_file(entry, dtype)
        if entry.base is not None:
            put_difference(parts.modules, entry.path)
        return parts


def _broken(path: Path, problem: str) -> TapestryError:
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "The model in {folder} cannot be loaded ({problem}).",
            folder=quoted(path),
            problem=problem,
        ),
        "Check that it is complete and holds its weights as .safetensors.",
    )


def _load_file(entry: Checkpoint, dtype: torch.dtype) -> Parts:
    model = read_file(entry.path, entry.component_files)
    return Parts(
        load_modules(model, dtype),
        load_tokenizers(model, entry.path),
        load_scheduler(model),
        model.options,
    )


def _load_folder(entry: Checkpoint, dtype: torch.dtype) -> Parts:
    folder, family = entry.whole, FAMILIES[entry.family]
    index = read_json(folder / "model_index.json", MAX_CONFIGURATION_BYTES)
    scheduler = getattr(diffusers, index["scheduler"][1])
    if not issubclass(scheduler, diffusers.SchedulerMixin):
        raise TypeError(f"{scheduler.__name__} is no scheduler")
    present = {name: named for name, named in index.items() if named != [None, None]}
    return Parts(
        {
            name: _load_module(folder / name, _known(present[name][1], classes), dtype)
            for name, classes in family.modules.items()
            if name in present or name not in family.optional
        },
        {
            name: _load_tokenizer(folder / name, present, kind)
            for name, kind in family.tokenizers.items()
            if name in present or name not in family.optional
        },
        scheduler.from_pretrained(folder / "scheduler", local_files_only=True),
        {name: value for name, value in index.items() if not isinstance(value, list)},
        _load_processor(folder) if family.looks and entry.references else None,
    )


def _load_tokenizer(folder: Path, index: Mapping[str, Any], kind: str) -> Any:
    """Mistral's lies beside what looks at pictures, which is not read."""
    _, encoder = index.get("text_encoder", ("", ""))
    kind = _TOKENIZERS.get(encoder, kind)
    return getattr(transformers, kind).from_pretrained(folder, local_files_only=True)


def _load_processor(folder: Path) -> Any:
    """Without torchvision, which would be one more library for the same numbers."""
    kind = getattr(transformers, "Qwen2VLImageProcessorPil", transformers.Qwen2VLImageProcessor)
    return kind.from_pretrained(folder / PROCESSOR, local_files_only=True)


def _load_module(folder: Path, name: str, dtype: torch.dtype) -> nn.Module:
    return load_network(name, folder, dtype, weights_variant(folder))


def _known(name: str, names: Sequence[str]) -> str:
    if name not in names:
        raise ValueError(f"{name} is not one of {', '.join(names)}")
    return name
