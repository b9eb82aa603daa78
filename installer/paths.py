"""Where things lie in this checkout."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "installer" / "constraints.txt"
LOG = ROOT / ".venv" / "installer.log"
STAMP = ROOT / ".venv" / "tapestry-installed.json"
PLUGIN_VENDOR = ROOT / ".venv" / "plugin-vendor"
"""The websockets release that travels inside the plugin, kept so that it is fetched only once."""

_SCRIPTS = VENV / ("Scripts" if sys.platform == "win32" else "bin")
_SUFFIX = ".exe" if sys.platform == "win32" else ""
VENV_PYTHON = _SCRIPTS / f"python{_SUFFIX}"
TAPESTRY = _SCRIPTS / f"tapestry{_SUFFIX}"
