"""The backend that the plugin carries: where it is installed, by which commands, and whether it is.

Everything lies in one folder of this user's, so that deleting the folder takes it all back.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from . import uv_program
from .aside import write_aside

CARRIED = Path(__file__).with_name("backend")
"""In an archive for artists: a wheel, and the releases of what it needs."""

NEEDED_BYTES = 4 * 2**30
"""What is fetched and what it becomes on a computer without a graphics card of NVIDIA's."""

_MIRRORS = {"UV_DEFAULT_INDEX": "PIP_INDEX_URL", "UV_FIND_LINKS": "PIP_FIND_LINKS"}
_PYTHONS = ">=3.11,<3.15"
_SUFFIX = ".exe" if sys.platform == "win32" else ""
_SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"


@dataclass(frozen=True)
class OwnBackend:
    """What is installed, and where.

    wheel     of the backend itself
    releases  of everything else
    folder    holds all of it
    """

    wheel: Path
    releases: Path
    folder: Path

    @property
    def uv(self) -> Path:
        return self.folder / f"uv-{uv_program.VERSION}" / f"uv{_SUFFIX}"

    @property
    def environment(self) -> Path:
        return self.folder / "environment"

    @property
    def program(self) -> Path:
        return self.environment / _SCRIPTS / f"tapestry{_SUFFIX}"

    @property
    def log(self) -> Path:
        return self.folder.with_name("install.log")

    @property
    def lock(self) -> Path:
        return self.folder.with_name("install.lock")

    @property
    def is_installed(self) -> bool:
        """Whether all of it is there, and of these very releases."""
        try:
            stamp = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return stamp == self._expected() and self.program.exists()

    @property
    def is_there(self) -> bool:
        """Whether some release of it was installed to its end."""
        return self._stamp.exists() and self.program.exists()

    def begin(self) -> None:
        """From now on it is not whole."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stamp.unlink(missing_ok=True)

    def finish(self) -> None:
        """Say that it is whole."""
        write_aside(self._stamp, json.dumps(self._expected()))

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Of uv's environment: everything stays in the folder; pip's mirrors are uv's as well."""
        mirrors = {
            theirs: environment[pips]
            for theirs, pips in _MIRRORS.items()
            if pips in environment and theirs not in environment
        }
        cache, pythons = self.folder / "cache", self.folder / "python"
        return {"UV_CACHE_DIR": str(cache), "UV_PYTHON_INSTALL_DIR": str(pythons), **mirrors}

    def make_environment(self) -> list[str]:
        """With the computer's Python where it has a fitting one, else with one that uv fetches."""
        return [str(self.uv), "venv", "--clear", "--python", _PYTHONS, str(self.environment)]

    def install(self, *, choose_torch: bool) -> list[str]:
        """The wheel and all that it needs; uv takes up what is there already.

        choose_torch  the build for this computer's graphics card, from PyTorch's own index
        """
        torch = ("--torch-backend", "auto") if choose_torch else ()
        where = ("--python", str(self.environment), "--constraint", str(self.releases))
        return [str(self.uv), "pip", "install", "--strict", *torch, *where, str(self.wheel)]

    @property
    def _stamp(self) -> Path:
        return self.environment / "tapestry-installed.json"

    def _expected(self) -> dict[str, str]:
        return {"wheel": _contents(self.wheel), "releases": self.releases.read_text("utf-8")}


@lru_cache(maxsize=1)
def _contents(wheel: Path) -> str:
    """Tells a wheel from all others, without reading all of it: names and checksums within."""
    with zipfile.ZipFile(wheel) as archive:
        parts = [f"{info.filename} {info.CRC}" for info in archive.infolist()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def own_backend(data_folder: Path, carried: Path = CARRIED) -> OwnBackend | None:
    """What this plugin carries; None where it carries none, as in a checkout."""
    wheels, releases = sorted(carried.glob("tapestry-*.whl")), carried / "constraints.txt"
    if not wheels or not releases.exists():
        return None
    return OwnBackend(wheels[-1], releases, data_folder / "backend")
