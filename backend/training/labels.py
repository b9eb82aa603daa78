"""What a picture shows, as data: sampling labels and drawing them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from . import objects
from .canvas import mix, smooth_noise, smoothstep
from .materials import BY_NAME, MATERIAL_NAMES
from .scenes import SCENES, TIMES

Rng = np.random.Generator
SKIES = ("blue sky", "white clouds", "sunset sky", "starry night")
KINDS = ("material", "scene", "relation", "object")


@dataclass(frozen=True)
class Label:
    """What one picture shows. Unused parts are empty strings.

    material: `first`. relation: `relation` is "above" or "left", of `first` to `second`.
    scene: `scene` and `time`. object: `colour` and `thing`, before `first` or before a scene.
    """

    kind: str
    first: str = ""
    second: str = ""
    relation: str = ""
    scene: str = ""
    time: str = ""
    colour: str = ""
    thing: str = ""

    def to_dict(self) -> dict[str, str]:
        """Only the parts that are set."""
        return {key: value for key, value in asdict(self).items() if value}


def _one(rng: Rng, options: tuple[str, ...] | list[str]) -> str:
    return options[int(rng.integers(len(options)))]


def sample_label(rng: Rng, kind: str) -> Label:
    """A random label of one of `KINDS`."""
    if kind == "material":
        return Label(kind, first=_one(rng, MATERIAL_NAMES))
    if kind == "scene":
        return Label(kind, scene=_one(rng, list(SCENES)), time=_one(rng, TIMES))
    if kind == "relation":
        return _sample_relation(rng)
    thing = _one(rng, list(objects.OBJECTS))
    colour = _one(rng, objects.OBJECT_COLOURS[thing])
    chance = rng.uniform()
    if chance < 0.55:
        ground = _one(rng, objects.OBJECT_PLACES[thing])
    elif chance < 0.75 or thing == "boat":
        ground = _one(rng, MATERIAL_NAMES)
    else:
        return Label(
            kind, scene=_one(rng, list(SCENES)), time=_one(rng, TIMES), colour=colour, thing=thing
        )
    return Label(kind, first=ground, colour=colour, thing=thing)


def _sample_relation(rng: Rng) -> Label:
    relation = _one(rng, ("above", "left"))
    if relation == "above" and rng.uniform() < 0.4:
        ground = [name for name in MATERIAL_NAMES if name not in SKIES]
        return Label("relation", _one(rng, SKIES), _one(rng, ground), relation)
    first, second = rng.choice(len(MATERIAL_NAMES), 2, replace=False)
    return Label("relation", MATERIAL_NAMES[first], MATERIAL_NAMES[second], relation)


def draw_label(rng: Rng, label: Label, height: int, width: int) -> np.ndarray:
    """The picture a label describes, float32 [height, width, 3] in 0..1."""
    if label.kind == "relation":
        return _draw_relation(rng, label, height, width)
    if label.scene:
        picture = SCENES[label.scene](rng, label.time, height, width)
    else:
        picture = BY_NAME[label.first].draw(rng, height, width)
    if label.thing:
        where = (0.0, 0.75) if label.thing in objects.AIRBORNE else (0.6, 1.0)
        span = where if label.scene else (0.0, 1.0)
        picture = objects.place(rng, picture, label.thing, label.colour, span)
    return picture


def _draw_relation(rng: Rng, label: Label, height: int, width: int) -> np.ndarray:
    first = BY_NAME[label.first].draw(rng, height, width)
    second = BY_NAME[label.second].draw(rng, height, width)
    return mix(first, second, second_half(rng, label.relation, height, width))


def second_half(rng: Rng, relation: str, height: int, width: int) -> np.ndarray:
    """Where the second of two materials lies, [height, width] of 0 to 1."""
    along, cut = (
        (height, rng.uniform(0.38, 0.62))
        if relation == "above"
        else (width, rng.uniform(0.42, 0.58))
    )
    position = np.arange(along, dtype=np.float32)
    position = position[:, None] if relation == "above" else position[None, :]
    border = position + 3 * smooth_noise(rng, height, width, 24)
    return smoothstep(-1.5, 1.5, border - cut * along)
