"""Where the backend that the plugin carries goes, on every kind of computer and Krita."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from tapestry.backend import bundled as room
from tapestry.backend.bundled import (
    PACKAGES,
    TORCH_PACKAGES,
    BundledBackend,
    backend_home,
    bundled_backend,
)
from tapestry_protocol import accelerators
from tapestry_protocol.accelerators import CPU, CUDA, MPS, ROCM, likely_accelerator

LONGEST_IN_A_PACKAGE = 171
"""Characters of the longest path within PyTorch's wheel: a licence of its licences."""


@pytest.fixture
def own(tmp_path: Path) -> BundledBackend:
    """Of a plugin that carries one."""
    carried = tmp_path / "carried"
    carried.mkdir()
    with zipfile.ZipFile(carried / "tapestry-0.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("file", "text")
    (carried / PACKAGES).write_text("")
    found = bundled_backend(tmp_path / "home", carried)
    assert found is not None
    return found


def test_everything_of_uv_stays_in_the_folder(own: BundledBackend) -> None:
    """Its cache, its Pythons, the environment, itself."""
    chosen = own.variables({})
    places = [chosen["UV_CACHE_DIR"], chosen["UV_PYTHON_INSTALL_DIR"], own.uv, own.environment]
    assert all(own.folder in Path(place).parents for place in places)


def test_pips_settings_are_uvs(own: BundledBackend) -> None:
    """Mirrors, certificates, proxies; uv's own come first."""
    pips = {
        "PIP_INDEX_URL": "https://mirror/simple",
        "PIP_CERT": "/ca.pem",
        "PIP_PROXY": "http://proxy:3128",
        "PIP_EXTRA_INDEX_URL": "",
    }
    chosen = own.variables(pips)
    assert chosen["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert chosen["SSL_CERT_FILE"] == "/ca.pem"
    assert chosen["ALL_PROXY"] == "http://proxy:3128"
    assert "UV_INDEX" not in chosen
    theirs = own.variables(pips | {"UV_DEFAULT_INDEX": "https://mine", "all_proxy": "http://mine"})
    assert theirs["UV_DEFAULT_INDEX"] == "https://mine"
    assert "ALL_PROXY" not in theirs


def test_folders_of_wheels_are_told_as_uv_wants_them(own: BundledBackend, tmp_path: Path) -> None:
    """Pip divides them by spaces, and passes over those that are gone; uv divides by commas."""
    here, other = tmp_path / "a", tmp_path / "b c"
    here.mkdir()
    other.mkdir()
    pips = {"PIP_FIND_LINKS": f"{tmp_path / 'gone'} {here} wheels https://mirror/wheels"}
    assert own.variables(pips)["UV_FIND_LINKS"] == f"{here},https://mirror/wheels"
    uvs = pips | {"UV_FIND_LINKS": f"{other},{here}"}
    assert own.variables(uvs)["UV_FIND_LINKS"] == f"{other},{here}"


@pytest.mark.parametrize(
    "name",
    ["NO_VERIFY_HASHES", "OVERRIDE", "CONSTRAINT", "NO_BINARY", "CONFIG_FILE", "WORKING_DIR"],
)
def test_no_variable_changes_how_files_are_known(own: BundledBackend, name: str) -> None:
    """Where they come from is the user's own matter."""
    theirs = {f"UV_{name}": "1", "UV_INDEX_MINE_PASSWORD": "x", "UV_HTTP_TIMEOUT": "9"}
    chosen = own.variables(theirs)
    assert f"UV_{name}" not in chosen
    assert chosen["UV_NO_CONFIG"] == "1"
    assert chosen["UV_INDEX_MINE_PASSWORD"] == "x"
    assert chosen["UV_HTTP_TIMEOUT"] == "9"


@pytest.mark.parametrize("kind", [CPU, CUDA, ROCM, MPS])
def test_the_build_that_was_offered_is_installed(own: BundledBackend, monkeypatch, kind) -> None:
    """No other: uv's own choice may be a build for another card."""
    monkeypatch.setattr(room, "likely_accelerator", lambda: kind)
    command = own.install(choose_torch=True)
    assert "auto" not in command
    chosen = command[command.index("--torch-backend") + 1] if kind.build else ""
    assert chosen == kind.build
    assert (str(own.wheel.with_name(TORCH_PACKAGES)) in command) == (not kind.build)
    assert "--torch-backend" not in own.install(choose_torch=False, is_known=True)


@pytest.mark.parametrize("environment", [{"FLATPAK_ID": "org.kde.krita"}, {"SNAP_NAME": "krita"}])
def test_a_sandbox_gets_a_python_of_its_own(
    own: BundledBackend, environment: dict[str, str]
) -> None:
    """The sandbox's goes with its next release."""
    assert own.variables(environment)["UV_PYTHON_PREFERENCE"] == "only-managed"
    if sys.platform == "linux":
        assert "UV_PYTHON_PREFERENCE" not in own.variables({})


def test_a_mac_is_not_asked_for_its_python(own: BundledBackend, monkeypatch) -> None:
    """It would offer to install developer tools."""
    monkeypatch.setattr(room.sys, "platform", "darwin")
    assert own.variables({})["UV_PYTHON_PREFERENCE"] == "only-managed"


def test_each_kind_of_krita_has_its_folder(monkeypatch) -> None:
    """A Flatpak's XDG_DATA_HOME is its own; a Snap's data would be copied with every release."""
    monkeypatch.setattr(room.sys, "platform", "linux")
    flatpak = {
        "FLATPAK_ID": "org.kde.krita",
        "XDG_DATA_HOME": "/home/a/.var/app/org.kde.krita/data",
    }
    assert backend_home(flatpak) == Path("/home/a/.var/app/org.kde.krita/data/tapestry")
    snap = {"SNAP_NAME": "krita", "SNAP_USER_COMMON": "/home/a/snap/krita/common"}
    snap["XDG_DATA_HOME"] = "/home/a/snap/krita/100/.local/share"
    assert backend_home(snap) == Path("/home/a/snap/krita/common/tapestry")
    other = snap | {"SNAP_NAME": "code"}
    assert backend_home(other) == Path("/home/a/snap/krita/100/.local/share/tapestry")
    monkeypatch.setattr(room.sys, "platform", "win32")
    windows = {"LOCALAPPDATA": "C:\\Users\\Jürgen\\AppData\\Local"}
    assert str(backend_home(windows)).startswith("C:\\Users\\Jürgen\\AppData\\Local")


def test_windows_paths_are_long_enough(own: BundledBackend) -> None:
    """260 characters with the end, for users' names of up to eleven letters; the cache as well."""
    home = len("C:\\Users\\12345678901\\AppData\\Local\\tapestry\\backend\\")
    name = Path(own.variables({})["UV_CACHE_DIR"]).name
    cache = f"{name}\\archive-v0\\{22 * 'x'}\\"
    environment = own.environment.name + "\\Lib\\site-packages\\"
    for inside in (cache, environment):
        assert home + len(inside) + LONGEST_IN_A_PACKAGE < 260


@pytest.mark.parametrize(
    ("system", "programs", "kind"),
    [
        ("linux", {"nvidia-smi", "rocminfo"}, CUDA),
        ("win32", {"nvidia-smi"}, CUDA),
        ("linux", {"rocminfo"}, ROCM),
        ("win32", {"rocminfo"}, CPU),
        ("linux", set(), CPU),
        ("darwin", {"nvidia-smi"}, MPS),
    ],
)
def test_downloads_are_listed_before_they_start(monkeypatch, system, programs, kind) -> None:
    """By the programs that drivers bring; none is started."""
    monkeypatch.setattr(accelerators.sys, "platform", system)
    found = {name: f"/usr/bin/{name}" for name in programs}
    monkeypatch.setattr(accelerators.shutil, "which", found.get)
    assert likely_accelerator() == kind


def test_a_wheel_that_was_cut_is_none(own: BundledBackend, tmp_path: Path) -> None:
    """The archive was not copied to its end; nothing else of the plugin stops for it."""
    own.wheel.write_bytes(own.wheel.read_bytes()[:20])
    assert bundled_backend(tmp_path / "home", own.wheel.parent) is None
