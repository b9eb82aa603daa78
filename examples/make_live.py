"""Makes the animation of live painting with the product itself: `python examples/make_live.py`.

A scripted hand paints on named layers, on the left; what Tapestry makes of every change is on the
right. What was computed is written underneath.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.live import LivePasses
from tapestry_backend.tasks.run import run
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Pixels

ROOT = Path(__file__).resolve().parent.parent
ANIMATION = ROOT / "docs" / "images" / "live.webp"
HEIGHT, WIDTH = 256, 384
_STEPS, _SEED = 8, 11
_FRAME_MS, _LAST_FRAME_MS = 700, 2500
_LINE_PX = 22

Point = tuple[int, int]


@dataclass
class Layer:
    """A named layer: what is painted on it, as opacity and in one colour."""

    name: str
    colour: tuple[int, int, int]
    mask: Image.Image

    def stroke(self, points: list[Point], width: int) -> None:
        """Draw along these points with a round brush."""
        draw = ImageDraw.Draw(self.mask)
        draw.line(points, fill=255, width=width, joint="curve")
        for x, y in points:
            radius = width // 2
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def layer(name: str, colour: tuple[int, int, int]) -> Layer:
    """An empty one."""
    return Layer(name, colour, Image.new("L", (WIDTH, HEIGHT)))


SKY, SEA, HILL = (
    layer("sunset sky", (250, 190, 110)),
    layer("ocean waves", (60, 120, 200)),
    layer("lavender field", (150, 110, 200)),
)
TOWER, ROOF, MEADOW = (
    layer("stone wall", (150, 145, 140)),
    layer("roof tiles", (190, 80, 60)),
    layer("flower meadow", (120, 190, 80)),
)
TOPMOST_FIRST = [ROOF, TOWER, MEADOW, HILL, SEA, SKY]

HAND: list[tuple[Layer, list[Point], int]] = [
    (SKY, [(0, 40), (384, 40)], 84),
    (SKY, [(0, 100), (384, 100)], 70),
    (SEA, [(0, 190), (384, 190)], 110),
    (SEA, [(0, 250), (384, 250)], 40),
    (HILL, [(384, 170), (250, 190)], 40),
    (HILL, [(384, 215), (220, 220)], 60),
    (HILL, [(384, 250), (170, 256)], 50),
    (TOWER, [(310, 190), (310, 110)], 40),
    (TOWER, [(340, 190), (340, 150)], 40),
    (ROOF, [(290, 95), (310, 62), (330, 95)], 18),
    (ROOF, [(296, 92), (324, 92)], 22),
    (MEADOW, [(200, 250), (300, 236)], 26),
    (MEADOW, [(300, 236), (380, 222)], 22),
]


def main() -> None:
    """Paint every change, and write the animation."""
    store, passes = ModelCache(Catalogue()), LivePasses()
    frames: list[Image.Image] = []
    for changed, points, width in HAND:
        changed.stroke(points, width)
        picture, line = paint(store, passes)
        frames.append(frame(picture, f"{changed.name}: {line}"))
    times = [_FRAME_MS] * (len(frames) - 1) + [_LAST_FRAME_MS]
    frames[0].save(
        ANIMATION, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=80
    )
    print(f"{ANIMATION.relative_to(ROOT)}: {ANIMATION.stat().st_size / 1e6:.2f} MB")


def paint(store: ModelCache, passes: LivePasses) -> tuple[Image.Image, str]:
    """The picture of the layers as they are now, and what it took."""
    blobs, regions = {}, []
    for each in TOPMOST_FIRST:
        if each.mask.getbbox():
            pixels = Pixels(HEIGHT, WIDTH, 1, each.mask.tobytes())
            blobs[pixels.sha256] = pixels.data
            whole = Bounds(0, 0, HEIGHT, WIDTH)
            regions.append(Region(each.name, whole, PixelsRef.of(pixels)))
    request = Request(
        "generate",
        HEIGHT,
        WIDTH,
        prompt="blue sky",
        regions=tuple(regions),
        seed=_SEED,
        num_inference_steps=_STEPS,
        live="animation",
    )
    *_, finished = run(request, blobs, store, passes)
    if not isinstance(finished, Finished):
        raise TypeError("a task must end with its picture")
    rgba = np.frombuffer(finished.pixels.data, np.uint8).reshape(HEIGHT, WIDTH, 4)
    kept = 1 - finished.report["live"]["painted"]
    line = f"{finished.report['unet_evaluations']} evaluations, {kept:.0%} kept"
    return Image.fromarray(rgba).convert("RGB"), line


def frame(picture: Image.Image, line: str) -> Image.Image:
    """The painted layers beside their picture, and a line underneath."""
    painted = Image.new("RGB", (WIDTH, HEIGHT), (235, 235, 235))
    for each in reversed(TOPMOST_FIRST):
        painted.paste(each.colour, mask=each.mask)
    whole = Image.new("RGB", (2 * WIDTH, HEIGHT + _LINE_PX), "white")
    whole.paste(painted, (0, 0))
    whole.paste(picture, (WIDTH, 0))
    font = ImageFont.load_default(size=14)
    ImageDraw.Draw(whole).text((8, HEIGHT + 2), line, fill=(40, 40, 40), font=font)
    return whole


if __name__ == "__main__":
    main()
