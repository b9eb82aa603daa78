"""Loads the parts of a checkpoint, from safetensors only and without the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import torch
import transformers
from torch import nn

from tapestry_protocol.errors import ErrorCode, TapestryError

from ..engine.out_of_memory import is_out_of_memory
from .folder import MAX_CONFIGURATION_BYTES, check_folder
from .weights import read_json

transformers.utils.logging.disable_progress_bar()  # one stage, "loading", is all there is to show

_AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny")


class Parts(NamedTuple):
    """A checkpoint in memory, not on its device yet."""

    tokenizer: Any
    text_encoder: nn.Module
    unet: nn.Module
    vae: nn.Module
    scheduler: Any


def load_parts(folder: Path, dtype: torch.dtype) -> Parts:
    """The parts of a checkpoint in diffusers' folder layout.

    Raises TapestryError when the folder's files are not what its configuration says.
    """
    check_folder(folder)
    try:
        return _load(folder, dtype)
    except Exception as error:
        # Libraries raise whatever they like over a file that is not what they expect.
        if is_out_of_memory(error):
            raise
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            f"The model in {str(folder)!r} cannot be loaded ({type(error).__name__}: "
            f"{str(error)[:300]}).",
            "Check that the folder is complete and holds its weights as .safetensors.",
        ) from error


def _load(folder: Path, dtype: torch.dtype) -> Parts:
    index = read_json(folder / "model_index.json", MAX_CONFIGURATION_BYTES)
    vae = getattr(diffusers, _known(index["vae"][1], _AUTOENCODERS))
    scheduler = getattr(diffusers, index["scheduler"][1])
    if not issubclass(scheduler, diffusers.SchedulerMixin):
        raise TypeError(f"{scheduler.__name__} is no scheduler")
    settings = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    weights = {**settings, "torch_dtype": dtype}
    return Parts(
        transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        _whole(
            transformers.CLIPTextModel.from_pretrained(
                folder / "text_encoder", dtype=dtype, **settings
            )
        ),
        _whole(diffusers.UNet2DConditionModel.from_pretrained(folder / "unet", **weights)),
        _whole(vae.from_pretrained(folder / "vae", **weights)),
        scheduler.from_pretrained(folder / "scheduler", local_files_only=True),
    )


def _whole(loaded: tuple[nn.Module, dict[str, Any]]) -> nn.Module:
    """A part all of whose weights were in its file; the others would be random numbers."""
    part, told = loaded
    missing = sorted(told["missing_keys"])
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, such as {missing[0]}")
    return part


def _known(name: str, names: Sequence[str]) -> str:
    if name not in names:
        raise ValueError(f"{name} is not one of {', '.join(names)}")
    return name
