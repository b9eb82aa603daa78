"""Drawings of one scene with one thing changed, exactly: the same seed, the same layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import objects
from .canvas import Painter, mix, smooth_noise, smoothstep
from .draw import to_bytes
from .edits import Change
from .labels import SKIES, second_half
from .materials import BY_NAME, MATERIAL_NAMES
from .scene_parts import TIMES, tinted
from .scenes import SCENES

Rng = np.random.Generator
# How much each kind of family counts.
FAMILY_SHARES = {"regions": 0.28, "times": 0.2, "seasons": 0.1, "presence": 0.22, "things": 0.2}
# Scenes with enough green to have seasons.
GREEN_SCENES = ("green hills", "village", "forest clearing", "mountains")
_WHOLE_CHANCE = 0.15


class Family(NamedTuple):
    """Pictures [N, H, W, 3] uint8 that differ in one thing, and the changes between them.

    changes: (number of the picture before, of the picture after, what is asked for)
    """

    pictures: np.ndarray
    changes: list[tuple[int, int, Change]]


def _one(rng: Rng, options: tuple[str, ...] | list[str]) -> str:
    return options[int(rng.integers(len(options)))]


def draw_family(rng: Rng, kind: str, height: int, width: int) -> Family:
    """One of `FAMILY_SHARES`, in that size in pixels."""
    pictures, changes = _KINDS[kind](rng, height, width)
    return Family(np.stack([to_bytes(picture) for picture in pictures]), changes)


Drawn = tuple[list[np.ndarray], list[tuple[int, int, Change]]]


class _Again:
    """Generators that begin alike each time they are asked for by the same name."""

    def __init__(self, rng: Rng) -> None:
        self.seed = int(rng.integers(2**62))

    def __call__(self, number: int) -> Rng:
        return np.random.default_rng([self.seed, number])


def _background(again: _Again, ground: str, time: str, height: int, width: int) -> np.ndarray:
    """A scene at that time of day, or a material."""
    if ground in SCENES:
        return SCENES[ground](again(0), time, height, width)
    return BY_NAME[ground].draw(again(0), height, width)


def _blob(rng: Rng, height: int, width: int) -> np.ndarray:
    """A painted region, [height, width] of 0 to 1: an ellipse with a trembling edge."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    middle = rng.uniform(0.3, 0.7, 2) * (height, width)
    radii = rng.uniform(0.22, 0.42, 2) * (height, width)
    far = np.hypot((y - middle[0]) / radii[0], (x - middle[1]) / radii[1])
    edge = far + 0.15 * smooth_noise(rng, height, width, 28)
    return smoothstep(1.04, 0.96, edge)


def _regions(rng: Rng, height: int, width: int) -> Drawn:
    """Two materials, one of which becomes a third; now and then everything becomes one."""
    again = _Again(rng)
    form = _one(rng, ("above", "above", "left", "blob", "thing"))
    first, second, other = rng.choice(MATERIAL_NAMES, 3, replace=False).tolist()
    if form == "above" and rng.uniform() < 0.5:
        first = _one(rng, SKIES)
        grounds = [name for name in MATERIAL_NAMES if name not in SKIES]
        second, other = rng.choice(grounds, 2, replace=False).tolist()
    drawn = {
        name: BY_NAME[name].draw(again(number), height, width)
        for number, name in enumerate((first, second, other))
    }
    if form == "thing":
        thing, colour = _thing(rng)
        pictures = [objects.place(again(9), drawn[name], thing, colour) for name in (second, other)]
    else:
        mask = (
            _blob(again(8), height, width)
            if form == "blob"
            else second_half(again(8), form, height, width)
        )
        if rng.uniform() < 0.35:
            mask = 1 - mask
        pictures = [mix(drawn[first], drawn[name], mask) for name in (second, other)]
    changes = [
        (0, 1, Change("region", other, second)),
        (1, 0, Change("region", second, other)),
    ]
    if rng.uniform() < _WHOLE_CHANCE:
        pictures.append(drawn[first])
        changes += [(number, 2, Change("whole", first)) for number in (0, 1)]
    return pictures, changes


def _thing(rng: Rng) -> tuple[str, str]:
    thing = _one(rng, list(objects.OBJECTS))
    return thing, _one(rng, objects.OBJECT_COLOURS[thing])


