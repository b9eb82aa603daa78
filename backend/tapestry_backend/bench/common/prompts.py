"""Which prompts a model is asked for."""

from __future__ import annotations

from ...checkpoints.catalogue import SAMPLE

SAMPLE_TEXTURES = (
    "ocean waves",
    "red bricks",
    "green grass",
    "lavender field",
    "lava",
    "cracked ice",
    "wheat field",
    "starry night",
    "cherry blossoms",
    "stone wall",
    "bamboo",
    "blue sky",
)
"""Materials of the bundled model's vocabulary that a judge tells apart by patches of 16 pixels.

It names 99 % of unseen ones rightly; snow and clouds, or pebbles and stones, it could not."""

GENERAL_TEXTURES = (
    "a texture of blue water waves",
    "a wall of red bricks",
    "green grass seen from above",
    "a field of purple lavender",
    "glowing orange lava",
    "white cracked ice",
    "yellow sand dunes",
    "a starry night sky",
    "pink cherry blossoms",
)
"""Textures that any text-to-image checkpoint knows: eight regions and a background."""


SAMPLE_PAIRS = (
    ("pebbles", "green grass"),
    ("lava", "snow"),
    ("sand dunes", "ocean waves"),
    ("starry night", "wheat field"),
    ("cherry blossoms", "bamboo"),
    ("snow", "pine forest"),
    ("sunset sky", "starry night"),
    ("wood planks", "blue sky"),
    ("autumn leaves", "cracked ice"),
    ("ocean waves", "green grass"),
    ("green grass", "lava"),
    ("stone wall", "sunset sky"),
)
"""Materials of the bundled model, to be painted one on the other, of which each pixel's colour
tells which it is: in plain pictures 99.9 % and more are named rightly."""

SAMPLE_HOUSE = ("wood planks", "lava", "stone wall", "blue sky")
"""Door, roof, wall and sky: every two of them a pair like the ones above."""


def textures(model: str) -> tuple[str, ...]:
    """Prompts that fill a picture evenly, each unlike the others: nine at least."""
    return SAMPLE_TEXTURES if model == SAMPLE else GENERAL_TEXTURES


SAMPLE_EVEN_TEXTURES = (
    "sunset sky",
    "sand dunes",
    "autumn leaves",
    "blue sky",
    "pine forest",
    "wood planks",
    "ocean waves",
    "cherry blossoms",
)
"""Materials without large parts: change from place to place varies by a tenth to a fifth, that of
bricks or stars by a half, so that a small seam is found with fewer pictures."""

SAMPLE_OPEN_VIEWS = ("blue sky", "sunset sky", "starry night", "ocean waves", "flower meadow")
"""Of large and even colours, in which the eye sees a wide, faint line."""

SAMPLE_DRIFTING = (
    "sunset sky",
    "patchwork quilt",
    "mountains at sunset",
    "white clouds",
    "lily pond",
    "flower meadow",
    "cracked ice",
    "city skyline",
)
"""Materials and scenes of which no two pictures have the same colours and patterns."""

SAMPLE_SCENES = (
    "sandy beach",
    "mountains",
    "green hills",
    "desert",
    "mountains at sunset",
    "city skyline",
    "sandy beach at sunset",
    "green hills at sunset",
    "desert at sunset",
    "mountains at night",
)
"""Scenes of the bundled model's vocabulary that have one horizon."""

GENERAL_OPEN_VIEWS = ("a blue sky", "a sunset sky", "a starry night sky", "the sea", "a meadow")

GENERAL_SCENES = (
    "a sandy beach and the sea under a blue sky",
    "mountains under a blue sky",
    "green hills under a blue sky",
    "a desert under a blue sky",
    "a beach at sunset",
    "mountains at sunset",
)

RED_THINGS = (
    "a red balloon in the blue sky",
    "a red boat on ocean waves",
    "a red house on green grass",
    "a red bird in the blue sky",
    "a red balloon in the white clouds",
    "a red house on snow",
)
"""One thing on what has no red in it, in words of the bundled model that others know, too."""


