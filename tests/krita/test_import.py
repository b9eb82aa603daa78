"""The archive for artists, taken by this Krita's own importer, and the docker that it brings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from installer.plugin import ACTIONS
from installer.release import build_release_zip
from tests.krita.conftest import OUTPUT
from tests.krita.debian_trees import chosen_tree
from tests.krita.krita_session import play

pytestmark = [pytest.mark.krita, pytest.mark.timeout(1200)]

IMPORTER = "usr/share/krita/pykrita/plugin_importer/plugin_importer.py"

_IMPORT = (
    "import builtins, runpy, sys; builtins.i18n = str; sys.argv = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""As its own command line does; inside Krita there is `i18n` already."""


def test_a_release_is_imported_by_krita(plugin: Path, tmp_path: Path) -> None:
    """Plugin, actions and backend go to their places, and Krita starts with the docker."""
    archive, krita = tmp_path / "tapestry.zip", tmp_path / "krita"
    build_release_zip(archive)
    krita.mkdir()
    importer = (chosen_tree() or Path("/")) / IMPORTER
    command = [sys.executable, "-I", "-B", "-c", _IMPORT, str(importer), str(archive), str(krita)]
    subprocess.run(command, check=True, capture_output=True)
    assert (krita / "actions" / ACTIONS.name).read_bytes() == ACTIONS.read_bytes()
    assert list((krita / "pykrita" / "tapestry" / "backend").glob("tapestry-*.whl"))
    report = play(["no_document"], krita / "pykrita", OUTPUT / "import", "", timeout_s=300)
    facts = report.facts("no_document")
    assert facts["seen"]
    assert facts["notice"][0] == "No document is open."
    assert "Duplicated action name" not in report.output
