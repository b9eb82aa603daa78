"""Renders the bundled scenes with the bundled model, by the command an artist would use."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from installer.console import InstallerError, say
from installer.paths import ROOT, TAPESTRY

OUTPUT = ROOT / "demo-output"


@dataclass(frozen=True)
class DemoScene:
    """A bundled scene, how it is rendered, and under which name where that is not its own."""

    title: str
    name: str
    options: tuple[str, ...]
    kept_as: str = ""

    @property
    def path(self) -> Path:
        return ROOT / "examples" / f"{self.name}.ora"


SCENES = (
    DemoScene("A picture out of painted regions", "lighthouse", ("--seed", "7")),
    DemoScene("A village in the snow, at night", "village-in-snow", ("--seed", "7")),
    DemoScene(
        "A painted picture, made longer on both sides",
        "shore",
        ("--seed", "7", "--extend", "left=192,right=192"),
    ),
    DemoScene(
        "The first one again, in the style of a LoRA",
        "lighthouse",
        ("--seed", "7", "--lora", "sample-ink:1"),
        "lighthouse-in-ink",
    ),
    DemoScene(
        "A desert whose rocks are where they were scribbled, by a T2I-Adapter",
        "mesas",
        (
            *("--seed", "7", "--background", "desert"),
            *("--control", "sample-scribble", "layer=sketch,show=lines"),
        ),
    ),
)


def render_scenes(output: Path = OUTPUT, options: Sequence[str] = ()) -> None:
    """Make every picture, with its time and where it lies; raises InstallerError.

    options  further arguments for `tapestry render`
    """
    output.mkdir(exist_ok=True)
    for number, scene in enumerate(SCENES, start=1):
        say(f"{number}. {scene.title} ({scene.path.relative_to(ROOT)})")
        _render(scene, output, [*scene.options, *options])
    say(_WHAT_NEXT)


def _render(scene: DemoScene, output: Path, options: Sequence[str]) -> None:
    layered, flat, report = (
        output / f"{scene.kept_as or scene.name}{end}" for end in (".ora", ".png", ".json")
    )
    command = [TAPESTRY, "render", scene.path, "-o", layered, "-o", flat, "--report", report]
    start = time.monotonic()
    finished = subprocess.run([*map(str, command), *options], check=False)
    if finished.returncode:
        raise InstallerError(
            f"Rendering {scene.path.name} failed.", "Run `python3 installer doctor` to see why."
        )
    seconds = json.loads(report.read_text(encoding="utf-8"))["seconds"]["total"]
    say(f"   painted in {seconds:.1f} s ({time.monotonic() - start:.1f} s with starting up)")
    say(f"   flat:    {flat}")
    say(f"   layered: {layered}\n")


_WHAT_NEXT = """\
Next, in Krita:
  1. python3 installer plugin        puts Tapestry into your Krita
  2. Start Krita (again), open a document, and choose Settings > Dockers > Tapestry.
  3. Paint an area on a layer of its own and name the layer with what should be there.
  4. Press Generate in the docker; press Extend to make the picture longer.
The pictures above open in Krita as well: every painted area is a layer."""
