"""Tokenizers for checkpoints that come without: CLIP's own words, and T5's wherever they lie.

CLIP's list of merges is that of OpenAI's release (MIT licence), without what CLIP does not use.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import transformers

from tapestry_protocol.errors import ErrorCode, TapestryError

from .folder import MAX_VOCABULARY_BYTES
from .places import hub_cache, models_folder
from .weights import check_regular

_LONGEST = 77
_START, _END = "<|startoftext|>", "<|endoftext|>"
_MOST_ABOVE = 4
"""Folders above a checkpoint in which its program may be."""

_T5_PLACES = (
    "tokenizers/t5",
    "comfy/text_encoders/t5_tokenizer",
    "backend/huggingface/black-forest-labs/FLUX.1-dev/tokenizer_2",
)
"""Ours, ComfyUI's, Forge's."""


def clip_tokenizer(words: int, *, open_clip: bool) -> Any:
    """CLIP's tokenizer; OpenCLIP fills a text up with other tokens.

    words: how many the text encoder knows. Raises ValueError when it is another vocabulary.
    """
    vocabulary, merges = _clip_vocabulary()
    if words != len(vocabulary):
        raise ValueError(f"its text encoder knows {words} words, CLIP's {len(vocabulary)}")
    return transformers.CLIPTokenizer(
        vocab=dict(vocabulary),
        merges=list(merges),
        pad_token="!" if open_clip else _END,
        model_max_length=_LONGEST,
    )


@cache
def _clip_vocabulary() -> tuple[dict[str, int], tuple[tuple[str, str], ...]]:
    """Bytes, bytes that end a word, and what merging makes of them."""
    packed = (files("tapestry_backend.models") / "clip_merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    merges = tuple((left, right) for left, _, right in (line.partition(" ") for line in lines))
    letters = _bytes_as_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(a + b for a, b in merges)]
    return {word: i for i, word in enumerate((*words, _START, _END))}, merges


def _bytes_as_letters() -> list[str]:
    """All 256 bytes as letters that can be seen, in the order of CLIP's vocabulary."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return [chr(byte) for byte in seen] + [chr(256 + i) for i in range(len(unseen))]


def t5_tokenizer(near: Path) -> Any:
    """T5's tokenizer; raises TapestryError when it is nowhere."""
    for place in _t5_places(near):
        file = place / "tokenizer.json"
        if file.is_file():
            check_regular(file, MAX_VOCABULARY_BYTES)
            return transformers.T5TokenizerFast.from_pretrained(place, local_files_only=True)
    raise TapestryError(
        ErrorCode.MODEL_BROKEN,
        f"{near.name!r} needs the tokenizer of T5, which is nowhere here.",
        f"Put its tokenizer.json into {str(models_folder() / 'tokenizers' / 't5')!r}; the folder "
        "tokenizer_2 of FLUX.1 and tokenizer_3 of Stable Diffusion 3 hold it.",
    )


def _t5_places(near: Path) -> Iterator[Path]:
    roots = (models_folder(), *(p for n in (near.absolute(), near.resolve()) for p in _above(n)))
    yield from (root / place for root in dict.fromkeys(roots) for place in _T5_PLACES)
    for snapshot in sorted(hub_cache().glob("models--*/snapshots/*")):
        yield from (snapshot / name for name in ("tokenizer_2", "tokenizer_3"))


def _above(path: Path) -> tuple[Path, ...]:
    return tuple(path.parents)[:_MOST_ABOVE]
