"""The lists of packages, each with its hashes, that the plugin in an archive for artists installs.

Made with uv from the package index, for all platforms at once; kept in the repository, so that
every archive has the same.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from installer.console import InstallerError
from installer.paths import CONSTRAINTS, ROOT, VENV_PYTHON
from tapestry_protocol.accelerators import TORCH

PACKAGES = CONSTRAINTS.with_name("packages.txt")
TORCH_PACKAGES = CONSTRAINTS.with_name("torch-packages.txt")
"""PyTorch and what it brings for graphics cards, as the package index has them. PyTorch's own index
has other builds of the same releases, so these hashes count only where that is not asked."""

_PYTORCHS = re.compile(r"(torch|triton|nvidia-|cuda-)")
_HEAD = "# Made by `python3 installer pins` from pyproject.toml and constraints.txt.\n"


def write_pins() -> list[Path]:
    """Ask the package index, and write both lists; raises InstallerError."""
    entries = _entries(_asked())
    own = [entry for entry in entries if not _PYTORCHS.match(entry)]
    pytorchs = [entry for entry in entries if _PYTORCHS.match(entry)]
    PACKAGES.write_text(_HEAD + "".join([*own, f"{TORCH}\n"]), encoding="utf-8")
    TORCH_PACKAGES.write_text(_HEAD + "".join(pytorchs), encoding="utf-8")
    return [PACKAGES, TORCH_PACKAGES]


def _asked() -> str:
    """What uv says: a line for each package, which its hashes go on."""
    uv = VENV_PYTHON.with_name("uv.exe" if sys.platform == "win32" else "uv")
    command = [str(uv), "pip", "compile", "pyproject.toml", "--constraint", str(CONSTRAINTS)]
    command += ["--extra", "gguf"]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-annotate", "--no-header", "--quiet"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if finished.returncode:
        why = finished.stderr.strip().splitlines()[-1:] or ["uv gave no reason"]
        raise InstallerError(f"The package index could not be asked: {why[0]}")
    return finished.stdout


def _entries(text: str) -> list[str]:
    return [f"{entry}\n" for entry in re.split(r"\n(?=\S)", text.strip())]