SAMPLE_DETAILED = (
    *SAMPLE_TEXTURES,
    *("pebbles", "snow", "sand dunes", "wood planks", "pine forest", "autumn leaves"),
    *("roof tiles", "lily pond", "patchwork quilt", "mountains", "city skyline", "green hills"),
)
"""Everything whose detail can be lost: materials and scenes of the bundled model's vocabulary."""


def detailed(model: str) -> tuple[str, ...]:
    """Prompts whose fine detail is compared."""
    return SAMPLE_DETAILED if model == SAMPLE else (*GENERAL_TEXTURES, *GENERAL_SCENES[:3])


def even_textures(model: str) -> tuple[str, ...]:
    """Prompts in which a seam would show."""
    return SAMPLE_EVEN_TEXTURES if model == SAMPLE else GENERAL_TEXTURES


def open_views(model: str) -> tuple[str, ...]:
    """Prompts in which a border would show from further away."""
    return SAMPLE_OPEN_VIEWS if model == SAMPLE else GENERAL_OPEN_VIEWS


SAMPLE_RENAMED = (
    ("a red house", "a blue house"),
    ("village", "village at night"),
    ("a green tree", "a red tree"),
    ("a yellow boat", "a blue boat"),
    ("mountains", "mountains at sunset"),
    ("a red balloon", "a green balloon"),
    ("a white cat", "a black cat"),
    ("harbour", "harbour at night"),
    ("a blue castle", "a red castle"),
)

GENERAL_RENAMED = (
    ("a red house on a meadow", "a blue house on a meadow"),
    ("a village by day", "a village at night"),
    ("a green tree on a hill", "a red tree on a hill"),
    ("a yellow boat on a lake", "a blue boat on a lake"),
    ("mountains under a blue sky", "mountains at sunset"),
    ("a white cat on a sofa", "a black cat on a sofa"),
)


SAMPLE_COLLAGES = (
    ("a red house", "green grass", "blue sky"),
    ("a blue house", "snow", "sunset sky"),
    ("a red boat", "ocean waves", "starry night"),
    ("a green tree", "wheat field", "blue sky"),
    ("a yellow house", "lavender field", "white clouds"),
    ("a red windmill", "sand dunes", "blue sky"),
)

GENERAL_COLLAGES = (
    ("a red house", "a green meadow", "a blue sky"),
    ("a white boat", "the sea", "a starry night sky"),
    ("a green tree", "yellow sand dunes", "a blue sky"),
)


def collages(model: str) -> tuple[tuple[str, str, str], ...]:
    """A thing, what it stands on, and what is behind it; the last two tell apart by colours."""
    return SAMPLE_COLLAGES if model == SAMPLE else GENERAL_COLLAGES


def renamed(model: str) -> tuple[tuple[str, str], ...]:
    """Things and scenes, and the same in another colour or another light."""
    return SAMPLE_RENAMED if model == SAMPLE else GENERAL_RENAMED


def drifting(model: str) -> tuple[str, ...]:
    """Prompts whose windows differ when nothing holds them together."""
    return SAMPLE_DRIFTING if model == SAMPLE else (*GENERAL_SCENES, *GENERAL_TEXTURES[:2])


SAMPLE_LAYERED = (
    "sandy beach",
    "mountains",
    "green hills",
    "desert",
    "sandy beach at sunset",
    "green hills at sunset",
)
"""Scenes whose top and bottom have different colours."""


def layered_scenes(model: str) -> tuple[str, ...]:
    """Prompts of views whose sky and ground colours tell apart."""
    return SAMPLE_LAYERED if model == SAMPLE else GENERAL_SCENES


def scenes(model: str) -> tuple[str, ...]:
    """Prompts of views with sky above ground."""
    return SAMPLE_SCENES if model == SAMPLE else GENERAL_SCENES


def contrasting(model: str) -> tuple[tuple[str, str], ...]:
    """Pairs of prompts, what is painted and what it is painted on, that colours tell apart."""
    if model == SAMPLE:
        return SAMPLE_PAIRS
    names = GENERAL_TEXTURES
    return tuple((name, names[(i + 3) % len(names)]) for i, name in enumerate(names))


def house(model: str) -> tuple[str, str, str, str]:
    """Door, roof, wall and sky, or four other prompts that colours tell apart."""
    return SAMPLE_HOUSE if model == SAMPLE else GENERAL_TEXTURES[:4]
