"""Where models lie on a computer; looks at folders, opens no file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .folders import expanded

MODELS_VARIABLE = "TAPESTRY_MODELS"
"""An environment variable: the folder of models, where it is not the usual one."""


def models_folder() -> Path:
    """Our own models folder; it need not be there."""
    return named_models_folder() or _usual_models_folder()


def named_models_folder() -> Path | None:
    """The folder that the variable names; on Windows, quotes around it are part of it."""
    named = os.environ.get(MODELS_VARIABLE, "").strip().strip("\"'").strip()
    return expanded(named) if named else None


def _usual_models_folder() -> Path:
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "tapestry" / "models"


def hub_cache() -> Path:
    """The cache of the Hugging Face hub, as its own client finds it."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "huggingface" / "hub"
