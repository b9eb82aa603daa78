"""Words that a model was taught here, wherever a prompt says them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from tapestry_protocol.adapters import Lora
from tapestry_protocol.limits import MAX_LORAS
from tapestry_protocol.messages import Request


class TaughtWord(NamedTuple):
    """A word, and what stands for it.

    token    its embedding's, in angle brackets; empty: the words stay as they are
    lora     the id of the LoRA that comes along; empty: none does
    """

    word: str
    token: str = ""
    lora: str = ""


def with_taught_words(request: Request, taught: Sequence[TaughtWord]) -> Request:
    """The request with tokens in place of taught words, and with their LoRAs.

    A word brings its LoRA to where it is said: to a region, to the background, or with the style to
    the whole picture. A LoRA that the request names already keeps its weight, and its place.
    """
    if not taught:
        return request
    prompt, of_background = _read(request.prompt, taught)
    style, of_all = _read(request.style, taught)
    everywhere = _with(request.loras, of_all)
    loras = _with(everywhere, of_background)
    regions = []
    for region in request.regions:
        text, named = _read(region.prompt, taught)
        wanted = [name for name in named if name not in {lora.adapter for lora in everywhere}]
        # A region has what the picture has; a weight of 0 takes it from there.
        beside = [Lora(lora.adapter, 0.0) for lora in loras[len(everywhere) :]]
        changed = replace(
            region,
            prompt=text,
            negative_prompt=_spelled(region.negative_prompt, taught),
            source_prompt=_spelled(region.source_prompt, taught),
            loras=_with(region.loras, wanted, beside),
        )
        regions.append(changed)
    edit = request.edit
    if edit is not None:
        edit = replace(edit, source_prompt=_read(edit.source_prompt, taught)[0])
    read = replace(
        request,
        prompt=prompt,
        style=style,
        negative_prompt=_read(request.negative_prompt, taught)[0],
        loras=loras,
        regions=tuple(regions),
        edit=edit,
    )
    return read if read != request else request


def _spelled(text: str | None, taught: Sequence[TaughtWord]) -> str | None:
    return None if text is None else _read(text, taught)[0]


def _read(text: str, taught: Sequence[TaughtWord]) -> tuple[str, list[str]]:
    """A text with tokens for its words, and the LoRAs of those that it says; long words first."""
    loras = []
    for word in sorted(taught, key=lambda each: -len(each.word)):
        pattern = _pattern(word.word)
        is_said = pattern.search(text) is not None
        if is_said and word.token:
            text = word.token.join(pattern.split(text))
        if word.lora and (is_said or (word.token and word.token in text)):
            loras.append(word.lora)
    return text, loras


def _pattern(word: str) -> re.Pattern[str]:
    parts = r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", word.strip())))
    return re.compile(rf"(?<![\w<:/-]){parts}(?![\w>:-])", re.IGNORECASE)


def _with(
    loras: tuple[Lora, ...], named: Sequence[str], others: Sequence[Lora] = ()
) -> tuple[Lora, ...]:
    """These, then those named, then others, each adapter where it comes first."""
    known, new = {lora.adapter for lora in loras}, dict[str, Lora]()
    for lora in (*map(Lora, named), *others):
        if lora.adapter not in known:
            new.setdefault(lora.adapter, lora)
    return (*loras, *new.values())[:MAX_LORAS]
