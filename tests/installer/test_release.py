"""The archive for artists: whole, the same bytes every time, and its wheel is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from installer import environment
from installer.pins import PACKAGES, TORCH_PACKAGES
from installer.plugin import build_plugin_zip
from installer.release import BACKEND, build_release_zip, release_name
from tapestry_protocol import VERSION

WHEEL = f"{BACKEND}/tapestry-{VERSION}-py3-none-any.whl"

DEBRIS = (
    *(".DS_Store", "._model.py", ".model.py.swp", "model.py~", "model.py.orig", "model.py.rej"),
    *("model.py.bak", "download.tmp", "Thumbs.db", "desktop.ini"),
)

pytestmark = pytest.mark.skipif(
    "runtime" not in environment.current_groups(),
    reason="this environment was not made by the installer",
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, built once."""
    archive = tmp_path_factory.mktemp("release") / release_name()
    build_release_zip(archive)
    return archive


def test_the_release_is_the_plugin_and_the_backend(release: Path, tmp_path: Path) -> None:
    """All of the plugin's archive, the wheel, and the releases of what that needs."""
    assert release.name == f"tapestry-{VERSION}.zip"
    build_plugin_zip(tmp_path / "plugin.zip")
    with zipfile.ZipFile(release) as whole, zipfile.ZipFile(tmp_path / "plugin.zip") as plugin:
        names = set(whole.namelist())
        lists = {f"{BACKEND}/{path.name}": path for path in (PACKAGES, TORCH_PACKAGES)}
        assert names == {*plugin.namelist(), f"{BACKEND}/", WHEEL, *lists}
        assert all(whole.read(name) == path.read_bytes() for name, path in lists.items())
        assert all(whole.read(name) == plugin.read(name) for name in plugin.namelist())


def test_the_release_is_the_same_every_time(release: Path, tmp_path: Path) -> None:
    """On another day and with other permissions; nothing is compressed."""
    before = os.umask(0o077)
    try:
        build_release_zip(tmp_path / "again.zip")
    finally:
        os.umask(before)
    assert (tmp_path / "again.zip").read_bytes() == release.read_bytes()
    with zipfile.ZipFile(release) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_releases_wheel_can_be_installed(release: Path, tmp_path: Path) -> None:
    """By pip, alone; it brings the command, the protocol and the bundled model."""
    with zipfile.ZipFile(release) as archive:
        wheel = tmp_path / Path(WHEEL).name
        wheel.write_bytes(archive.read(WHEEL))
    target = tmp_path / "installed"
    install = ["install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True)
    question = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import tapestry_backend, tapestry_protocol; print(tapestry_backend.__file__)"
    )
    ask = [sys.executable, "-I", "-c", question, str(target)]
    said = subprocess.run(ask, check=True, capture_output=True, text=True).stdout
    assert said.startswith(str(target))
    model = target / "tapestry_backend" / "sample_model"
    assert (model / "unet" / "diffusion_pytorch_model.safetensors").stat().st_size > 2**20
    assert (target / "bin" / "tapestry").exists() or (target / "Scripts").exists()


def test_debris_stays_out_of_the_wheel(monkeypatch, tmp_path: Path) -> None:
    """What editors, merges and file managers leave in a checkout."""
    from installer import release as room

    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(room.ROOT / name, tmp_path)
    folders = ("backend/tapestry_backend", "shared/tapestry_protocol")
    for folder in folders:
        (tmp_path / folder / "deep").mkdir(parents=True)
        for name in ("__init__.py", "deep/kept.py", *DEBRIS, *(f"deep/{name}" for name in DEBRIS)):
            (tmp_path / folder / name).touch()
    monkeypatch.setattr(room, "ROOT", tmp_path)
    build_release_zip(tmp_path / "tapestry.zip")
    with zipfile.ZipFile(tmp_path / "tapestry.zip") as archive:
        (tmp_path / "wheel").write_bytes(archive.read(WHEEL))
    with zipfile.ZipFile(tmp_path / "wheel") as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    packages = [folder.rpartition("/")[2] for folder in folders]
    assert names == {
        f"{package}/{name}" for package in packages for name in ("__init__.py", "deep/kept.py")
    }


def test_a_failed_build_is_a_sentence(monkeypatch, tmp_path: Path) -> None:
    """With the builder's own last words."""
    from installer import release as room

    monkeypatch.setattr(room, "ROOT", tmp_path)
    with pytest.raises(room.InstallerError, match=r"wheel cannot be built: .+"):
        build_release_zip(tmp_path / "tapestry.zip")
