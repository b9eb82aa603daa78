"""Gives an archive to the importer that Krita brings, as its own command line does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

IMPORTER = "usr/share/krita/pykrita/plugin_importer/plugin_importer.py"

_IMPORT = (
    "import builtins, runpy, sys; builtins.i18n = str; sys.argv = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Inside Krita there is `i18n` already."""


def import_archive(archive: Path, resources: Path, tree: Path | None) -> None:
    """Into a resource folder, which must be there; by the Krita of this tree, or the system's."""
    importer = (tree or Path("/")) / IMPORTER
    command = [sys.executable, "-I", "-B", "-c", _IMPORT, str(importer)]
    subprocess.run([*command, str(archive), str(resources)], check=True, capture_output=True)
