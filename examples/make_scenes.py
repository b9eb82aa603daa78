"""Paints the bundled scenes, always the same: `python examples/make_scenes.py`."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER.parent / "backend")]

from examples.ora import Layer, write_ora  # noqa: E402  likewise
from training.materials import BY_NAME  # noqa: E402  the folder is known only now

COAST = (384, 256)
SHORE = (320, 192)
MESAS = (256, 128)
_FINER = 4
"""Shapes are drawn this much larger and then reduced, for soft edges."""

Points = list[tuple[float, float]]


def main() -> None:
    """Write the files beside this one."""
    scenes = {
        "lighthouse.ora": (COAST, coast_at_sunset()),
        "village-in-snow.ora": (COAST, village_at_night()),
        "shore.ora": (SHORE, shore_at_dusk()),
        "mesas.ora": (MESAS, mesas_in_lines()),
    }
    for name, (size, layers) in scenes.items():
        write_ora(FOLDER / name, size, layers)
        print(f"{name}: {(FOLDER / name).stat().st_size / 1024:.0f} KiB")


def coast_at_sunset() -> list[Layer]:
    """Flat areas as painted with a large brush, topmost first."""
    tower: Points = [(302, 66), (303, 52), (307, 40), (311, 36), (315, 40), (319, 52), (320, 66)]
    sail: Points = [(100, 186), (104, 120), (110, 120), (148, 180), (112, 182), (112, 186)]
    hull: Points = [(150, 186), (138, 204), (84, 204), (70, 190), (84, 186)]
    hill: Points = [(384, 256), (176, 256), (206, 226), (250, 200), (310, 188), (384, 178)]
    sea: Points = [(0, 256), (0, 136), (128, 138), (248, 135), (384, 138), (384, 256)]
    sky: Points = [(0, 0), (384, 0), (384, 156), (190, 152), (0, 158)]
    return [
        blob("a red lighthouse", [*tower, (328, 206), (294, 206)], (214, 70, 60), COAST, seed=1),
        blob("a red boat", [*sail, *hull], (200, 60, 50), COAST, seed=5),
        blob("green grass", hill, (96, 168, 72), COAST, seed=2),
        blob("ocean waves", sea, (52, 116, 190), COAST, seed=3),
        blob("sunset sky", sky, (240, 150, 92), COAST, seed=4),
        Layer("Background", Image.new("RGBA", COAST, (255, 255, 255, 255))),
    ]


def village_at_night() -> list[Layer]:
    """Two houses and two pines in the snow, as flat areas, topmost first."""
    pine: Points = [(270, 190), (258, 190), (268, 150), (262, 150), (284, 92), (306, 150)]
    trunk: Points = [(300, 150), (312, 190), (298, 190), (298, 200), (274, 200)]
    young: Points = [(330, 200), (322, 200), (340, 130), (360, 200), (352, 200), (350, 212)]
    snow: Points = [(0, 256), (0, 170), (90, 160), (200, 176), (300, 166), (384, 176), (384, 256)]
    sky: Points = [(0, 0), (384, 0), (384, 190), (0, 190)]
    return [
        blob("a red house", _house(62, 96), (200, 60, 50), COAST, seed=1),
        blob("a blue house", _house(160, 112), (60, 90, 200), COAST, seed=2),
        blob("a green pine", [*pine, *trunk], (40, 120, 70), COAST, seed=3),
        blob("a green pine", [*young, (334, 212)], (56, 136, 84), COAST, seed=6),
        blob("snow", snow, (240, 244, 250), COAST, seed=5),
        blob("starry night", sky, (20, 30, 80), COAST, seed=7),
        Layer("Background", Image.new("RGBA", COAST, (255, 255, 255, 255))),
    ]


def _house(left: float, top: float) -> Points:
    """The outline of a wall under a roof that juts out, 64 pixels wide."""
    roof: Points = [(left, top + 28), (left + 16, top), (left + 48, top), (left + 64, top + 28)]
    right, left, bottom = left + 60, left + 4, top + 80
    return [*roof, (right, top + 28), (right, bottom), (left, bottom), (left, top + 28)]


def blob(
    name: str, corners: Points, colour: tuple[int, int, int], size: tuple[int, int], seed: int
) -> Layer:
    """A flat area with the uneven edge of a hand-held brush, cropped as Krita saves it."""
    outline = _by_hand(corners, size, seed)
    mask = Image.new("L", (size[0] * _FINER, size[1] * _FINER))
    ImageDraw.Draw(mask).polygon([(x * _FINER, y * _FINER) for x, y in outline], fill=255)
    mask = mask.reduce(_FINER)
    left, top, right, bottom = mask.getbbox()
    picture = Image.new("RGBA", size, (*colour, 255))
    picture.putalpha(mask)
    return Layer(name, picture.crop((left, top, right, bottom)), left, top)


def _by_hand(corners: Points, size: tuple[int, int], seed: int, *, closed: bool = True) -> Points:
    """The outline through the corners, wavering a little, except along the canvas's edge."""
    rng = np.random.default_rng(seed)
    outline: Points = []
    along = [*corners, corners[0]] if closed else corners
    for (x0, y0), (x1, y1) in pairwise(along):
        count = max(2, round(np.hypot(x1 - x0, y1 - y0) / 12))
        for t in np.linspace(0, 1, count, endpoint=False):
            x, y = x0 + (x1 - x0) * t, y0 + (y1 - y0) * t
            if 0 < x < size[0] and 0 < y < size[1]:
                x, y = x + rng.normal(0, 1.6), y + rng.normal(0, 1.6)
            outline.append((float(x), float(y)))
    return outline


