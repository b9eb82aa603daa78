"""The installation with the real uv, from a folder of small wheels and without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tapestry.backend.bundled import PACKAGES, TORCH_PACKAGES, BundledBackend, bundled_backend
from tapestry.backend.installer import BackendInstaller
from tests.krita_plugin.backend.install_place import Place
from tests.krita_plugin.fake_loop import FakeLoop
from tests.krita_plugin.stand_in_wheels import note_as_whole, write_list, write_wheel

UV = Path(sys.executable).with_name("uv")

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not UV.exists(), reason="needs this environment's uv"
)

_BACKEND = {
    "tapestry_stand_in.py": "import sys\ndef main():\n    import numpy\n    sys.exit(0)\n",
    "tapestry-0.1.0.dist-info/entry_points.txt": (
        "[console_scripts]\ntapestry = tapestry_stand_in:main\n"
    ),
}


class RealPlace(Place):
    """A plugin whose backend needs a numpy of our own, and a user with a long name."""

    def __init__(self, folder: Path) -> None:
        self.carried, self.wheels = folder / "plugin" / "backend", folder / "wheels"
        self.carried.mkdir(parents=True)
        self.wheels.mkdir()
        self.write_backend("numpy")
        self.write_numpy("")
        self.data = folder / "Jürgen 画家" / "data"
        self.loop, self.shown = FakeLoop(), []
        own = self.own
        own.uv.parent.mkdir(parents=True)
        shutil.copy(UV, own.uv)
        note_as_whole(own.uv)

    def write_backend(self, needs: str) -> None:
        """Its wheel says what else it needs."""
        write_wheel(self.carried, "tapestry", "0.1.0", _BACKEND, needs=[needs])

    def write_numpy(self, text: str) -> None:
        """The wheel and what is known of it."""
        self.numpy = write_wheel(self.wheels, "numpy", "2.4.6", {"numpy.py": text})
        write_list(self.carried / PACKAGES, {"numpy==2.4.6": self.numpy})
        write_list(self.carried / TORCH_PACKAGES, {})

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PIP_FIND_LINKS": f"{self.wheels} {self.carried}",
            "UV_OFFLINE": "1",
            "UV_PYTHON": sys.executable,
            "PATH": os.defpath,
            "HOME": str(self.data),
        }

    @property
    def traces(self) -> Path:
        """Where the code of others would say that it has run."""
        return self.carried.with_name("ran")

    def real(self) -> tuple[BundledBackend, BackendInstaller]:
        installer = self.installer(environment=self.environment)
        installer.start()
        self.run(installer)
        return self.own, installer


@pytest.fixture
def place(tmp_path: Path) -> RealPlace:
    """Nothing is installed yet."""
    return RealPlace(tmp_path)


def test_the_backend_is_installed_from_a_folder_of_wheels(place: RealPlace) -> None:
    """By the list that the plugin carries, in a folder with all kinds of letters."""
    own, installer = place.real()
    assert installer.trouble is None
    assert own.is_installed
    assert bundled_backend(place.data, place.carried) == own
    assert list(own.environment.rglob("numpy.py"))


def test_a_wheel_of_another_hash_is_not_installed(place: RealPlace) -> None:
    """However it got there; the right one is taken afterwards."""
    known = (place.carried / PACKAGES).read_text()
    place.write_numpy("import something_else")
    (place.carried / PACKAGES).write_text(known)
    own, installer = place.real()
    assert "not what is known by its hash" in installer.trouble.message
    assert not own.is_there
    assert not list(own.environment.rglob("numpy.py"))
    place.write_numpy("")
    own, installer = place.real()
    assert installer.trouble is None
    assert own.is_installed


def test_a_missing_network_is_reported(place: RealPlace) -> None:
    """Nothing is taken for whole."""
    place.numpy.unlink()
    own, installer = place.real()
    assert "cannot be reached" in installer.trouble.message
    assert not own.is_there


def test_sources_are_not_built(place: RealPlace) -> None:
    """A package that is no wheel would run its maker's code while it is installed."""
    place.numpy.unlink()
    shutil.make_archive(str(place.wheels / "numpy-2.4.6"), "gztar", place.carried)
    own, installer = place.real()
    assert installer.trouble is not None
    assert not own.is_there


@pytest.mark.parametrize("name", ["uv.toml", "pyproject.toml"])
def test_settings_where_krita_was_started_do_not_count(
    place: RealPlace, tmp_path: Path, monkeypatch, name: str
) -> None:
    """A picture may lie in a foreign folder, with a package and settings for uv in it."""
    pictures = tmp_path / "pictures" / "deep"
    pictures.mkdir(parents=True)
    code = f"import pathlib; pathlib.Path({str(place.traces)!r}).touch()\n"
    theirs = {"numpy.py": code, "theirs.pth": code}
    write_wheel(pictures.parent, "numpy", "2.4.6", theirs)
    table = "pip" if name == "uv.toml" else "tool.uv.pip"
    settings = f"[{table}]\nverify-hashes = false\nfind-links = [{str(pictures.parent)!r}]\n"
    (pictures.parent / name).write_text(settings)
    place.numpy.unlink()
    monkeypatch.chdir(pictures)
    own, installer = place.real()
    assert installer.trouble is not None
    assert not own.is_there
    place.write_numpy("")
    own, installer = place.real()
    assert installer.trouble is None
    assert own.is_installed
    assert not place.traces.exists()


def test_modules_where_krita_was_started_are_not_imported(
    place: RealPlace, tmp_path: Path, monkeypatch
) -> None:
    """The backend has its own."""
    (tmp_path / "numpy.py").write_text(f"open({str(place.traces)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _, installer = place.real()
    assert installer.trouble is None
    assert not place.traces.exists()


_KRITA = """
import sys, time
from pathlib import Path
from tapestry.backend.bundled import bundled_backend
from tapestry.backend.installer import BackendInstaller
from tests.krita_plugin.fake_loop import FakeLoop
assert sys.getfilesystemencoding() != "utf-8"
own = bundled_backend(*map(Path, sys.argv[1:]))
loop = FakeLoop()
installer = BackendInstaller(own, loop, None, lambda: None)
installer.start()
while installer.is_running:
    loop.run(0.2)
    time.sleep(0.005)
print(own.is_installed, ascii(installer.trouble))
"""


@pytest.mark.parametrize("name", ["C", "de_DE.ISO-8859-1"])
def test_a_locale_without_the_letters_of_the_folder(
    place: RealPlace, tmp_path: Path, name: str
) -> None:
    """Krita's Python reads names of files as that says; uv and the backend have every letter."""
    if name != "C":
        language, _, letters = name.partition(".")
        make = ["localedef", "-i", language, "-f", letters, str(tmp_path / name)]
        try:
            subprocess.run(make, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip(f"localedef cannot make {name} here")
    pythons = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    locale = {"LC_ALL": name, "LOCPATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    finished = subprocess.run(
        [sys.executable, "-c", _KRITA, str(place.data), str(place.carried)],
        env=place.environment | pythons | locale,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stdout == "True None\n", finished.stderr
    assert place.own.is_installed
