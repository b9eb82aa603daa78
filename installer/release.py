"""One archive for artists: the plugin with its libraries, and the backend that it installs.

The same sources give the same bytes, on every computer: nothing in it is compressed, because
compression libraries differ, and the bundled model takes most of it and does not become smaller.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import tomllib
import zipfile
from pathlib import Path

from installer.console import InstallerError, stage
from installer.paths import ROOT, VENV_PYTHON
from installer.pins import PACKAGES, TORCH_PACKAGES
from installer.plugin import plugin_files, write_archive

BACKEND = "tapestry/carried"
"""Where the plugin looks for the backend's wheel and for the hashes of what that needs."""

_EPOCH = "315532800"
"""1980, the first year that an archive can hold."""


def release_name() -> str:
    """The archive's own name."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return f"tapestry-{tomllib.load(file)['project']['version']}.zip"


def build_release_zip(archive: Path) -> None:
    """Write what Krita's "Import Python Plugin from File" takes, with the backend inside."""
    with stage(archive.name):
        wheel, packed = _wheel()
        files = {
            **plugin_files(),
            f"{BACKEND}/": b"",
            f"{BACKEND}/{wheel}": packed,
            **{f"{BACKEND}/{path.name}": path.read_bytes() for path in (PACKAGES, TORCH_PACKAGES)},
        }
        write_archive(archive, files, zipfile.ZIP_STORED)


def _wheel() -> tuple[str, bytes]:
    """Name and bytes of the backend's wheel: with the protocol and the bundled model."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(VENV_PYTHON), "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        variables = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH}
        finished = subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
        )
        if finished.returncode:
            why = finished.stderr.strip().splitlines()[-1:] or ["hatchling gave no reason"]
            raise InstallerError(f"The backend's wheel cannot be built: {why[0]}")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            files = {name: packed.read(name) for name in packed.namelist()}
        write_archive(wheel, files, zipfile.ZIP_STORED)
        return wheel.name, wheel.read_bytes()
