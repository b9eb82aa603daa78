"""Wordings for labels, and the canonical prompts."""

from __future__ import annotations

import numpy as np

from .labels import SKIES, Label
from .materials import BY_NAME, MATERIAL_NAMES
from .objects import OBJECT_COLOURS
from .scenes import SCENES, TIMES

Rng = np.random.Generator

_FRAMES = (
    "a picture of {}",
    "picture of {}",
    "a painting of {}",
    "an illustration of {}",
    "{} in a picture book",
    "a drawing of {}",
)
_MATERIAL_FRAMES = (
    "{} texture",
    "a texture of {}",
    "{} background",
    "{} everywhere",
    "nothing but {}",
    "close-up of {}",
    "a view of {}",
)
_SCENE_WORDS: dict[str, tuple[str, ...]] = {
    "mountains": ("mountains", "snowy mountains", "a mountain range", "mountain peaks"),
    "city skyline": ("city skyline", "a city skyline", "a city", "tall buildings", "a town"),
    "green hills": ("green hills", "rolling hills", "hills", "a hilly landscape"),
    "sandy beach": ("sandy beach", "a sandy beach", "a beach", "the seaside"),
    "desert": ("desert", "a desert", "a desert landscape", "the desert"),
    "village": ("village", "a village", "a small village", "a village with a church"),
    "forest clearing": ("forest clearing", "a forest clearing", "a forest path", "a forest scene"),
    "harbour": ("harbour", "a harbour", "a harbor", "boats in a harbour", "a fishing port"),
    "snowy field": ("snowy field", "a snowy field", "a winter landscape", "fields in snow"),
}
_TIME_WORDS: dict[str, tuple[str, ...]] = {
    "day": ("", "", " by day", " in daylight", " under a blue sky"),
    "sunset": (" at sunset", " at sunset", " at dusk", " in the evening"),
    "night": (" at night", " at night", " by night", " under the stars"),
}
_ABOVE = (
    "{a} above {b}",
    "{a} above {b}",
    "{a} over {b}",
    "{b} below {a}",
    "{a} at the top and {b} at the bottom",
)
_LEFT = (
    "{a} on the left and {b} on the right",
    "{a} on the left and {b} on the right",
    "{a} left of {b}",
    "{b} on the right and {a} on the left",
    "{a} beside {b}",
)


def _one(rng: Rng, options: tuple[str, ...] | list[str]) -> str:
    return options[int(rng.integers(len(options)))]


def material_words(rng: Rng, name: str, plain: float = 0.75) -> str:
    """The material's name, or with chance 1 - `plain` one of its other names."""
    return name if rng.uniform() < plain else _one(rng, BY_NAME[name].synonyms)


def scene_words(rng: Rng, label: Label, plain: float = 0.55) -> str:
    """Scene and time of day, canonical with chance `plain`."""
    if rng.uniform() < plain:
        return scene_prompt(label.scene, label.time)
    return _one(rng, _SCENE_WORDS[label.scene]) + _one(rng, _TIME_WORDS[label.time])


def object_words(rng: Rng, label: Label) -> str:
    """The thing alone or with the place where it is."""
    thing = f"{label.colour} {label.thing}"
    thing = thing if rng.uniform() < 0.12 else f"a {thing}"
    if rng.uniform() < 0.35:
        return thing
    if label.scene:
        frame = _one(rng, ("{s} with {t}", "{t} and {s}", "{t} in front of {s}", "{s}, {t}"))
        return frame.format(s=scene_words(rng, label, 0.8), t=thing)
    frame = "{t} in {s}" if label.first in SKIES else "{t} on {s}"
    if rng.uniform() < 0.4:
        frame = _one(rng, ("{s} with {t}", "{t} in front of {s}", "{t}, {s}"))
    return frame.format(s=material_words(rng, label.first, 0.85), t=thing)


def caption(rng: Rng, label: Label) -> str:
    """One wording of the label; the canonical prompt is the most frequent one."""
    if label.kind == "relation":
        frame = _one(rng, _ABOVE if label.relation == "above" else _LEFT)
        words = frame.format(
            a=material_words(rng, label.first, 0.88), b=material_words(rng, label.second, 0.88)
        )
    elif label.kind == "material":
        words = material_words(rng, label.first)
        if rng.uniform() < 0.2:
            words = _one(rng, _MATERIAL_FRAMES).format(words)
    elif label.kind == "scene":
        words = scene_words(rng, label)
    else:
        words = object_words(rng, label)
    if rng.uniform() < 0.14:
        words = _one(rng, _FRAMES).format(words)
    return words[0].upper() + words[1:] if rng.uniform() < 0.05 else words


def scene_prompt(scene: str, time: str) -> str:
    """The canonical prompt of a scene; by day the time goes without saying."""
    return scene if time == "day" else f"{scene} at {time}"


def vocabulary() -> dict[str, list[str]]:
    """Every canonical prompt, by kind."""
    return {
        "materials": list(MATERIAL_NAMES),
        "scenes": [scene_prompt(scene, time) for scene in SCENES for time in TIMES],
        "objects": [
            f"a {colour} {thing}" for thing, colours in OBJECT_COLOURS.items() for colour in colours
        ],
        "relations": ["{first} above {second}", "{first} on the left and {second} on the right"],
    }
