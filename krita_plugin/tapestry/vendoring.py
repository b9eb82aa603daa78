"""The libraries that travel with the plugin in `vendor/`.

Krita's Python is shared by all plugins, so nothing of ours may shadow what others bring:
`tapestry_protocol` is imported under its own name, from a path that is there only for that moment;
`websockets` is imported as a part of this package (see `connection/wire.py`). Without
`vendor/`, as in the unit tests, both come from the environment.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

_VENDOR = Path(__file__).with_name("vendor")

if _VENDOR.is_dir():
    sys.path.insert(0, str(_VENDOR))
    try:
        import_module("tapestry_protocol")
    finally:
        sys.path.remove(str(_VENDOR))
