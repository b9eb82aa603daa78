"""Texts as tokens: as many at once as an encoder reads, and the rest in further chunks.

CLIP reads 77 tokens, of which two are its marks. A longer text is read in chunks of 75, each with
marks of its own, and their states stand one after the other, as in A1111's web UI and in ComfyUI. A
text that fits is one chunk, and the same as without any of this. No word is cut in two where it
could have been whole.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

MOST_CHUNKS = 8
"""Chunks of one text: 600 tokens of CLIP, more than its backbones can tell apart."""

_LONGEST_WORD = 8
"""Tokens of a word that is kept whole; longer ones are no words, or in scripts without spaces."""

TextSpan = tuple[int, int]


class Chunks(NamedTuple):
    """A text for one encoder.

    ids, attended   [K, T]: the tokens of each chunk, and which of them fill it up (0)
    offsets         the place in the text of each of the K x T tokens
    unread          what of the text did not fit
    """

    ids: Tensor
    attended: Tensor
    offsets: Sequence[TextSpan]
    unread: str


def chunks_of(
    tokenizer: Any, text: str, longest: int, most: int = 1, unsaid: Collection[int] = ()
) -> Chunks:
    """At most so many chunks of `longest` tokens.

    They are filled up to 1, 2, 4 or 8 of them. unsaid: tokens that stand in the text for another
    encoder alone.
    """
    length = min(tokenizer.model_max_length, longest)  # one saved without its length says 10^30
    before, after = _marks(tokenizer)
    room = max(1, length - len(before) - len(after))
    encoding = tokenizer(
        [text], add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    tokens = [
        (int(token), (int(start), int(end)))
        for token, (start, end) in zip(
            encoding.input_ids[0], encoding.offset_mapping[0], strict=True
        )
        if token not in unsaid
    ]
    parts = _parts(tokens, room)
    unread = text[parts[most][0][1][0] :] if len(parts) > most else ""
    parts = parts[:most] or [[]]
    parts += [[]] * (_next_power(len(parts)) - len(parts))
    rows, offsets = [], []
    for part in parts:
        row = [*before, *(token for token, _ in part), *after]
        places = [*[(0, 0)] * len(before), *(place for _, place in part)]
        offsets += places + [(0, 0)] * (length - len(places))
        rows.append((row, length - len(row)))
    fill = tokenizer.pad_token_id or 0
    return Chunks(
        torch.tensor([row + [fill] * rest for row, rest in rows]),
        torch.tensor([[1] * len(row) + [0] * rest for row, rest in rows]),
        offsets,
        unread,
    )


def in_a_row(states: Tensor) -> Tensor:
    """States of K chunks [K, T, D] -> [1, K x T, D]."""
    return states.flatten(0, 1)[None]


def _marks(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What a tokenizer puts before a text, and after it."""
    (marked,) = tokenizer([""], add_special_tokens=True).input_ids
    count = 1 if len(marked) > 1 else 0  # T5 has a mark at the end alone
    return list(marked[:count]), list(marked[count:])


def _parts(tokens: Sequence[tuple[int, TextSpan]], room: int) -> list[list[tuple[int, TextSpan]]]:
    """Tokens with their places, divided into parts that fit."""
    parts: list[list[tuple[int, TextSpan]]] = [[]]
    for word in _words(tokens):
        whole = len(word) <= min(_LONGEST_WORD, room)
        if whole and len(parts[-1]) + len(word) > room:
            parts.append([])
        for token in word:
            if len(parts[-1]) == room:
                parts.append([])
            parts[-1].append(token)
    return parts


def _words(tokens: Sequence[tuple[int, TextSpan]]) -> list[list[tuple[int, TextSpan]]]:
    """Tokens that stand side by side in the text belong together."""
    words: list[list[tuple[int, TextSpan]]] = []
    for token in tokens:
        if words and words[-1][-1][1][1] == token[1][0]:
            words[-1].append(token)
        else:
            words.append([token])
    return words


def _next_power(number: int) -> int:
    return 1 << (number - 1).bit_length()
