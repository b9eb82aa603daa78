"""Tokenizers for checkpoints that come without: CLIP's own words, and others wherever they lie.

CLIP's list of merges is that of OpenAI's release (MIT licence), without what CLIP does not use.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import transformers

from ...checkpoints.folder_checks import MAX_VOCABULARY_BYTES
from ...checkpoints.safetensors_header import check_regular
from ...checkpoints.tokenizer_folders import tokenizer_folder

_LONGEST = 77
_START, _END = "<|startoftext|>", "<|endoftext|>"


def clip_tokenizer(words: int, *, open_clip: bool) -> Any:
    """CLIP's tokenizer; OpenCLIP fills a text up with other tokens.

    words: the size of the text encoder's vocabulary. Raises ValueError when it is another
    vocabulary.
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
    packed = (files("tapestry_backend.models.loading") / "clip_merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    merges = tuple((left, right) for left, _, right in (line.partition(" ") for line in lines))
    letters = bytes_as_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(a + b for a, b in merges)]
    return {word: i for i, word in enumerate((*words, _START, _END))}, merges


def bytes_as_letters() -> list[str]:
    """All 256 bytes as letters that can be seen, in the order of CLIP's vocabulary."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return [chr(byte) for byte in seen] + [chr(256 + i) for i in range(len(unseen))]


def sought_tokenizer(name: str, kind: str, near: Path) -> Any:
    """The tokenizer, of this class, for a kind of text encoder.

    Raises TapestryError when it is nowhere.
    """
    place = tokenizer_folder(kind, near)
    for file in place.iterdir():
        if file.suffix in {".json", ".txt"}:
            check_regular(file, MAX_VOCABULARY_BYTES)
    return getattr(transformers, name).from_pretrained(place, local_files_only=True)
