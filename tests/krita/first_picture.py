"""`python -m tests.krita.first_picture`: from the archive for artists to a picture, for real.

With the network, or what pip's settings name in its place; says how long each part took, and keeps
screenshots. TAPESTRY_KRITA_TREE chooses another Krita than this system's.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from installer.release import build_release_zip
from tests.krita.conftest import OUTPUT
from tests.krita.debian_trees import chosen_tree
from tests.krita.importing import import_archive
from tests.krita.krita_session import play

_TIMEOUT_S = 3600


def main() -> None:
    """Everything that an artist would do, and nothing else."""
    with tempfile.TemporaryDirectory() as temporary:
        archive, krita = Path(temporary) / "tapestry.zip", Path(temporary) / "krita"
        build_release_zip(archive)
        krita.mkdir()
        last = time.time()
        import_archive(archive, krita, chosen_tree())
        report = play(["first_picture"], krita / "pykrita", OUTPUT / "first", "", _TIMEOUT_S)
    start, lines = last, []
    for what, moment in report.facts("first_picture")["times"].items():
        lines.append(f"{what}: {moment - last:.0f} s")
        last = moment
    lines.append(f"together {last - start:.0f} s; screenshots in {report.folder}")
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
