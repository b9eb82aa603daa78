"""The list of single things, their colours and places, and placing one in a picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import objects_built as built
from . import objects_nature as nature
from .canvas import Colour, Painter, vary

Rng = np.random.Generator

COLOURS: dict[str, Colour] = {
    "red": (0.86, 0.18, 0.17),
    "orange": (0.97, 0.55, 0.13),
    "yellow": (0.99, 0.84, 0.22),
    "green": (0.24, 0.62, 0.27),
    "blue": (0.2, 0.4, 0.86),
    "purple": (0.56, 0.28, 0.72),
    "pink": (0.98, 0.58, 0.74),
    "white": (0.97, 0.97, 0.95),
    "black": (0.2, 0.19, 0.24),
    "brown": (0.58, 0.37, 0.21),
}


DrawObject = Callable[[Painter, float, float, float, Colour], None]
OBJECTS: dict[str, DrawObject] = {
    "house": built.house,
    "tree": nature.tree,
    "balloon": built.balloon,
    "boat": built.boat,
    "sun": nature.sun,
    "moon": nature.moon,
    "pine": nature.pine,
    "cloud": nature.cloud,
    "bird": nature.bird,
    "fish": nature.fish,
    "cat": nature.cat,
    "flower": nature.flower,
    "mushroom": nature.mushroom,
    "lighthouse": built.lighthouse,
    "castle": built.castle,
    "bridge": built.bridge,
    "windmill": built.windmill,
    "lantern": built.lantern,
}
OBJECT_COLOURS: dict[str, tuple[str, ...]] = {
    "house": ("red", "blue", "yellow", "green", "pink", "white"),
    "tree": ("green", "orange", "pink", "red", "yellow"),
    "balloon": ("red", "blue", "yellow", "purple", "green", "orange"),
    "boat": ("red", "blue", "green", "yellow", "purple"),
    "sun": ("yellow", "orange", "red"),
    "moon": ("white", "yellow"),
    "pine": ("green", "white", "blue"),
    "cloud": ("white", "pink", "purple"),
    "bird": ("red", "blue", "yellow", "white"),
    "fish": ("orange", "red", "yellow", "purple"),
    "cat": ("orange", "black", "white", "brown"),
    "flower": ("red", "pink", "yellow", "purple", "white"),
    "mushroom": ("red", "brown", "purple"),
    "lighthouse": ("red", "blue"),
    "castle": ("blue", "red", "purple", "green"),
    "bridge": ("red", "brown", "white"),
    "windmill": ("red", "white", "brown", "blue"),
    "lantern": ("red", "orange", "yellow", "pink"),
}
AIRBORNE = ("balloon", "sun", "moon", "cloud", "bird", "lantern")
# Where each thing is usually met; a caption may name the place or leave it open.
_MEADOWS = ("green grass", "flower meadow", "snow", "wheat field")
_SKY = ("blue sky", "white clouds", "sunset sky", "starry night")
_WATER = ("ocean waves", "lily pond")
OBJECT_PLACES: dict[str, tuple[str, ...]] = {
    "house": (*_MEADOWS, "sand dunes", "pine forest"),
    "tree": (*_MEADOWS, "stone wall", "blue sky"),
    "balloon": (*_SKY, "pine forest"),
    "boat": (*_WATER, "cracked ice"),
    "sun": ("blue sky", "white clouds", "sunset sky", "ocean waves"),
    "moon": ("starry night", "blue sky", "sunset sky", "pine forest"),
    "pine": (*_MEADOWS, "blue sky", "sunset sky"),
    "cloud": ("blue sky", "sunset sky", "starry night"),
    "bird": (*_SKY, "green grass", "cherry blossoms"),
    "fish": (*_WATER, "pebbles"),
    "cat": ("wood planks", "green grass", "checkered floor", "patchwork quilt", "red bricks"),
    "flower": ("green grass", "blue sky", "stone wall", "snow", "wood planks"),
    "mushroom": ("green grass", "autumn leaves", "pine forest"),
    "lighthouse": ("ocean waves", "blue sky", "sunset sky", "starry night"),
    "castle": ("green grass", "blue sky", "sunset sky", "pine forest"),
    "bridge": ("lily pond", "green grass", "ocean waves"),
    "windmill": ("wheat field", "green grass", "blue sky", "lavender field"),
    "lantern": ("starry night", "sunset sky", "bamboo", "wood planks"),
}


def place(
    rng: Rng,
    picture: np.ndarray,
    name: str,
    colour: str,
    span: tuple[float, float] = (0.0, 1.0),
    margin: float = 8.0,
) -> np.ndarray:
    """The picture with one thing of that colour, wholly inside by `margin` pixels.

    `span` is the part of the height, 0 at the top, where its foot may stand.
    """
    height, width = picture.shape[:2]
    room = min(height, width) - 2 * margin
    size = min(rng.uniform(60, 96), 0.9 * room)
    painter = Painter(picture, height, width)
    left = 0.56 * size + margin
    # Mostly near the middle: where a thing may be anywhere, a model hesitates and paints blots.
    right, low = max(left + 1, width - left), max(size + margin, span[0] * height)
    high = max(low + 1, min(height - margin, span[1] * height))
    x = rng.triangular(left, (left + right) / 2, right)
    y = rng.triangular(low, (low + high) / 2, high)
    OBJECTS[name](painter, x, min(y, height - margin), size, vary(rng, COLOURS[colour], 0.02))
    return painter.picture()
