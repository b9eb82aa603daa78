"""Texts for language models: as what somebody says in a conversation, by the words around it.

The words stand here, and not in a checkpoint's files: those hold a program that would write them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .text_chunks import Chunks


class Template(NamedTuple):
    """What stands before a text and behind it, as the model was taught to be spoken to."""

    before: str
    after: str


def chat_tokens(
    tokenizer: Any, text: str, template: Template, longest: int, *, filled: bool = False
) -> Chunks:
    """One chunk of up to `longest` tokens; what is more is cut off at the end.

    filled: up to that many, with tokens that mean nothing, on the tokenizer's side. Tokens that
    are not the text's own have no place in it.
    """
    before, after = template
    encoding = tokenizer(
        [f"{before}{text}{after}"],
        add_special_tokens=False,  # the template has them all
        return_offsets_mapping=True,
        verbose=False,
    )
    ids = [int(token) for token in encoding.input_ids[0]]
    begin, end = len(before), len(before) + len(text)
    offsets = [
        (max(int(start), begin) - begin, min(int(stop), end) - begin)
        if start < end and stop > begin
        else (0, 0)
        for start, stop in encoding.offset_mapping[0]
    ]
    cut = next((place[0] for place in offsets[longest:] if place != (0, 0)), len(text))
    ids, offsets = ids[:longest], offsets[:longest]
    attended = [1] * len(ids)
    if filled:
        rest = longest - len(ids)
        sides = (rest, 0) if tokenizer.padding_side == "left" else (0, rest)
        ids = _between(ids, tokenizer.pad_token_id, sides)
        attended = _between(attended, 0, sides)
        offsets = _between(offsets, (0, 0), sides)
    return Chunks(torch.tensor([ids]), torch.tensor([attended]), offsets, text[cut:])


def _between(values: list[Any], nothing: Any, sides: tuple[int, int]) -> list[Any]:
    """With so many times nothing before and behind them."""
    before, behind = sides
    return [nothing] * before + values + [nothing] * behind
