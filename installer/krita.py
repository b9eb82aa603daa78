"""Krita's own folders and its kritarc on each system."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SECTION = b"[python]"
_KEY = b"enable_tapestry="
_LINE = _KEY + b"true"


@dataclass(frozen=True)
class KritaFolders:
    """Where this user's Krita looks for Python plugins, its settings file, and our logs."""

    pykrita: Path
    kritarc: Path
    logs: Path


def krita_folders(environment: Mapping[str, str] = os.environ) -> KritaFolders:
    """The folders of the user whose environment this is; they need not exist yet."""
    home = Path(environment.get("HOME") or Path.home())
    if sys.platform == "win32":
        roaming = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
        local = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
        return KritaFolders(roaming / "krita" / "pykrita", local / "kritarc", local / "tapestry")
    if sys.platform == "darwin":
        library = home / "Library"
        data = library / "Application Support"
        kritarc = library / "Preferences" / "kritarc"
        return KritaFolders(data / "krita" / "pykrita", kritarc, data / "tapestry")
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return KritaFolders(data / "krita" / "pykrita", config / "kritarc", data / "tapestry")


def enabled(settings: bytes) -> bool:
    """Whether these settings (the bytes of a kritarc) switch the plugin on."""
    lines = settings.splitlines()
    own = _own_line(lines)
    return own is not None and lines[own].strip().lower() == _LINE


def enable(settings: bytes) -> bytes:
    """The settings with the plugin switched on, and every other byte as it was."""
    newline = b"\r\n" if b"\r\n" in settings else b"\n"
    lines = settings.splitlines(keepends=True)
    own, header = _own_line(lines), _header(lines)
    if own is not None:
        lines[own] = _LINE + newline
    elif header is not None:
        lines[header] = lines[header].rstrip(b"\r\n") + newline
        lines.insert(header + 1, _LINE + newline)
    else:
        if lines:
            lines[-1] = lines[-1].rstrip(b"\r\n") + newline
            lines.append(newline)
        lines += [_SECTION + newline, _LINE + newline]
    return b"".join(lines)


def disable(settings: bytes) -> bytes:
    """The settings without the plugin's line, and without its section if that was all it held."""
    lines = settings.splitlines(keepends=True)
    own = _own_line(lines)
    if own is None:
        return settings
    del lines[own]
    header = _header(lines)
    if header is not None and not any(line.strip() for line in _section(lines, header)):
        del lines[header]
        if header and not lines[header - 1].strip():
            del lines[header - 1]
    return b"".join(lines)


def _header(lines: list[bytes]) -> int | None:
    return next((i for i, line in enumerate(lines) if line.strip() == _SECTION), None)


def _section(lines: list[bytes], header: int) -> list[bytes]:
    """The lines between a header and the next one."""
    following = lines[header + 1 :]
    length = next((i for i, line in enumerate(following) if line.startswith(b"[")), len(following))
    return following[:length]


def _own_line(lines: list[bytes]) -> int | None:
    header = _header(lines)
    if header is None:
        return None
    for offset, line in enumerate(_section(lines, header), start=1):
        if line.strip().startswith(_KEY):
            return header + offset
    return None
