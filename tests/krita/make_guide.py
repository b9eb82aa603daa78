"""`python -m tests.krita.make_guide`: make the pictures of docs/user-guide with a real Krita."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from installer.plugin import build_plugin_folder
from tests.krita.krita_session import play

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "user-guide" / "images"
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
        PICTURES.mkdir(parents=True, exist_ok=True)
        pages = "".join(page.read_text("utf-8") for page in PICTURES.parent.glob("*.md"))
        for picture in sorted(output.glob("*.png")):
            if picture.name not in pages:
                continue  # nobody would see it
            small = Image.open(picture).convert("RGB").quantize(_COLORS)
            small.save(PICTURES / picture.name, optimize=True)
        for theme in ("Krita dark", "Krita bright"):
            for scale in (1, 2):
                look = LOOKS / f"{theme} {scale}00 %"
                report = play(("guide_look",), plugin, look, "", _TIMEOUT_S, theme, scale)
                report.facts("guide_look")
                crowd = look.with_name(f"{look.name} crowded")
                report = play(("guide_crowded",), plugin, crowd, backend, _TIMEOUT_S, theme, scale)
                report.facts("guide_crowded")


if __name__ == "__main__":
    main()
