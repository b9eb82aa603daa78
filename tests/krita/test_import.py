"""The archive for artists: taken by this Krita's own importer, and installed from the docker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from installer.plugin import ACTIONS
from installer.release import build_release_zip
from tapestry.backend.uv_program import VERSION as UV_VERSION
from tests.krita.conftest import OUTPUT
from tests.krita.debian_trees import chosen_tree
from tests.krita.krita_session import Report, play

pytestmark = [pytest.mark.krita, pytest.mark.timeout(1800)]

IMPORTER = "usr/share/krita/pykrita/plugin_importer/plugin_importer.py"

_IMPORT = (
    "import builtins, runpy, sys; builtins.i18n = str; sys.argv = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""As its own command line does; inside Krita there is `i18n` already."""

_UV = """#!/bin/sh
# In place of uv: the environment gets the backend of this checkout, and nothing is fetched.
if [ "$1" = venv ]; then
    mkdir -p "{environment}/bin"
else
    echo "Resolved 1 package in 1ms"
    printf '#!/bin/sh\\nexec "{backend}" "$@"\\n' > "{environment}/bin/tapestry"
    chmod 700 "{environment}/bin/tapestry"
fi
"""


@pytest.fixture(scope="module")
def imported(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Krita's resource folder, with what its importer put there."""
    folder = tmp_path_factory.mktemp("import")
    archive, krita = folder / "tapestry.zip", folder / "krita"
    build_release_zip(archive)
    krita.mkdir()
    importer = (chosen_tree() or Path("/")) / IMPORTER
    command = [sys.executable, "-I", "-B", "-c", _IMPORT, str(importer), str(archive), str(krita)]
    subprocess.run(command, check=True, capture_output=True)
    return krita


@pytest.fixture(scope="module")
def installed(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What Krita did with it: the button was pressed."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "xdg_data_home" / "tapestry" / "backend"
    uv = folder / f"uv-{UV_VERSION}" / "uv"
    uv.parent.mkdir(parents=True)
    backend = Path(sys.executable).with_name("tapestry")
    uv.write_text(_UV.format(environment=folder / "environment", backend=backend))
    uv.chmod(0o700)
    scenarios, plugin = ["no_document", "installed_from_the_docker"], imported / "pykrita"
    return play(scenarios, plugin, OUTPUT / "import", "", timeout_s=1200, home=home)


def test_a_release_is_imported_by_krita(imported: Path, installed: Report) -> None:
    """Plugin, actions and backend go to their places, and Krita starts with the docker."""
    assert (imported / "actions" / ACTIONS.name).read_bytes() == ACTIONS.read_bytes()
    assert list((imported / "pykrita" / "tapestry" / "carried").glob("tapestry-*.whl"))
    facts = installed.facts("no_document")
    assert facts["seen"]
    assert facts["notice"][0] == "No document is open."
    assert "Duplicated action name" not in installed.output


def test_the_backend_is_installed_from_the_docker(installed: Report) -> None:
    """One button, and the first picture; the backend ends with Krita as any other."""
    facts = installed.facts("installed_from_the_docker")
    assert facts["notice"][0] == "The Tapestry backend is not installed."
    assert "Press Install" in facts["notice"][1]
    assert "0.5 GB" in facts["words"]
    assert facts["button"] == "Cancel"
    assert not facts["offered"]
    assert facts["layers"][0].startswith("Tapestry: ")
    assert installed.backend_stopped
