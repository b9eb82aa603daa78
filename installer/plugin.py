"""The plugin as a folder or an archive, with the libraries it carries."""

from __future__ import annotations

import errno
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from installer import pip
from installer.console import InstallerError
from installer.paths import PLUGIN_VENDOR, ROOT

WEBSOCKETS = "websockets==16.1.1"
"""The last line of releases for Python 3.10, which the official builds of Krita 5.2 bring."""

SANS_IO_MODULES = (
    "__init__.py",
    "client.py",
    "datastructures.py",
    "exceptions.py",
    "extensions/__init__.py",
    "extensions/base.py",
    "extensions/permessage_deflate.py",
    "frames.py",
    "headers.py",
    "http11.py",
    "imports.py",
    "protocol.py",
    "py.typed",
    "streams.py",
    "typing.py",
    "uri.py",
    "utils.py",
    "version.py",
)
"""The protocol core without I/O: Qt's sockets carry the bytes inside Krita."""

ACTIONS = ROOT / "krita_plugin" / "tapestry.action"
"""Belongs into Krita's folder `actions`. Krita reads those in plugins as well, so one that lay in
both would be read twice."""

_NOT_COPIED = shutil.ignore_patterns(
    *("__pycache__", "*.pyc", "vendor", "carried", "installation.json"),
    *(".*", "*~", "*.orig", "*.rej", "*.bak", "*.tmp", "Thumbs.db", "desktop.ini"),
)
"""Also what systems and editors leave between sources; nothing of the plugin begins with a dot."""

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
"""Where the permissions of an archive's entries come from; Windows would say something else."""


def build_plugin_folder(destination: Path) -> None:
    """Create destination/tapestry.desktop and destination/tapestry/ with its vendor/ folder.

    Replaces what is there. Fetches websockets with pip the first time; later calls are offline.
    """
    fetch_vendor()
    source = ROOT / "krita_plugin"
    folder = destination / "tapestry"
    destination.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copyfile(source / "tapestry.desktop", destination / "tapestry.desktop")
    shutil.copytree(source / "tapestry", folder, ignore=_NOT_COPIED)
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    shutil.copytree(PLUGIN_VENDOR, folder / "vendor", ignore=_NOT_COPIED)
    protocol = ROOT / "shared" / "tapestry_protocol"
    shutil.copytree(protocol, folder / "vendor" / "tapestry_protocol", ignore=_NOT_COPIED)


def build_plugin_zip(archive: Path) -> None:
    """Write what Krita's "Import Python Plugin from File" takes; the same bytes every time."""
    write_archive(archive, plugin_files(), zipfile.ZIP_DEFLATED)


def plugin_files() -> dict[str, bytes]:
    """What that archive holds, by name.

    Krita's importer looks for directory entries, so they are there too: names that end with "/".
    """
    files = {ACTIONS.name: ACTIONS.read_bytes()}
    with tempfile.TemporaryDirectory() as folder:
        build_plugin_folder(Path(folder))
        for path in sorted(Path(folder).rglob("*")):
            name = path.relative_to(folder).as_posix()
            files |= {f"{name}/": b""} if path.is_dir() else {name: path.read_bytes()}
    return files


def write_archive(archive: Path, files: Mapping[str, bytes], compression: int) -> None:
    """Files in this order, of no date and with the usual permissions; half of it has no name."""
    refuse_protected(archive)
    archive.parent.mkdir(parents=True, exist_ok=True)
    aside = archive.with_name(f".{archive.name}.part")
    try:
        with zipfile.ZipFile(aside, "w") as output:
            for name, data in files.items():
                info = zipfile.ZipInfo(name, _ZIP_TIME)
                info.create_system = _UNIX
                is_folder = name.endswith("/")
                info.external_attr = 0o40755 << 16 | 0x10 if is_folder else 0o100644 << 16
                info.compress_type = zipfile.ZIP_STORED if is_folder else compression
                output.writestr(info, data)
        aside.replace(archive.resolve())
    finally:
        aside.unlink(missing_ok=True)


def refuse_protected(file: Path) -> None:
    """Raises OSError for a file without write permission, also where an administrator could."""
    if file.exists() and not file.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, "It is protected from writing", str(file))


def fetch_vendor() -> None:
    """Make sure that the plugin's copy of websockets lies beside the environment."""
    version = PLUGIN_VENDOR / "websockets" / "VERSION"
    if version.exists() and version.read_text(encoding="utf-8") == WEBSOCKETS:
        return
    with tempfile.TemporaryDirectory() as folder:
        pip.download_pure_wheel(WEBSOCKETS, Path(folder))
        (wheel,) = Path(folder).glob("websockets-*.whl")
        _unpack_websockets(wheel, PLUGIN_VENDOR / "websockets")
    version.write_text(WEBSOCKETS, encoding="utf-8")


def _unpack_websockets(wheel: Path, destination: Path) -> None:
    """Take the sans-I/O modules and the licence out of the wheel."""
    if destination.exists():
        shutil.rmtree(destination)
    with zipfile.ZipFile(wheel) as archive:
        licences = [name for name in archive.namelist() if name.endswith("/LICENSE")]
        if not licences:
            raise InstallerError(f"{wheel.name} holds no licence.")
        wanted = {f"websockets/{name}": name for name in SANS_IO_MODULES}
        wanted[licences[0]] = "LICENSE"
        for name, target in wanted.items():
            path = destination / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