def shore_at_dusk() -> list[Layer]:
    """A finished little painting of three layers, each named with what it shows."""
    sky: Points = [(0, 0), (320, 0), (320, 104), (0, 104)]
    sea: Points = [(0, 84), (110, 74), (220, 88), (320, 78), (320, 134), (0, 134)]
    shore: Points = [(0, 124), (90, 132), (200, 120), (320, 128), (320, 192), (0, 192)]
    return [
        textured("sand dunes", shore, seed=1),
        textured("ocean waves", sea, seed=2),
        textured("sunset sky", sky, seed=3),
    ]


def textured(name: str, corners: Points, seed: int) -> Layer:
    """An area painted with a material, with an uneven edge."""
    width, height = SHORE
    pixels = np.clip(BY_NAME[name].draw(np.random.default_rng(seed), height, width), 0, 1) * 255
    area = blob(name, corners, (0, 0, 0), SHORE, seed)
    picture = Image.fromarray(pixels.round().astype(np.uint8)).convert("RGBA")
    box = (area.left, area.top, area.left + area.picture.width, area.top + area.picture.height)
    cropped = picture.crop(box)
    cropped.putalpha(area.picture.getchannel("A"))
    return Layer(name, cropped, area.left, area.top)


def mesas_in_lines() -> list[Layer]:
    """Two rocks in a desert, scribbled with a thin brush on a layer of its own."""
    left: Points = [(-4, 84), (30, 82), (40, 40), (84, 38), (96, 82)]
    right: Points = [(150, 80), (160, 54), (214, 54), (222, 80), (280, 78)]
    outline = _by_hand([*left, *right], MESAS, 1, closed=False)
    mask = Image.new("L", (MESAS[0] * _FINER, MESAS[1] * _FINER))
    stroke = [(x * _FINER, y * _FINER) for x, y in outline]
    ImageDraw.Draw(mask).line(stroke, fill=255, width=3 * _FINER, joint="curve")
    picture = Image.new("RGBA", MESAS, (32, 32, 40, 255))
    picture.putalpha(mask.reduce(_FINER))
    return [
        Layer("sketch", picture),
        Layer("Background", Image.new("RGBA", MESAS, (255, 255, 255, 255))),
    ]


if __name__ == "__main__":
    main()
