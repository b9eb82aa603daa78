"""Puts the plugin into this user's Krita and takes it back."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from installer import krita
from installer.console import InstallerError
from installer.krita import KritaFolders
from installer.plugin import ACTIONS, build_plugin_folder, refuse_protected

_KEPT = {
    "journal": "jobs and pictures that waited",
    "inversions": "pictures that edits took back to noise",
    "learned": "pictures that models have learned",
    "backend": "the backend that was installed from Krita",
    "backend.leaving": "what was left of such a backend",
}
"""Folders beside the logs."""


_PROGRAM = "Scripts/tapestry.exe" if sys.platform == "win32" else "bin/tapestry"
"""In the backend's environment."""


def install(folders: KritaFolders, backend: Path) -> None:
    """Copy the plugin, tell it where the backend is, and switch it on in Krita's settings."""
    try:
        refuse_protected(folders.kritarc)
        build_plugin_folder(folders.pykrita)
        installation = json.dumps({"command": [str(backend)]}, indent=2)
        path = folders.pykrita / "tapestry" / "installation.json"
        path.write_text(installation + "\n", encoding="utf-8")
        actions = _actions(folders)
        actions.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ACTIONS, actions)
        before = folders.kritarc.read_bytes() if folders.kritarc.exists() else b""
        _write_settings(folders.kritarc, krita.enable(before))
    except OSError as error:
        raise InstallerError(
            f"The plugin cannot be written: {error}.",
            "Check that the folder belongs to you and that the disk is not full.",
        ) from error


def uninstall(folders: KritaFolders) -> list[str]:
    """Take back what `install` did; says in words what was removed."""
    removed = []
    folder, desktop = folders.pykrita / "tapestry", folders.pykrita / "tapestry.desktop"
    if folder.exists() or desktop.exists():
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        desktop.unlink(missing_ok=True)
        _actions(folders).unlink(missing_ok=True)
        removed.append(f"the plugin in {folders.pykrita}")
    if folders.kritarc.exists():
        before = folders.kritarc.read_bytes()
        after = krita.disable(before)
        if after != before:
            _write_settings(folders.kritarc, after)
            removed.append(f"its line in {folders.kritarc}")
    logs = list(folders.logs.glob("*.log*"))
    for log in logs:
        log.unlink()
    if logs:
        removed.append(f"the logs in {folders.logs}")
    for name, what in _KEPT.items():
        if (folders.logs / name).exists():
            shutil.rmtree(folders.logs / name, ignore_errors=True)
            removed.append(f"{what} in {folders.logs / name}")
    (folders.logs / "install.lock").unlink(missing_ok=True)
    if folders.logs.exists() and not any(folders.logs.iterdir()):
        folders.logs.rmdir()
    return removed


def installed_command(folders: KritaFolders) -> list[str] | None:
    """How the installed plugin starts the backend, or None when no plugin is installed by us."""
    path = folders.pykrita / "tapestry" / "installation.json"
    try:
        command = json.loads(path.read_text(encoding="utf-8"))["command"]
        return [str(command[0]), *map(str, command[1:])]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def imported_backend(folders: KritaFolders) -> Path | None:
    """The folder of the backend, where the plugin came from the archive for artists; else None.

    It need not be installed yet.
    """
    carried = folders.pykrita / "tapestry" / "carried"
    return folders.logs / "backend" if any(carried.glob("tapestry-*.whl")) else None


def is_installed_from_krita(backend: Path) -> bool:
    """Whether some release of it was installed to its end."""
    programs = (path.parent / _PROGRAM for path in backend.glob("env-*/tapestry-installed.json"))
    return any(program.exists() for program in programs)


def _actions(folders: KritaFolders) -> Path:
    """Where Krita looks for the names of a plugin's actions."""
    return folders.pykrita.parent / "actions" / ACTIONS.name


def _write_settings(kritarc: Path, settings: bytes) -> None:
    """Replace the file at once: Krita's settings must never be half written.

    A link stays one, as many keep their settings elsewhere; the file keeps its rights.
    """
    refuse_protected(kritarc)
    kritarc.parent.mkdir(parents=True, exist_ok=True)
    file = kritarc.resolve()
    aside = file.with_name(file.name + ".tapestry-new")
    aside.write_bytes(settings)
    if file.exists():
        shutil.copymode(file, aside)
    aside.replace(file)
