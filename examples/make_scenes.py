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
    """Write the three files beside this one."""
    write_ora(FOLDER / "tower-by-the-sea.ora", COAST, coast())
    write_ora(FOLDER / "shore.ora", SHORE, shore_at_dusk())
    write_ora(FOLDER / "mesas.ora", MESAS, mesas_in_lines())
    for name in ("tower-by-the-sea.ora", "shore.ora", "mesas.ora"):
        print(f"{name}: {(FOLDER / name).stat().st_size / 1024:.0f} KiB")


def coast() -> list[Layer]:
    """Flat areas as painted with a large brush, topmost first."""
    tower: Points = [(262, 40), (336, 38), (342, 204), (256, 206)]
    hill: Points = [(384, 256), (132, 256), (168, 222), (216, 194), (290, 178), (384, 166)]
    sea: Points = [(0, 256), (0, 136), (128, 140), (248, 135), (384, 140), (384, 256)]
    sky: Points = [(0, 0), (384, 0), (384, 156), (190, 152), (0, 158)]
    return [
        blob("red bricks", tower, (196, 72, 58), COAST, seed=1),
        blob("green grass", hill, (96, 168, 72), COAST, seed=2),
        blob("ocean waves", sea, (52, 116, 190), COAST, seed=3),
        blob("sunset sky", sky, (240, 150, 92), COAST, seed=4),
        Layer("Background", Image.new("RGBA", COAST, (255, 255, 255, 255))),
    ]


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
