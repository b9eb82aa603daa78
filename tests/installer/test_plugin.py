"""The plugin as built: complete, importable with nothing else, the same bytes every time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import cast

import pytest

from installer import doctor, in_krita, krita, plugin
from installer.console import InstallerError
from installer.krita import KritaFolders, enabled
from installer.plugin import (
    ACTIONS,
    SANS_IO_MODULES,
    build_plugin_folder,
    build_plugin_zip,
    write_archive,
)

SYSTEM = Path(os.environ.get("TAPESTRY_KRITA_TREE", "/"))
IMPORTER = SYSTEM / "usr" / "share" / "krita" / "pykrita" / "plugin_importer" / "plugin_importer.py"


def python(code: str, *arguments: Path) -> str:
    """What Python says that has neither our environment nor anything installed."""
    command = [sys.executable, "-B", "-S", "-I", "-c", code, *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return finished.stdout


def folders_in(home: Path) -> KritaFolders:
    """A Krita of its own."""
    return KritaFolders(home / "krita" / "pykrita", home / "config" / "kritarc", home / "tapestry")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin's folder, built once."""
    folder = tmp_path_factory.mktemp("plugin")
    build_plugin_folder(folder)
    return folder


def test_what_the_plugin_carries_imports_by_itself(built: Path) -> None:
    """Websockets' protocol core and our own protocol need nothing that Krita's Python lacks."""
    modules = [
        "websockets." + name.removesuffix(".py").replace("/", ".")
        for name in SANS_IO_MODULES
        if name.endswith(".py") and "__init__" not in name
    ]
    modules += ["tapestry_protocol.codec", "tapestry_protocol.runtime"]
    code = (
        "import sys, importlib; sys.path.insert(0, sys.argv[1])\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        "print(sys.modules['websockets'].__file__)"
    )
    assert str(built) in python(code, built / "tapestry" / "vendor")


def test_the_plugin_is_whole_and_holds_no_leftovers(built: Path) -> None:
    """Every source file is there; caches, and vendored copies of a checkout, are not."""
    root = Path(__file__).resolve().parents[2] / "krita_plugin" / "tapestry"
    sources = {path.relative_to(root) for path in root.rglob("*.py") if "vendor" not in path.parts}
    copied = {path.relative_to(built / "tapestry") for path in (built / "tapestry").rglob("*.py")}
    assert sources <= copied
    assert (built / "tapestry.desktop").read_text().startswith("[Desktop Entry]")
    assert (built / "tapestry" / "vendor" / "websockets" / "LICENSE").exists()
    assert not list(built.rglob("__pycache__"))


