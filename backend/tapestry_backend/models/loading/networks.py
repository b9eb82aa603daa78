"""Loads a single network from its folder, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch import Tensor, nn

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from ...checkpoints.safetensors_header import BrokenFileError
from ...engine.out_of_memory import is_out_of_memory

_WITHOUT_HEAD = {
    "Qwen3ForCausalLM": "Qwen3Model",
    "Qwen2_5_VLForConditionalGeneration": "Qwen2_5_VLModel",
    "Mistral3ForConditionalGeneration": "Mistral3Model",
}
"""Language models that are read from, and never speak."""


def load_network(name: str, folder: Path, dtype: torch.dtype, variant: str | None = None) -> Any:
    """The network of a class of diffusers or transformers, from safetensors, all on this machine.

    Raises ValueError when its file lacks weights, which would be random numbers, and whatever the
    libraries raise over a file that is not what they expect.
    """
    settings = {
        "use_safetensors": True,
        "local_files_only": True,
        "output_loading_info": True,
        "variant": variant,
    }
    network: nn.Module
    name = _WITHOUT_HEAD.get(name, name)
    if hasattr(diffusers, name):
        kind = getattr(diffusers, name)
        network, loading_info = kind.from_pretrained(folder, torch_dtype=dtype, **settings)
    else:
        kind = getattr(transformers, name)
        network, loading_info = kind.from_pretrained(folder, dtype=dtype, **settings)
    missing = sorted(loading_info["missing_keys"])
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, such as {missing[0]}")
    return network


def check_finite_weights(tensors: Mapping[str, Tensor]) -> None:
    """Raises BrokenFileError when a number among these weights is NaN or infinite."""
    bad = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if bad:
        raise BrokenFileError(
            Sentence(
                "{count} of its tensors hold numbers that are not finite, such as {name}",
                count=len(bad),
                name=quoted(bad[0][:60]),
            )
        )


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point():
        return True
    whole = tensor.float() if tensor.itemsize == 1 else tensor  # eight bits are only stored
    return bool(torch.isfinite(whole).all())


@contextmanager
def sentence_for(broken: Callable[[str], TapestryError]) -> Iterator[None]:
    """Inside, a library's error about a damaged file becomes a sentence, made by `broken`.

    Memory that runs out is no fault of the file and passes, as do sentences of our own.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, TapestryError) or is_out_of_memory(error):
            raise
        raise broken(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Why something failed: a library's message stays English."""
    if isinstance(error, BrokenFileError):
        return error.problem
    said = " ".join(str(error).split())[:300]
    if isinstance(error, KeyError):
        return Sentence("nothing is called {name}", name=said)
    return said or Sentence("nothing says why")
