"""Changes of a picture, and the instructions that ask for them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from .captions import material_words

Rng = np.random.Generator


@dataclass(frozen=True)
class Change:
    """What is asked for. Unused parts are empty strings.

    region: the material `before` becomes `after`. whole: the picture becomes `after`.
    time: `after` is a time of day. season: `after` is winter, autumn or summer.
    add: there is `after` as well, such as "red boat". remove: there is no `before` any more.
    colour: `before` (such as "red house") becomes `after` (such as "blue house").
    thing: `before` becomes `after`, another thing.
    """

    kind: str
    after: str = ""
    before: str = ""

    def to_dict(self) -> dict[str, str]:
        """Only the parts that are set."""
        return {key: value for key, value in asdict(self).items() if value}


_FRAMES: dict[str, tuple[str, ...]] = {
    "region": (
        "turn the {a} into {b}",
        "make the {a} {b}",
        "change the {a} to {b}",
        "change the {a} into {b}",
        "replace the {a} with {b}",
        "{b} instead of {a}",
        "the {a} becomes {b}",
    ),
    "whole": (
        "turn it into {b}",
        "make it {b}",
        "turn everything into {b}",
        "change it to {b}",
        "{b} everywhere",
    ),
    "add": (
        "add {b}",
        "put {b} there",
        "put {b} in the picture",
        "paint {b}",
        "with {b}",
        "let there be {b}",
    ),
    "remove": (
        "remove the {a}",
        "take away the {a}",
        "take the {a} away",
        "without the {a}",
        "delete the {a}",
        "no {a}",
    ),
    "colour": (
        "make the {t} {c}",
        "make the {a} {c}",
        "turn the {t} {c}",
        "paint the {t} {c}",
        "change the colour of the {t} to {c}",
        "change the {a} to {c}",
        "a {b} instead of the {a}",
        "turn the {a} into {b}",
        "make it {c}",
    ),
    "thing": (
        "turn the {a} into {b}",
        "replace the {a} with {b}",
        "change the {a} into {b}",
        "change the {a} to {b}",
        "make the {a} {b}",
        "{b} instead of the {a}",
    ),
}
_TIME_FRAMES: dict[str, tuple[str, ...]] = {
    "night": (
        "make it night",
        "at night",
        "turn the day into night",
        "turn it into night",
        "change it to night",
        "let it be night",
        "make it dark",
    ),
    "sunset": (
        "make it sunset",
        "make it a sunset",
        "at sunset",
        "turn it into a sunset",
        "make it evening",
        "change it to sunset",
        "let the sun set",
    ),
    "day": (
        "make it day",
        "by day",
        "in daylight",
        "turn the night into day",
        "turn it into day",
        "change it to day",
        "let it be day",
        "make it bright",
    ),
}
_SEASON_FRAMES: dict[str, tuple[str, ...]] = {
    "winter": (
        "make it winter",
        "turn it into winter",
        "let it snow",
        "turn the grass into snow",
        "turn the green into snow",
        "cover it with snow",
        "add snow",
        "make it snowy",
        "in winter",
    ),
    "autumn": (
        "make it autumn",
        "turn it into autumn",
        "turn the leaves orange",
        "in autumn",
        "make the grass orange",
        "autumn",
    ),
    "summer": (
        "make it summer",
        "turn it into summer",
        "in summer",
        "turn the snow into grass",
        "make it green",
        "melt the snow",
        "spring",
    ),
}
_ENDS = (" ", ".", "!", " please")
_PLAIN = 0.35
"""How often the first wording of each list is taken."""


def _one(rng: Rng, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _frame(rng: Rng, frames: tuple[str, ...]) -> str:
    return frames[0] if rng.uniform() < _PLAIN else _one(rng, frames)


def _article(thing: str) -> str:
    return f"an {thing}" if thing[0] in "aeiou" else f"a {thing}"


def _thing_words(rng: Rng, thing: str, plain: float = 0.35) -> str:
    """A thing with its colour, or with chance `plain` without."""
    return thing.rsplit(maxsplit=1)[-1] if rng.uniform() < plain else thing


def instruction(rng: Rng, change: Change) -> str:
    """One wording of a change."""
    words = _worded(rng, change)
    if rng.uniform() < 0.1:
        words += _one(rng, _ENDS)
    return words[0].upper() + words[1:] if rng.uniform() < 0.1 else words


def _worded(rng: Rng, change: Change) -> str:
    if change.kind == "time":
        return _frame(rng, _TIME_FRAMES[change.after])
    if change.kind == "season":
        return _frame(rng, _SEASON_FRAMES[change.after])
    frame = _frame(rng, _FRAMES[change.kind])
    if change.kind in ("region", "whole"):
        before = change.before and material_words(rng, change.before, 0.6)
        return frame.format(a=before, b=material_words(rng, change.after, 0.6))
    if change.kind == "colour":
        colour, thing = change.after.split()
        return frame.format(a=change.before, b=change.after, c=colour, t=thing)
    before = change.before and _thing_words(rng, change.before, 0.6)
    after = change.after and _article(_thing_words(rng, change.after))
    return frame.format(a=before, b=after)


def canonical(change: Change) -> str:
    """The plainest wording."""
    if change.kind == "time":
        return _TIME_FRAMES[change.after][0]
    if change.kind == "season":
        return _SEASON_FRAMES[change.after][0]
    frame = _FRAMES[change.kind][0]
    if change.kind == "colour":
        colour, thing = change.after.split()
        return frame.format(t=thing, c=colour)
    after = change.after if change.kind in ("region", "whole") else _article(change.after or "x")
    before = change.before if change.kind == "region" else change.before.split(" ")[-1]
    return frame.format(a=before, b=after)
