"""Makes the README's picture with the product itself: `python examples/make_overview.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SCENE = ROOT / "examples" / "lighthouse.ora"
OVERVIEW = ROOT / "docs" / "images" / "overview.png"
SEED = "5"
_GAP_PX = 12


def main() -> None:
    """Paint the scene, extend the result to both sides, and put all three into one row."""
    with tempfile.TemporaryDirectory() as folder:
        painted, flat, wide = (Path(folder) / name for name in ("p.ora", "p.png", "wide.png"))
        render(SCENE, "-o", painted, "-o", flat)
        render(painted, "-o", wide, "--extend", "left=128,right=128")
        pictures = [merged(SCENE, Path(folder)), Image.open(flat), Image.open(wide)]
        row(pictures).save(OVERVIEW, optimize=True)


def render(*arguments: str | Path) -> None:
    """The command an artist would use."""
    tapestry = Path(sys.executable).with_name("tapestry")
    subprocess.run([tapestry, "render", *arguments, "--seed", SEED, "--quiet"], check=True)


def merged(scene: Path, folder: Path) -> Image.Image:
    """The scene as it looks in a viewer."""
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-e", str(scene), str(folder / "scene")], check=True
    )
    return Image.open(folder / "scene" / "mergedimage.png")


def row(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one height side by side, with a transparent gap."""
    width = sum(p.width for p in pictures) + _GAP_PX * (len(pictures) - 1)
    whole = Image.new("RGBA", (width, pictures[0].height))
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width + _GAP_PX
    return whole


if __name__ == "__main__":
    main()
