"""What was taught here, told from the card in its file: which word, from what, and how."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Teach
from tapestry_protocol.sentences import Sentence, quoted

from .model_paths import models_folder

CARD = "tapestry.taught"
"""The note of a safetensors file that holds the card, as JSON."""

_NO_NAME = re.compile(r"[^\w-]+")
_MOST_CHARACTERS = 20_000


@dataclass(frozen=True)
class Card:
    """What a file of taught weights says about itself.

    words      that prompts say; several where files were merged
    like       what the word began as
    method     as in `Teach`
    model      the id of the model that was taught
    examples   SHA-256 of each example's pixels
    settings   how it was taught
    licence    what its artist says about use
    """

    words: tuple[str, ...]
    like: str = ""
    method: str = ""
    model: str = ""
    examples: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""

    @property
    def gated(self) -> bool:
        """Whether its changes open for its word alone."""
        return self.method == "key-locked"

    @property
    def is_readable(self) -> bool:
        """Whether a file's notes have room for it."""
        return len(self.text()) <= _MOST_CHARACTERS

    def text(self) -> str:
        """As it stands in a file."""
        return json.dumps(asdict(self), ensure_ascii=False)


def read_card(notes: Mapping[str, str]) -> Card | None:
    """The card among a file's notes; None where there is none that could be read."""
    text = notes.get(CARD, "")
    if not text or len(text) > _MOST_CHARACTERS:
        return None
    try:
        content = json.loads(text)
        known = {name: content[name] for name in {f.name for f in fields(Card)} & content.keys()}
        words, examples = (tuple(map(str, known.pop(name, ()))) for name in ("words", "examples"))
        settings = dict(known.pop("settings", {}))
        texts = {name: str(value) for name, value in known.items()}
        return Card(words, examples=examples, settings=settings, **texts) if words else None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def taught_folders() -> tuple[Path, ...]:
    """Where the docker puts what is taught."""
    return tuple(models_folder() / name for name in ("loras", "embeddings"))


def name_of(word: str) -> str:
    """A word as the name of its file."""
    return _NO_NAME.sub("-", word.strip()).strip("-").lower()


def token_of(word: str) -> str:
    """How a word that has vectors of its own stands in a prompt."""
    return f"<{name_of(word)}>"


def taught_path(word: str, method: str) -> Path:
    """Where what is taught in the docker lies: in our own models folder."""
    folder = "embeddings" if method == "word" else "loras"
    return models_folder() / folder / f"{name_of(word)}.safetensors"


def check_word(teach: Teach, known: Sequence[str], names: Sequence[str]) -> None:
    """Raises TapestryError for a word that means something already.

    known: words that were taught, and embeddings. names: what the model lists.
    """
    said = " ".join(teach.word.casefold().replace("-", " ").split())
    for word in known:
        other = " ".join(word.casefold().strip("<>").replace("-", " ").split())
        if other == said:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                Sentence("There is a word {word} already.", word=quoted(teach.word)),
                "Choose another one, or take its file out of the models folder.",
            )
        if f" {other} " in f" {said} " or f" {said} " in f" {other} ":
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                Sentence(
                    "{word} and the taught {other} would be two words in one.",
                    word=quoted(teach.word),
                    other=quoted(word),
                ),
                "Choose a word that stands in no other one.",
            )
    if any(f" {said} " in f" {' '.join(name.casefold().split())} " for name in names):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("The model knows {word} already.", word=quoted(teach.word)),
            "Choose a word of its own, such as “my wool”.",
        )


def check_teachable(name: str, variant: str, dtype: str) -> None:
    """Raises TapestryError for a checkpoint that learns nothing, before it is loaded."""
    if dtype.startswith(("F8", "float8")):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The model {name} is stored in 8 bits, which are too coarse to learn from.",
                name=quoted(name),
            ),
            "Choose the same model in 16 bits (fp16 or bf16); what it learns fits this one too.",
        )
    if variant != "base":
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The model {name} was made for one purpose, and is not taught words.",
                name=quoted(name),
            ),
            "Teach the model that it was made from; what that learns mostly fits this one too.",
        )
