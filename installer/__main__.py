"""The way in: `python3 installer COMMAND`. Checks the Python version, then hands over."""

import sys
from pathlib import Path

if not (3, 11) <= sys.version_info < (3, 15):  # PyTorch's pinned release knows no newer one
    sys.exit(
        "Tapestry needs Python 3.11 to 3.14; this is Python {}.{}.\n"
        "Install one of these and run the same command with it, for instance: "
        "python3.13 installer demo".format(*sys.version_info)
    )

ROOT = Path(__file__).resolve().parent.parent
sys.path[0:1] = [str(ROOT), str(ROOT / "shared")]

from installer.commands import main  # noqa: E402  the version is checked first

sys.exit(main(sys.argv[1:]))
