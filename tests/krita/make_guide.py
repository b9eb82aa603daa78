"""`python -m tests.krita.make_guide`: make the pictures of docs/user-guide with a real Krita."""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path

from PIL import Image

from installer.plugin import build_plugin_folder
from tapestry_backend.bench.studio.nodes_here import nodes_here
from tests.krita.krita_session import play

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "user-guide" / "images"
STUDIO_BACKEND = ROOT / "tests" / "krita" / "studio_backend.py"
LOOKS = ROOT / "test-output" / "looks"
"""The docker in each theme at each scale, for people to look at."""

_TIMEOUT_S = 900
_COLORS = 128
"""A palette of this size keeps a picture below 150 KB."""


def main() -> None:
    """Play the guide with the real backend, then the docker in other themes and scales."""
    backend = str(Path(sys.executable).with_name("tapestry"))
    with tempfile.TemporaryDirectory() as folder:
        plugin, output = Path(folder) / "plugin", Path(folder) / "output"
        build_plugin_folder(plugin)
        play(("guide",), plugin, output, backend, _TIMEOUT_S).facts("guide")
        _take(output, PICTURES)
        with nodes_here(2) as nodes:
            studio = [sys.executable, str(STUDIO_BACKEND), "--cluster", nodes.address]
            studio += ["--cluster-cores", "1"]
            play(("guide_studio",), plugin, output, shlex.join(studio), _TIMEOUT_S)
        _take(output, ROOT / "docs" / "images")
        for theme in ("Krita dark", "Krita bright"):
            for scale in (1, 2):
                look = LOOKS / f"{theme} {scale}00 %"
                report = play(("guide_look",), plugin, look, "", _TIMEOUT_S, theme, scale)
                report.facts("guide_look")
                crowd = look.with_name(f"{look.name} crowded")
                report = play(("guide_crowded",), plugin, crowd, backend, _TIMEOUT_S, theme, scale)
                report.facts("guide_crowded")


def _take(output: Path, folder: Path) -> None:
    """Keep those pictures that a page beside the folder shows, small."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = "".join(page.read_text("utf-8") for page in folder.parent.glob("*.md"))
    for picture in sorted(output.glob("*.png")):
        if picture.name in pages:
            small = Image.open(picture).convert("RGB").quantize(_COLORS)
            small.save(folder / picture.name, optimize=True)


if __name__ == "__main__":
    main()