def test_what_systems_and_editors_leave_is_not_packed(monkeypatch, tmp_path: Path) -> None:
    """Among the sources, in any folder; the licence goes along."""
    root = tmp_path / "root"
    for folder in ("krita_plugin", "shared"):
        shutil.copytree(plugin.ROOT / folder, root / folder)
    shutil.copyfile(plugin.ROOT / "LICENSE", root / "LICENSE")
    build_plugin_folder(tmp_path / "clean")
    debris = (".DS_Store", ".env", ".idea/x", "a.orig", "a.py~", "Thumbs.db", "a.pyc")
    for name in debris:
        for folder in ("krita_plugin/tapestry/ui", "shared/tapestry_protocol"):
            path = root / folder / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
    monkeypatch.setattr(plugin, "ROOT", root)
    build_plugin_folder(tmp_path / "built")
    clean, built = (
        {path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")}
        for name in ("clean", "built")
    )
    assert built == clean
    assert Path("tapestry", "LICENSE") in built


def test_half_an_archive_has_no_name(tmp_path: Path) -> None:
    """What was there stays until the new one is whole."""
    archive = tmp_path / "tapestry.zip"
    archive.write_text("the last one")
    with pytest.raises(TypeError):
        write_archive(archive, {"a": b"text", "b": cast("bytes", None)}, zipfile.ZIP_STORED)
    assert archive.read_text() == "the last one"
    assert list(tmp_path.iterdir()) == [archive]


def test_building_twice_leaves_no_old_file(built: Path) -> None:
    """A module that was removed from the plugin does not live on in Krita."""
    old = built / "tapestry" / "removed_long_ago.py"
    old.touch()
    build_plugin_folder(built)
    assert not old.exists()


def test_the_archive_is_the_same_every_time(tmp_path: Path) -> None:
    """Same sources, same bytes; desktop file and module at the top, with directory entries."""
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    build_plugin_zip(first)
    build_plugin_zip(second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
    assert {"tapestry.desktop", "tapestry/", "tapestry/__init__.py"} <= set(names)


@pytest.mark.skipif(not IMPORTER.exists(), reason="needs Krita's own plugin importer")
def test_kritas_importer_takes_the_archive(tmp_path: Path, built: Path) -> None:
    """The module behind "Import Python Plugin from File" installs what we built."""
    build_plugin_zip(tmp_path / "tapestry.zip")
    (tmp_path / "krita").mkdir()
    python(
        "import builtins, runpy, sys; builtins.i18n = str  # as inside Krita\n"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], "
        "run_name='__main__')",
        IMPORTER,
        tmp_path / "tapestry.zip",
        tmp_path / "krita",
    )
    imported = tmp_path / "krita" / "pykrita"
    files = {path.relative_to(built) for path in built.rglob("*") if path.is_file()}
    assert {path.relative_to(imported) for path in imported.rglob("*") if path.is_file()} == files
    actions = tmp_path / "krita" / "actions" / "tapestry.action"
    assert actions.read_bytes() == ACTIONS.read_bytes()
    assert not list(imported.rglob("*.action"))  # Krita would read them twice


def test_installing_and_taking_back_leaves_nothing(tmp_path: Path) -> None:
    """Plugin, the way to the backend, and the line in kritarc: in, and out again."""
    folders = folders_in(tmp_path)
    folders.kritarc.parent.mkdir()
    folders.kritarc.write_bytes(b"[theme]\nTheme=dark\n")
    folders.kritarc.chmod(0o600)
    backend = tmp_path / "bin" / "tapestry"
    in_krita.install(folders, backend)
    assert in_krita.installed_command(folders) == [str(backend)]
    installation = folders.pykrita / "tapestry" / "installation.json"
    assert json.loads(installation.read_text()) == {"command": [str(backend)]}
    actions = tmp_path / "krita" / "actions" / "tapestry.action"
    assert "tapestry_generate" in actions.read_text()
    assert enabled(folders.kritarc.read_bytes())
    if os.name == "posix":
        assert folders.kritarc.stat().st_mode & 0o777 == 0o600
    folders.logs.mkdir()
    (folders.logs / "backend.log").touch()
    (folders.logs / "install.lock").touch()
    for name in ("journal/blobs", "backend/env-123456", "inversions"):
        (folders.logs / name).mkdir(parents=True)
    assert len(in_krita.uninstall(folders)) == 6
    assert not folders.logs.exists()
    assert folders.kritarc.read_bytes() == b"[theme]\nTheme=dark\n"
    assert list(folders.pykrita.iterdir()) == []
    assert not actions.exists()
    assert in_krita.uninstall(folders) == []


def test_other_plugins_stay(tmp_path: Path) -> None:
    """Neither installing nor taking back touches what is not ours."""
    folders = folders_in(tmp_path)
    other = folders.pykrita / "other" / "__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("pass")
    in_krita.install(folders, tmp_path / "tapestry")
    in_krita.uninstall(folders)
    assert other.read_text() == "pass"
    assert sorted(path.name for path in folders.pykrita.iterdir()) == ["other"]


@pytest.mark.skipif(sys.platform == "win32", reason="rights and links of POSIX")
def test_settings_behind_a_link_stay_there(tmp_path: Path) -> None:
    """As those keep them who share their settings between computers."""
    folders, kept = folders_in(tmp_path), tmp_path / "shared" / "kritarc"
    kept.parent.mkdir()
    kept.write_bytes(b"[theme]\n")
    kept.chmod(0o640)
    folders.kritarc.parent.mkdir()
    folders.kritarc.symlink_to(kept)
    in_krita.install(folders, tmp_path / "tapestry")
    assert folders.kritarc.is_symlink()
    assert enabled(kept.read_bytes())
    assert kept.stat().st_mode & 0o777 == 0o640
    in_krita.uninstall(folders)
    assert (folders.kritarc.is_symlink(), kept.read_bytes()) == (True, b"[theme]\n")


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
def test_protected_settings_are_refused_before_anything_is_installed(tmp_path: Path) -> None:
    """They are protected for a reason."""
    folders = folders_in(tmp_path)
    folders.kritarc.parent.mkdir()
    folders.kritarc.write_bytes(b"[theme]\n")
    folders.kritarc.chmod(0o444)
    with pytest.raises(InstallerError, match="protected from writing"):
        in_krita.install(folders, tmp_path / "tapestry")
    assert folders.kritarc.read_bytes() == b"[theme]\n"
    assert not folders.pykrita.exists()


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"command": []}', '{"command": 3}', "[" * 99999]
)
def test_a_damaged_installation_is_none(tmp_path: Path, text: str) -> None:
    """The doctor says so."""
    folders = folders_in(tmp_path)
    (folders.pykrita / "tapestry").mkdir(parents=True)
    (folders.pykrita / "tapestry" / "installation.json").write_text(text)
    assert in_krita.installed_command(folders) is None


def test_the_doctor_knows_a_plugin_that_krita_imported(tmp_path: Path, monkeypatch) -> None:
    """It has a backend of its own, which may still have to be installed."""
    folders = folders_in(tmp_path)
    monkeypatch.setattr(doctor.krita, "krita_folders", lambda: folders)
    carried = folders.pykrita / "tapestry" / "carried"
    carried.mkdir(parents=True)
    (carried / "tapestry-0.1.0-py3-none-any.whl").touch()
    folders.kritarc.parent.mkdir(parents=True)
    folders.kritarc.write_bytes(krita.enable(b""))
    found = list(doctor._plugin(needed=True))
    assert [finding.ok for finding in found] == [True, True, False]
    assert "Press Install" in found[-1].advice
    environment = folders.logs / "backend" / "env-1"
    program = environment / in_krita._PROGRAM
    program.parent.mkdir(parents=True)
    program.touch()
    assert not in_krita.is_installed_from_krita(folders.logs / "backend")
    (environment / "tapestry-installed.json").touch()
    assert all(finding.ok for finding in doctor._plugin(needed=True))
