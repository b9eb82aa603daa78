"""Words of other programs in prompts: LoRAs and embeddings are taken, the rest is reported.

`<lora:name:0.8>` is A1111's way to lay on a LoRA, `embedding:name` ComfyUI's way to name a textual
inversion; for a bare name, which is one in A1111, a notice says how to write it. What divides or
changes prompts there (BREAK, ADDROW, AND, `[a:b:0.5]`, `{a|b}`) means nothing here; it is read as
words, with a notice to the artist. So are weights as other programs and keyboards write them
(`{{{x}}}`, `(x)++`, `(x)1.3`, `x::3`, `(x:1,2)`). What is no text at all is taken out: Midjourney's
options (`--ar 16:9`), and what A1111 writes below a prompt, whose negative prompt is taken as such.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Protocol

from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.limits import MAX_ADAPTER_WEIGHT, MAX_LORAS
from tapestry_protocol.messages import Request
from tapestry_protocol.sentences import Sentence, quoted

from .weights import read_weights


class NamedAdapter(Protocol):
    """An adapter that a prompt names."""

    @property
    def id(self) -> str: ...

    @property
    def token(self) -> str: ...


Find = Callable[..., NamedAdapter]
"""An adapter by its id and kinds; raises TapestryError when there is none."""

_SHOWN_CHARACTERS = 60
_LORA = re.compile(r"<\s{0,3}(lora|lyco|lycoris|hypernet):([^<>:]*)((?::[^<>:]*)*)>", re.IGNORECASE)
_ESCAPED = re.compile(
    r"&lt;(\s{0,3}(?:lora|lyco|lycoris|hypernet):[^<>&]{1,160})&gt;", re.IGNORECASE
)
"""As web pages write what is between "<" and ">"."""

_NUMBER = re.compile(r"(?:\w+=)?([+-]?(?:\d+[.,]?\d*|\.\d+))(?:@.*)?")
_EMBEDDING = re.compile(r"\bembedding:([\w./\\-]*[\w-])", re.IGNORECASE)
_ENDS = re.compile(r"\.(?:safetensors|pt|bin)$", re.IGNORECASE)
_WORD = re.compile(r"<[^<>]{1,80}>")
_CHANGING = re.compile(
    r"\[[^\[\]]{0,150}(?:[:|][^\[\]:|]{0,80}\||:[^\[\]:|]{0,80}:\s?\d{0,4}\.?\d{1,4}\s?"
    r"|\|[^\[\]|]{0,80}|:\s?\d{0,4}\.?\d{1,4}\s?)\]"
    r"|\{[^{}|]{0,80}\|[^{}]{0,80}\}|(?<!\w)__[\w/*-]{1,80}__(?!\w)"
)
"""Bounded throughout, because a server matches it against prompts from outside."""

_OTHER_WEIGHTS = re.compile(
    r"\{{1,8}[^{}|]{1,150}\}{1,8}|(?:\)|(?<![^\W\d])[^\W\d]{2,40})(?:\+{2,8}|-{2,8})(?=[\s,)]|$)"
    r"|\([^()]{1,150}:\s?\d{1,2},\d{1,3}\s?\)"
    r"|\([^()\N{FULLWIDTH COLON}]{1,150}\N{FULLWIDTH COLON}\s?\d{1,2}[.,]?\d{0,3}\s?\)"
    r"|\N{FULLWIDTH LEFT PARENTHESIS}[^\N{FULLWIDTH RIGHT PARENTHESIS}]{1,150}"
    r"[:\N{FULLWIDTH COLON}]\s?\d{1,2}[.,]?\d{0,3}\s?\N{FULLWIDTH RIGHT PARENTHESIS}"
    r"|\):?\d{1,2}(?:\.\d{1,3})?(?![\w.:])(?!\s{0,3}[\])])"
    r"|\)\^\d{1,2}\.?\d{0,3}|\)\+(?=[\s,)]|$)"
    r"|(?<![^\W\d])[^\W\d]{2,40}\s?::-?(?:\d{1,2}\.?\d{0,3})?(?![\d.])(?!\s{0,3}\))"
)
_BARE_WEIGHT = re.compile(
    r"(?:<[^<>]{1,80}>|(?<![^\W\d])[^\W\d]{2,40}):\d{1,2}\.\d{1,3}(?![\d.])(?!\s{0,3}\))"
)
"""Looked for in what is left when weights in brackets are read."""

_OPTION = re.compile(
    r"(?<!\S)--(?:(?:no)(?:\s+(?!--)\S+){1,40}|(?:ar|aspect|chaos|cref|cw|hd|iw|niji|profile|"
    r"quality|q|raw|repeat|seed|sref|stop|stylize|style|sw|s|tile|uplight|v|version|video|weird|"
    r"w)(?:\s+(?!--)[\w:./]{1,40})?)(?=[\s,]|$)"
    r"|(?<!\S)[\N{EN DASH}\N{EM DASH}](?:ar|aspect|chaos|cw|iw|niji|q|s|seed|stylize|sw|v|w|weird)"
    r"\s+\d[\d:./]{0,20}(?=[\s,]|$)"
)
"""Keyboards make one dash of two."""

_NEGATIVE = re.compile(
    r"(?<!\w)negative prompt:|(?:\A|(?<=[\n,.;]))\s{0,3}negative:", re.IGNORECASE
)
_HEADING = re.compile(r"\A\s{0,3}(?:/imagine(?:\s+prompt:)?|(?:positive )?prompt:)", re.IGNORECASE)
_JOINING = re.compile(r"\.(?:and|blend|swap)\([^()]{0,80}\)")
_PARAMETERS = re.compile(r"(?<!\w)Steps: ?\d+, ?[A-Z][\w ]{0,40}:.*", re.DOTALL)

_UNCLOSED = re.compile(
    r"<(?:lora|lyco|lycoris|hypernet):[^<>\s,]{1,80}(?![^<>]{0,80}>)", re.IGNORECASE
)
_DIVIDER = re.compile(r"\b(BREAK|ADDCOMM|ADDBASE|ADDROW|ADDCOL)\b")
_AND = re.compile(r"(?<=\s)AND(?:_[A-Z]{1,10})?(?=\s)")


@dataclass(frozen=True)
class NamedAdapters:
    """What prompts may name.

    find     by id and kinds
    words    the embeddings' words, in angle brackets
    """

    find: Find
    words: tuple[str, ...]


def read_syntax(request: Request, adapters: NamedAdapters) -> tuple[Request, tuple[str, ...]]:
    """The request as its prompts mean it, and a sentence for each word that means nothing here.

    A LoRA in a region's prompt is laid on there, one in the background's or in the style on the
    whole picture.
    """
    reader = _PromptReader(adapters)
    prompt, loras, negatives = reader.read(request.prompt, request.loras)
    style, loras, more = reader.read(request.style, loras)
    regions = []
    for region in request.regions:
        text, own, own_negative = reader.read(region.prompt, region.loras)
        negative = region.negative_prompt
        if negative is not None or own_negative:
            negative, _, _ = reader.read(negative or "", None)
            negative = _listed(negative, own_negative)
        regions.append(replace(region, prompt=text, loras=own, negative_prompt=negative))
    negative, _, _ = reader.read(request.negative_prompt, None)
    negative = _listed(negative, negatives, more)
    read = replace(
        request,
        prompt=prompt,
        style=style,
        negative_prompt=negative,
        loras=loras,
        regions=tuple(regions),
    )
    return (read if read != request else request), tuple(dict.fromkeys(reader.notices))


def _listed(*texts: str) -> str:
    return ", ".join(filter(None, texts))


class _PromptReader:
    """Reads one prompt after the other."""

    def __init__(self, adapters: NamedAdapters) -> None:
        self._adapters = adapters
        self.notices: list[str] = []

    def read(
        self, prompt: str, loras: tuple[Lora, ...] | None
    ) -> tuple[str, tuple[Lora, ...], str]:
        """A prompt without what is no text, these LoRAs with its own, and what it does not want.

        None: of a negative prompt, which has no LoRAs.
        """
        named: list[Lora] = []
        text, negative = self._pasted(prompt, is_negative=loras is None)
        text = _ESCAPED.sub(r"<\1>", text)
        text = _LORA.sub(lambda found: self._lora(found, named, wished=loras is not None), text)
        text = _EMBEDDING.sub(self._embedding, text)
        text = _OPTION.sub(self._option, text)
        text = _HEADING.sub(self._heading, text)
        if text != prompt:
            text = re.sub(r"\s{2,}", " ", text).strip().strip(",").strip()
        for word in _WORD.findall(text):
            self._check_word(word)
        self._check_bare_names(text)
        for found in _CHANGING.findall(text):
            self._tell(
                Sentence(
                    "{found} was read as words: prompts do not change on the way here.",
                    found=_shown(found),
                )
            )
        for found in _JOINING.finditer(text):
            self._tell_word(found[0])
        for found in _UNCLOSED.finditer(text):
            self._tell(
                Sentence(
                    "{found} was read as words: it has no \u201c>\u201d at its end.",
                    found=_shown(found[0]),
                )
            )
        rest = _CHANGING.sub(" ", _UNCLOSED.sub(" ", text))
        bare = _BARE_WEIGHT.findall(read_weights(rest).text)
        for other in [*(found[0] for found in _OTHER_WEIGHTS.finditer(rest)), *bare]:
            self._tell(
                Sentence(
                    "{found} was read as words: a weight is written (word:1.2) here.",
                    found=_shown(other),
                )
            )
        for notice in read_weights(text).notices:
            self._tell(notice)
        return self._undivided(text), self._with(loras or (), named), negative

    def _pasted(self, prompt: str, *, is_negative: bool) -> tuple[str, str]:
        """A prompt, and a negative one, out of a text as A1111 writes it beside its pictures."""
        text = _PARAMETERS.sub("", prompt)
        if text != prompt:
            self._tell(
                Sentence(
                    "{found} was left out: settings have fields of their own.",
                    found=_shown(prompt[len(text) :]),
                )
            )
        found = _NEGATIVE.search(text)
        if found is None:
            return text, ""
        self._tell(
            Sentence(
                "{found} was taken as the negative prompt.",
                found=_shown(text[found.start() :].strip()),
            )
        )
        before, after = text[: found.start()].strip(" ,\n"), text[found.end() :].strip(" ,\n")
        if is_negative:
            return _listed(before, after), ""
        negative, _, _ = self.read(after, None)
        return before, negative

    def _option(self, found: re.Match[str]) -> str:
        shown = _shown(found[0])
        if found[0].startswith("--no "):
            self._tell(
                Sentence(
                    "{found} was left out: write it into the negative prompt, without "
                    "\u201c--no\u201d.",
                    found=shown,
                )
            )
        else:
            self._tell(
                Sentence("{found} was left out: settings have fields of their own.", found=shown)
            )
        return " "

    def _heading(self, found: re.Match[str]) -> str:
        self._tell(Sentence("{found} was left out: it is no prompt.", found=_shown(found[0])))
        return " "

    def _undivided(self, text: str) -> str:
        """The text without what would divide it elsewhere; if all is in capitals, it is a word."""
        dividers = dict.fromkeys(_DIVIDER.findall(text))
        if text == text.upper():
            for word in dividers:
                self._tell_word(word)
            return text
        for word in dividers:
            self._tell(
                Sentence(
                    "{word} means nothing here: what it divides was read as one text.",
                    word=quoted(word),
                )
            )
        if dividers:
            parts = _DIVIDER.split(text)[::2]
            text = ", ".join(part.strip(" ,") for part in parts).strip(", ")
        for word in dict.fromkeys(_AND.findall(text)):
            self._tell_word(word)
        return text

    def _tell_word(self, word: str) -> None:
        self._tell(
            Sentence(
                "{word} was read as a word: here, each region has a prompt of its own.",
                word=quoted(word),
            )
        )

    def _lora(self, found: re.Match[str], named: list[Lora], *, wished: bool) -> str:
        kind, name, weights = found[1].lower(), found[2].strip(), found[3].split(":")[1:]
        shown = _shown(found[0])
        if kind == "hypernet":
            self._tell(
                Sentence("{lora} was left out: Tapestry knows no hypernetworks.", lora=shown)
            )
            return " "
        if not wished:
            self._tell(
                Sentence("{lora} was left out: a negative prompt lays no LoRA on.", lora=shown)
            )
            return " "
        # Where text encoder and U-Net have one each, that of the U-Net is what paints.
        of_unet = [part for part in weights if part.strip().lower().startswith("unet=")]
        chosen = [*of_unet, *weights, ""][0].strip()
        number = _NUMBER.fullmatch(chosen)
        if weights and number is None:
            self._tell(Sentence("The weight in {lora} is no number: it counts as 1.", lora=shown))
        weight = float(number[1].replace(",", ".")) if number else 1.0
        bounded = min(max(weight, -MAX_ADAPTER_WEIGHT), MAX_ADAPTER_WEIGHT)
        if bounded != weight or len(weights) > 1 or "@" in chosen:
            self._tell(
                Sentence(
                    "{lora} has one weight here, of at most {most}.",
                    lora=shown,
                    most=f"{MAX_ADAPTER_WEIGHT:g}",
                )
            )
        adapter = self._found(name, "lora")
        if adapter is None:
            self._tell(
                Sentence(
                    "{lora} was left out: there is no such LoRA, or more than one.", lora=shown
                )
            )
        else:
            named.append(Lora(adapter.id, bounded))
        return " "

    def _embedding(self, found: re.Match[str]) -> str:
        adapter = self._found(found[1], "embedding")
        if adapter is not None:
            return adapter.token
        self._tell(
            Sentence("There is no embedding {word}: it was read as words.", word=_shown(found[0]))
        )
        return found[0]

    def _check_word(self, word: str) -> None:
        known = self._adapters.words
        if word in known:
            return
        self._tell(
            Sentence("There is no embedding {word}: it was read as words.", word=_shown(word))
        )
        if near := get_close_matches(word, known, 1):
            self._tell(Sentence("There is an embedding {word}.", word=_shown(near[0])))

    def _check_bare_names(self, text: str) -> None:
        """Names of embeddings without their brackets, as A1111 writes them."""
        lowered = text.lower()
        for word in self._adapters.words:
            name = word[1:-1]
            if name.lower() not in lowered:
                continue
            if found := re.search(rf"(?<![\w<-]){re.escape(name)}(?![\w>-])", text, re.IGNORECASE):
                self._tell(
                    Sentence(
                        "{found} was read as words: its embedding is written {word}.",
                        found=_shown(found[0]),
                        word=_shown(word),
                    )
                )

    def _found(self, name: str, kind: str) -> NamedAdapter | None:
        """Also by its file's name, as Windows writes folders."""
        for spelling in (name, _ENDS.sub("", name).replace("\\", "/")):
            with suppress(TapestryError):
                return self._adapters.find(spelling, kind)
        return None

    def _with(self, loras: tuple[Lora, ...], named: list[Lora]) -> tuple[Lora, ...]:
        """If one is named twice, the last weight wins."""
        if not named:
            return loras
        together = {lora.adapter: lora for lora in (*loras, *named)}
        kept = dict(tuple(together.items())[:MAX_LORAS])
        given = [lora.adapter for lora in (*loras, *named)]
        for adapter in dict.fromkeys(lora.adapter for lora in named if lora.adapter in kept):
            weight = kept[adapter].weight
            self._tell(
                Sentence(
                    "The prompt lays on the LoRA {name}, with a weight of {weight}.",
                    name=_shown(adapter),
                    weight=f"{weight:g}",
                )
            )
            if given.count(adapter) > 1:
                self._tell(
                    Sentence(
                        "The LoRA {name} was named twice: the last weight counts.",
                        name=_shown(adapter),
                    )
                )
        for adapter in list(together)[MAX_LORAS:]:
            self._tell(
                Sentence(
                    "The LoRA {name} was left out: {most} are the most.",
                    name=_shown(adapter),
                    most=MAX_LORAS,
                )
            )
        return tuple(kept.values())

    def _tell(self, sentence: str) -> None:
        self.notices.append(sentence)


def _shown(text: str) -> str:
    return quoted(text[:_SHOWN_CHARACTERS])
