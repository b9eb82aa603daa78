"""The archive for artists: taken by this Krita's own importer, and installed from the docker.

uv is the real one. What it installs is the archive's own wheel, and small wheels in the place of
those that this needs: they lead to the libraries of this environment. No network is used.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.paths import ROOT
from installer.plugin import ACTIONS
from installer.release import BACKEND, build_release_zip
from tapestry.backend.bundled import PACKAGES, TORCH_PACKAGES
from tapestry.backend.uv_program import VERSION as UV_VERSION
from tests.installer.pins import pins
from tests.krita.conftest import OUTPUT
from tests.krita.debian_trees import chosen_tree
from tests.krita.importing import import_archive
from tests.krita.krita_session import Report, longest, play
from tests.krita_plugin.stand_in_wheels import note_as_whole, write_list, write_wheel

pytestmark = [pytest.mark.krita, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def imported(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Krita's resource folder, with what its importer put there."""
    folder = tmp_path_factory.mktemp("import")
    archive, krita = folder / "tapestry.zip", folder / "krita"
    build_release_zip(archive)
    krita.mkdir()
    import_archive(archive, krita, chosen_tree())
    return krita


@pytest.fixture(scope="module")
def wheels(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small wheels; the imported plugin has a list that knows these by their hashes."""
    folder = tmp_path_factory.mktemp("wheels") / "wheels"
    folder.mkdir()
    carried = imported / "pykrita" / BACKEND
    releases = pins((carried / PACKAGES).read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    leads = {"tapestry-stand-in.pth": sysconfig.get_path("purelib")}
    known = {}
    for need in project["dependencies"]:
        name = need.partition(">")[0].replace("_", "-")
        wheel = write_wheel(folder, name, releases[name], leads if name == "torch" else {})
        known[f"{name}=={releases[name]}"] = wheel
    write_list(carried / PACKAGES, known)
    (carried / TORCH_PACKAGES).write_text("")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folders with uv and this Python in their places, as if they had been fetched."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "xdg_data_home" / "tapestry" / "backend"
    uv = folder / f"uv-{UV_VERSION}" / "uv"
    uv.parent.mkdir(parents=True)
    shutil.copy(Path(sys.executable).with_name("uv"), uv)
    note_as_whole(uv)
    version = ".".join(map(str, sys.version_info[:3]))
    python = folder / "python" / f"cpython-{version}-{sysconfig.get_platform()}-gnu"
    python.mkdir(parents=True)
    for name in ("bin", "lib"):
        (python / name).symlink_to(Path(sys.base_prefix) / name)
    return home


@pytest.fixture(scope="module")
def offline(wheels: Path) -> Iterator[None]:
    """The environment of uv."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_FIND_LINKS", str(wheels))
        patch.setenv("UV_OFFLINE", "1")
        patch.setenv("UV_PYTHON_PREFERENCE", "only-managed")
        yield


@pytest.fixture(scope="module")
def installed(imported: Path, offline: None, home: Path) -> Report:
    """What Krita did with it: the button was pressed, in good and in bad conditions."""
    scenarios = ["no_document", "installation_refused", "installed_from_the_docker"]
    scenarios.append("opened_example")
    return play(scenarios, imported / "pykrita", OUTPUT / "import", "", timeout_s=2400, home=home)


@pytest.fixture(scope="module")
def updated(
    imported: Path, installed: Report, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    """What the same user's Krita did with a newer plugin."""
    newer = tmp_path_factory.mktemp("newer") / "pykrita"
    shutil.copytree(imported / "pykrita", newer)
    (wheel,) = (newer / BACKEND).glob("tapestry-*.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("tapestry_backend/newer.txt", "another release")
    names = ["updated_and_taken_back"]
    return play(names, newer, OUTPUT / "update", "", timeout_s=1800, home=home)


def test_a_release_is_imported_by_krita(imported: Path, installed: Report) -> None:
    """Plugin, actions and backend go to their places, and Krita starts with the docker."""
    assert (imported / "actions" / ACTIONS.name).read_bytes() == ACTIONS.read_bytes()
    assert list((imported / "pykrita" / "tapestry" / "carried").glob("tapestry-*.whl"))
    facts = installed.facts("no_document")
    assert facts["seen"]
    assert facts["notice"][0] == "No document is open."
    assert "Duplicated action name" not in installed.output


def test_a_failed_installation_is_a_sentence(installed: Report) -> None:
    """Before the button: what, how large, where. After it: why not; nothing is half there."""
    facts = installed.facts("installation_refused")
    assert facts["notice"][0] == "The Tapestry backend is not installed."
    assert "Press Install" in facts["notice"][1]
    assert "GB from the package index" in facts["words"]
    assert "not what is known by its hash" in facts["hash"]
    assert "1.0 GB are free" in facts["space"]
    assert "cannot be reached" in facts["network"]
    assert not any(facts[f"{kind} is there"] for kind in ("hash", "space", "network"))


def test_the_backend_is_installed_from_the_docker(installed: Report) -> None:
    """Cancelled, gone on, paused, gone on, and the first picture; it ends with Krita."""
    facts = installed.facts("installed_from_the_docker")
    assert facts["cancelled"] == ["Install", False]
    assert facts["paused"][0] == "Go on"
    assert facts["paused"][1].startswith("Paused: ")
    assert not facts["offered"]
    assert facts["layers"][0].startswith("Tapestry: ")
    assert installed.backend_stopped


@pytest.mark.promise("R13")
def test_installing_does_not_hold_krita(installed: Report, measured, limit_of_processor_s) -> None:
    """Packages are fetched and put in place, and the docker tells how far it is."""
    facts = installed.facts("installed_from_the_docker")
    own, waiting = longest(facts["longest"])
    measured(
        f"installing the backend: {1000 * own:.0f} ms of Krita's UI at most, "
        f"{1000 * waiting:.0f} ms with what Krita draws meanwhile"
    )
    assert own < limit_of_processor_s(0.05), facts["longest"]


def test_an_example_is_opened(installed: Report) -> None:
    """For an artist without a document, who does not know what to do."""
    facts = installed.facts("opened_example")
    assert facts["regions"] == ["red bricks", "ocean waves", "sunset sky"]
    assert facts["notice"][0].startswith("Three painted layers")
    assert not facts["example"]
    assert facts["layers"][0].startswith("Tapestry: ")
    assert facts["layers"][1:4] == facts["regions"]


def test_a_newer_plugin_updates_it_and_all_of_it_goes(updated: Report) -> None:
    """The last release runs until then; nothing of either is left."""
    facts = updated.facts("updated_and_taken_back")
    assert facts["offered"] == "Update the backend"
    assert len(facts["before"]) == len(facts["after"]) == 1
    assert facts["before"] != facts["after"]
    assert facts["left"] == []
    assert facts["offered afterwards"] == "Install"