def _place_of(rng: Rng, thing: str) -> tuple[str, str]:
    """A ground or scene for a thing, and a time of day."""
    chance = rng.uniform()
    if chance < 0.45:
        return _one(rng, objects.OBJECT_PLACES[thing]), "day"
    if chance < 0.6:
        return _one(rng, MATERIAL_NAMES), "day"
    scenes = ["harbour", "sandy beach"] if thing in ("boat", "fish") else list(SCENES)
    return _one(rng, scenes), _one(rng, TIMES)


def _span(thing: str, ground: str) -> tuple[float, float]:
    if ground not in SCENES:
        return 0.0, 1.0
    return (0.0, 0.75) if thing in objects.AIRBORNE else (0.6, 1.0)


def _times(rng: Rng, height: int, width: int) -> Drawn:
    """A scene at each time of day, perhaps with a thing."""
    again, scene = _Again(rng), _one(rng, list(SCENES))
    pictures = [_background(again, scene, time, height, width) for time in TIMES]
    if rng.uniform() < 0.2:
        thing, colour = _thing(rng)
        span = _span(thing, scene)
        pictures = [objects.place(again(9), made, thing, colour, span) for made in pictures]
    changes = [
        (before, after, Change("time", TIMES[after]))
        for before in range(len(TIMES))
        for after in range(len(TIMES))
        if before != after
    ]
    return pictures, changes


def in_season(picture: np.ndarray, season: str, time: str) -> np.ndarray:
    """A scene [H, W, 3] in 0..1 whose green is turned white or orange, in the light of the time."""
    light = np.asarray(tinted((1.0, 1.0, 1.0), time), np.float32)
    plain = np.clip(picture / light, 0, 1)
    red, green, blue = np.moveaxis(plain, -1, 0)
    amount = smoothstep(0.02, 0.09, green - np.maximum(red, blue))
    bright = np.clip(plain.mean(-1) / 0.5, 0, 1)
    dark, pale = {
        "winter": ((0.62, 0.72, 0.86), (0.96, 0.98, 1.0)),
        "autumn": ((0.55, 0.25, 0.1), (0.95, 0.66, 0.24)),
    }[season]
    turned = mix(dark, pale, smoothstep(0.3, 1.0, bright))
    return mix(picture, turned * light, amount)


def _seasons(rng: Rng, height: int, width: int) -> Drawn:
    """A green scene in summer, winter and autumn."""
    again, scene, time = _Again(rng), _one(rng, GREEN_SCENES), _one(rng, ("day", "day", *TIMES))
    green = _background(again, scene, time, height, width)
    seasons = ("summer", "winter", "autumn")
    pictures = [green, *(in_season(green, season, time) for season in seasons[1:])]
    changes = [
        (before, after, Change("season", seasons[after]))
        for before, after in ((0, 1), (0, 2), (1, 0), (2, 0), (2, 1))
    ]
    return pictures, changes


def _presence(rng: Rng, height: int, width: int) -> Drawn:
    """A place without a thing, and with it."""
    again = _Again(rng)
    thing, colour = _thing(rng)
    ground, time = _place_of(rng, thing)
    empty = _background(again, ground, time, height, width)
    # The painter's brush softens a picture a little: both alike.
    pictures = [
        Painter(empty, height, width).picture(),
        objects.place(again(9), empty, thing, colour, _span(thing, ground)),
    ]
    name = f"{colour} {thing}"
    return pictures, [(0, 1, Change("add", name)), (1, 0, Change("remove", before=name))]


def _things(rng: Rng, height: int, width: int) -> Drawn:
    """A thing in two colours, and another thing in its place."""
    again = _Again(rng)
    thing, colour = _thing(rng)
    ground, time = _place_of(rng, thing)
    empty = _background(again, ground, time, height, width)
    others = [other for other in objects.OBJECT_COLOURS[thing] if other != colour]
    alike = [
        other
        for other in objects.OBJECTS
        if other != thing and (other in objects.AIRBORNE) == (thing in objects.AIRBORNE)
    ]
    new = _one(rng, alike)
    shown = [
        (thing, colour),
        (thing, _one(rng, others)),
        (new, _one(rng, objects.OBJECT_COLOURS[new])),
    ]
    span = _span(thing, ground)
    pictures = [objects.place(again(9), empty, *what, span) for what in shown]
    names = [f"{its} {what}" for what, its in shown]
    changes = [
        (0, 1, Change("colour", names[1], names[0])),
        (1, 0, Change("colour", names[0], names[1])),
        (0, 2, Change("thing", names[2], names[0])),
    ]
    return pictures, changes


_KINDS: dict[str, Callable[[Rng, int, int], Drawn]] = {
    "regions": _regions,
    "times": _times,
    "seasons": _seasons,
    "presence": _presence,
    "things": _things,
}
