"""The list of materials: name, drawing function and other names."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import textures_built as built
from . import textures_nature as nature
from . import textures_plants as plants


class Material(NamedTuple):
    """A texture that fills a picture of any size: `draw(rng, height, width)` -> [H, W, 3] 0..1."""

    name: str
    draw: Callable[[np.random.Generator, int, int], np.ndarray]
    synonyms: tuple[str, ...]


MATERIALS: tuple[Material, ...] = (
    Material("blue sky", nature.blue_sky, ("clear sky", "azure sky", "sky")),
    Material("white clouds", nature.white_clouds, ("clouds", "fluffy clouds", "cloudy sky")),
    Material("sunset sky", nature.sunset_sky, ("orange sky", "evening sky", "sunset")),
    Material("starry night", nature.starry_night, ("stars", "night sky", "starry sky")),
    Material("green grass", plants.green_grass, ("grass", "lawn", "meadow grass")),
    Material("wheat field", plants.wheat_field, ("wheat", "golden wheat", "corn field")),
    Material("sand dunes", nature.sand_dunes, ("sand", "dunes", "desert sand")),
    Material("ocean waves", nature.ocean_waves, ("ocean", "sea", "waves", "water")),
    Material("red bricks", built.red_bricks, ("brick wall", "bricks", "red brick wall")),
    Material("stone wall", built.stone_wall, ("stones", "grey stone", "castle wall")),
    Material("wood planks", built.wood_planks, ("wood", "wooden boards", "planks")),
    Material("snow", nature.snow, ("white snow", "snow field", "fresh snow")),
    Material("lava", nature.lava, ("molten lava", "glowing lava", "magma")),
    Material("pebbles", nature.pebbles, ("gravel", "river pebbles", "round stones")),
    Material("cracked ice", nature.cracked_ice, ("ice", "frozen lake", "blue ice")),
    Material("pine forest", plants.pine_forest, ("forest", "pine trees", "woods")),
    Material("autumn leaves", plants.autumn_leaves, ("fallen leaves", "orange leaves", "leaves")),
    Material("flower meadow", plants.flower_meadow, ("flowers", "meadow", "wild flowers")),
    Material(
        "lavender field", plants.lavender_field, ("lavender", "purple flowers", "violet field")
    ),
    Material(
        "checkered floor", built.checkered_floor, ("chessboard", "checkerboard", "tiled floor")
    ),
    Material("roof tiles", built.roof_tiles, ("slate roof", "blue roof tiles", "tiles")),
    Material("cherry blossoms", plants.cherry_blossoms, ("blossoms", "pink blossoms", "sakura")),
    Material("bamboo", plants.bamboo, ("bamboo canes", "bamboo forest", "green bamboo")),
    Material("lily pond", nature.lily_pond, ("pond", "water lilies", "lily pads")),
    Material("patchwork quilt", built.patchwork_quilt, ("quilt", "patchwork", "colourful blanket")),
)

MATERIAL_NAMES: tuple[str, ...] = tuple(material.name for material in MATERIALS)
BY_NAME: dict[str, Material] = {material.name: material for material in MATERIALS}
