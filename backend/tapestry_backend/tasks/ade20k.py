"""Which of ADE20K's 150 classes a prompt names, and the class's colour.

Names and colours are those of the MIT Scene Parsing Benchmark (Zhou et al. 2017, objectInfo150 and
color150), which segmentation networks are trained with. Names that mostly mean something else in a
prompt are left out ("light", "can", "machine"), and everyday words stand beside the class that is
nearest ("forest" with tree, "castle" with building).
"""

from __future__ import annotations

import colorsys
import csv
import re
from collections.abc import Sequence
from importlib.resources import files

Colour = tuple[int, int, int]

_MOST_WORDS = 3
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*|[,.;:()]")
_GOLDEN = 0.618034
_SINGULARS = (
    *(("ies", "y"), ("ves", "f"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss")),
    *(("oxes", "ox"), ("uses", "us"), ("s", "")),
)
"""How words end that mean several, and the one."""


def _read_table() -> dict[str, Colour]:
    """From a table with a row for each class: its colour, and its names between bars."""
    classes: dict[str, Colour] = {}
    table = (files("tapestry_backend.tasks") / "ade20k.csv").read_text("utf-8")
    for row in csv.DictReader(table.splitlines()):
        colour = int(row["red"]), int(row["green"]), int(row["blue"])
        classes |= dict.fromkeys(row["names"].split("|"), colour)
    return classes


CLASSES = _read_table()
"""A class's colour by each of its names."""


def class_colour(prompt: str) -> Colour | None:
    """The colour of the class that a prompt names; None when it names none.

    What comes first is meant, but of words side by side the last ("a stone bridge"), and what
    follows "of" before what it belongs to ("a painting of the sea"). A longer name wins over the
    words in it ("swimming pool").
    """
    words = _WORD.findall(prompt.lower())
    found: list[tuple[int, int, Colour]] = []
    place = 0
    while place < len(words):
        length, colour = _named(words[place : place + _MOST_WORDS])
        if colour is not None:
            if found and found[-1][1] == place:
                found.pop()
            found.append((place, place + length, colour))
        place += length
    for _, end, colour in found:
        if words[end : end + 1] != ["of"]:
            return colour
    return found[-1][2] if found else None


def class_colours(prompts: Sequence[str]) -> list[Colour]:
    """For each prompt its class's colour, or, for one that names none, one that no class has.

    Those are dark and dull, as no colour of the palette is, so no other class is claimed.
    """
    return [class_colour(prompt) or _no_class(number) for number, prompt in enumerate(prompts)]


def _named(words: Sequence[str]) -> tuple[int, Colour | None]:
    """How many of the next words are the longest name among them, and its colour; or one word."""
    for length in range(len(words), 0, -1):
        name = " ".join(words[:length])
        for possible in (name, *_singular(name)):
            if possible in CLASSES:
                return length, CLASSES[possible]
    return 1, None


def _singular(name: str) -> list[str]:
    return [name.removesuffix(end) + one for end, one in _SINGULARS if name.endswith(end)]


def _no_class(number: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.5, 0.25)
    return round(255 * red), round(255 * green), round(255 * blue)
