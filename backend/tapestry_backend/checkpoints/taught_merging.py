"""Which files that were taught can be merged, told from their cards, and the card of the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from .adapter_recognition import read_adapter
from .safetensors_header import read_header
from .taught import Card, read_card, token_of

_MERGED_METHOD = "attention"


def cards_to_merge(paths: Sequence[Path]) -> list[Card]:
    """The card of each file; raises TapestryError where they cannot be merged."""
    if len(paths) < 2:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "One file is nothing to merge.",
            "Give two files or more, each with a word of its own.",
        )
    cards = [_card_of(path) for path in paths]
    _check_one_model(paths, cards)
    _check_words(cards)
    return cards


def merged_card(cards: Sequence[Card], sources: Sequence[str]) -> Card:
    """What a merged file says about itself; sources: SHA-256 of each file that it is made of."""
    words = tuple(word for card in cards for word in card.words)
    licences = dict.fromkeys(card.licence for card in cards if card.licence)
    examples = dict.fromkeys(example for card in cards for example in card.examples)
    likes = dict.fromkeys(card.like for card in cards if card.like)
    card = Card(
        words,
        ", ".join(likes),
        _MERGED_METHOD,
        cards[0].model,
        tuple(examples),
        {"merged": list(sources)},
        "; ".join(licences),
    )
    if not card.is_readable:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            "So many files have more words and examples than one file's card can hold.",
            "Merge fewer of them.",
        )
    return card


def _card_of(path: Path) -> Card:
    adapter = read_adapter(path)
    card = read_card(read_header(path).notes) if adapter.kind in {"lora", "embedding"} else None
    if card is None:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("{name} does not say which word it was taught.", name=quoted(path.name)),
            "Merge files that “tapestry teach” made.",
        )
    if card.method != _MERGED_METHOD:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "{name} was taught by the method {method}, and only those by {merged} are merged.",
                name=quoted(path.name),
                method=quoted(card.method),
                merged=quoted(_MERGED_METHOD),
            ),
            "Others are used beside each other as they are: name each with --lora or --adapter.",
        )
    return card


def _check_one_model(paths: Sequence[Path], cards: Sequence[Card]) -> None:
    for path, card in zip(paths, cards, strict=True):
        if card.model != cards[0].model:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                Sentence(
                    "{first} was taught to the model {model}, {second} to {other}.",
                    first=quoted(paths[0].name),
                    model=quoted(cards[0].model),
                    second=quoted(path.name),
                    other=quoted(card.model),
                ),
                "Merge files that were taught to one model.",
            )


def _check_words(cards: Sequence[Card]) -> None:
    known: set[str] = set()
    for word in (word for card in cards for word in card.words):
        if token_of(word) in known:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                Sentence("Two of the files hold the word {word}.", word=quoted(word)),
                "Give files whose words differ.",
            )
        known.add(token_of(word))
