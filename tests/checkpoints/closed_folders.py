"""Folders that may not be entered, also for a user who may do everything."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def close_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Close a folder: every call about its inside fails as the system does it."""
    for module, name in (
        *((os, name) for name in ("scandir", "listdir", "stat", "lstat", "open", "readlink")),
        (builtins, "open"),
        (io, "open"),
    ):
        monkeypatch.setattr(module, name, _guarded(getattr(module, name), name, folder))


def _guarded(real: Callable[..., Any], name: str, folder: Path) -> Callable[..., Any]:
    lists = name in {"scandir", "listdir"}

    def guarded(path: Any = ".", *arguments: Any, **named: Any) -> Any:
        if isinstance(path, str | os.PathLike):
            asked = Path(path).absolute()
            if folder in asked.parents or (lists and asked == folder):
                raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **named)

    return guarded
