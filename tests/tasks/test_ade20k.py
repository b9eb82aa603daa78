"""The class that a prompt names: its colour in ADE20K's palette, or one that no class has."""

from __future__ import annotations

from importlib.resources import files

import pytest

from tapestry_backend.tasks.ade20k import CLASSES, class_colour, class_colours

KNOWN = {
    "wall": (120, 120, 120),
    "sky": (6, 230, 230),
    "tree": (4, 200, 3),
    "sea": (9, 7, 230),
    "traffic light": (41, 0, 255),
    "flag": (92, 0, 255),
}
"""A few of the palette, as it is published everywhere."""


def test_the_palette_is_whole() -> None:
    """150 classes, two of which share a colour; no name stands for two."""
    table = (files("tapestry_backend.tasks") / "ade20k.csv").read_text("utf-8")
    lines = table.splitlines()[1:]
    names = [name for line in lines for name in line.split(",", 3)[3].split("|")]

    assert len(lines) == 150
    assert len(set(CLASSES.values())) == 149
    assert CLASSES["road"] == CLASSES["skyscraper"]
    assert len(names) == len(set(names)) == len(CLASSES)
    assert all(name == name.strip().lower() and name for name in names)
    assert {name: CLASSES[name] for name in KNOWN} == KNOWN


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("sky", "sky"),
        ("A Dramatic Sky at dusk", "sky"),
        ("dark clouds", "sky"),
        ("old oaks", "tree"),
        ("a swimming pool", "swimming pool"),
        ("a pool table", "pool table"),
        ("two palm trees", "palm"),
        ("a stone bridge", "bridge"),
        ("brick house with a red door", "house"),
        ("a mountain lake", "lake"),
        ("an oil painting of the sea", "sea"),
        ("a field of flowers", "flower"),
        ("a painting of", "painting"),
        ("sand, sea", "sand"),
        ("(rocks:1.3) in the water", "rock"),
        ("light blue sky", "sky"),
        ("shelves", "shelf"),
        ("foxes", "animal"),
        ("buses", "bus"),
        ("meadow grasses", "grass"),
        ("a high-rise", "skyscraper"),
        ("stone steps", "stairs"),
    ],
)
def test_a_prompt_names_a_class(prompt: str, name: str) -> None:
    """By its words, also several at once, in the plural, and everyday ones near by."""
    assert class_colour(prompt) == CLASSES[name]


@pytest.mark.parametrize("prompt", ["", "gloom", "seaside", "skyline", "something red", ", of"])
def test_a_prompt_may_name_none(prompt: str) -> None:
    """A word in another is none."""
    assert class_colour(prompt) is None


def test_what_names_none_has_a_colour_that_no_class_has() -> None:
    """However many there are; each another."""
    made = class_colours(["gloom"] * 33 + ["sea"])
    others = made[:-1]

    assert made[-1] == CLASSES["sea"]
    assert len(set(others)) > 20
    for colour in others:
        nearest = min(
            max(abs(a - b) for a, b in zip(colour, known, strict=True))
            for known in CLASSES.values()
        )
        assert nearest >= 16
