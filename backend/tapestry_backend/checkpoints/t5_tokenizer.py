"""Where T5's tokenizer lies, which single files lack and Tapestry does not bring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from .model_paths import hub_cache, models_folder

_MOST_ABOVE = 4
"""Folders above a checkpoint in which its program may be."""

_PLACES = (
    "tokenizers/t5",
    "comfy/text_encoders/t5_tokenizer",
    "backend/huggingface/black-forest-labs/FLUX.1-dev/tokenizer_2",
)
"""Ours, ComfyUI's, Forge's."""

_PARTS = ("tokenizer_2", "tokenizer_3")
"""Folders of T5's tokenizer in diffusers' layout."""


def t5_words(near: Path) -> Path:
    """The folder with a tokenizer.json; raises TapestryError when there is none."""
    for place in _places(near):
        if (place / "tokenizer.json").is_file():
            return place
    raise TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "{name} needs the tokenizer of T5, which is nowhere here.", name=quoted(near.name)
        ),
        Sentence(
            "Get the file tokenizer.json out of the folder tokenizer_2 of FLUX.1, or "
            "tokenizer_3 of Stable Diffusion 3, on huggingface.co, or "
            "comfy/text_encoders/t5_tokenizer of ComfyUI, and put it into {folder}.",
            folder=quoted(models_folder() / "tokenizers" / "t5"),
        ),
    )


def _places(near: Path) -> Iterator[Path]:
    roots = (models_folder(), *(p for n in (near.absolute(), near.resolve()) for p in _above(n)))
    yield from (root / place for root in dict.fromkeys(roots) for place in _PLACES)
    fetched = models_folder().glob("*/*/model_index.json")
    snapshots = hub_cache().glob("models--*/snapshots/*/model_index.json")
    for index in (*sorted(fetched), *sorted(snapshots)):
        yield from (index.parent / name for name in _PARTS)


def _above(path: Path) -> tuple[Path, ...]:
    return tuple(path.parents)[:_MOST_ABOVE]
