"""The backend that the plugin carries: where it is installed, by which commands, and whether it is.

Everything lies in one folder of this user's, so that deleting the folder takes it all back.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tapestry_protocol.accelerators import Accelerator, likely_accelerator
from tapestry_protocol.runtime import data_folder

from ..common.atomic_write import write_atomically
from ..common.removal import LEAVING
from . import uv_program

CARRIED = Path(__file__).parents[1] / "carried"
"""In an archive for artists: a wheel, and the releases of what it needs with their hashes."""

PACKAGES, TORCH_PACKAGES = "packages.txt", "torch-packages.txt"
"""All packages but PyTorch's with their hashes; and PyTorch's as the package index has them."""

_MIRRORS = {
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "UV_FIND_LINKS": "PIP_FIND_LINKS",
    "SSL_CERT_FILE": "PIP_CERT",
    "ALL_PROXY": "PIP_PROXY",
}
"""uv's name of a setting, and pip's, which counts where uv's is not set."""

_PYTHONS = ">=3.11,<3.15"
_SUFFIX = ".exe" if sys.platform == "win32" else ""
_SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"
_STAMP = "tapestry-installed.json"


@dataclass(frozen=True)
class BundledBackend:
    """What is installed, and where.

    wheel   of the backend itself; the lists of what it needs lie beside it
    folder  holds all of it
    """

    wheel: Path
    folder: Path

    @property
    def uv(self) -> Path:
        return self.folder / f"uv-{uv_program.VERSION}" / f"uv{_SUFFIX}"

    @property
    def environment(self) -> Path:
        """One for each release, so that the last one works until the next is whole."""
        return self.folder / f"env-{_contents(self.wheel)[:6]}"

    @property
    def program(self) -> Path:
        """The newest release that is whole; where none is, the one that is to come."""
        whole = [self.environment, *self.others()]
        found = (env for env in whole if (env / _STAMP).exists() and _program_in(env).exists())
        return _program_in(next(found, self.environment))

    @property
    def next_program(self) -> Path:
        """That of this release, also while it is not whole."""
        return _program_in(self.environment)

    @property
    def log(self) -> Path:
        return self.folder.with_name("install.log")

    @property
    def lock(self) -> Path:
        return self.folder.with_name("install.lock")

    @property
    def accelerator(self) -> Accelerator:
        """What PyTorch will compute on, as far as can be seen."""
        return likely_accelerator()

    @property
    def is_installed(self) -> bool:
        """Whether all of it is there, and of these very releases."""
        try:
            stamp = json.loads((self.environment / _STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return stamp == self._expected() and self.next_program.exists()

    @property
    def is_there(self) -> bool:
        """Whether some release of it was installed to its end."""
        program = self.program
        return program.exists() and (program.parents[1] / _STAMP).exists()

    def others(self) -> list[Path]:
        """Environments of other releases, newest first, also those that are half removed."""
        found = {path.name.partition(LEAVING)[0] for path in self.folder.glob("env-*")}
        folders = [self.folder / name for name in found - {self.environment.name}]
        return sorted(folders, key=_age)

    def begin(self) -> None:
        """From now on this release is not whole."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.environment / _STAMP).unlink(missing_ok=True)

    def finish(self) -> None:
        """Say that it is whole."""
        write_atomically(self.environment / _STAMP, json.dumps(self._expected()))

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Environment of uv: everything stays in the folder; pip's mirrors are uv's as well.

        A sandbox's own Python changes with the sandbox, and asking for one on a Mac without
        developer tools opens a window: there uv brings its own.
        """
        chosen = {
            theirs: environment[pips]
            for theirs, pips in _MIRRORS.items()
            if environment.get(pips) and theirs not in environment
        }
        if "UV_FIND_LINKS" in chosen:
            chosen["UV_FIND_LINKS"] = _without_missing(chosen["UV_FIND_LINKS"])
        # Windows' limit for paths is soon reached, so the cache has a short name.
        chosen["UV_CACHE_DIR"] = str(self.folder / "c")
        chosen["UV_PYTHON_INSTALL_DIR"] = str(self.folder / "python")
        chosen["NO_COLOR"] = "1"
        if sys.platform == "darwin" or is_in_sandbox(environment):
            chosen["UV_PYTHON_PREFERENCE"] = "only-managed"
        return chosen

    def make_environment(self) -> list[str]:
        """With the computer's Python where it has a fitting one, else with one that uv fetches."""
        return [str(self.uv), "venv", "--clear", "--python", _PYTHONS, str(self.environment)]

    def install(self, *, choose_torch: bool, is_known: bool = False) -> list[str]:
        """The wheel and all that it needs, wheels alone; uv takes up what is there already.

        choose_torch  the build for this computer's graphics card, from PyTorch's own index
        is_known      PyTorch is known by the hashes that the package index has
        """
        lists = ["--constraint", str(self.wheel.with_name(PACKAGES))]
        if is_known:
            lists += ["--constraint", str(self.wheel.with_name(TORCH_PACKAGES))]
        torch = ["--torch-backend", "auto"] if choose_torch else []
        where = ["--python", str(self.environment), "--only-binary", ":all:"]
        return [str(self.uv), "pip", "install", "--strict", *torch, *where, *lists, str(self.wheel)]

    def _expected(self) -> dict[str, str]:
        packages = self.wheel.with_name(PACKAGES).read_bytes()
        hashed = hashlib.sha256(packages).hexdigest()
        return {"wheel": _contents(self.wheel), "packages": hashed}


@lru_cache(maxsize=4)
def _contents(wheel: Path) -> str:
    """Tells a wheel from all others, without reading all of it: names and checksums within."""
    with zipfile.ZipFile(wheel) as archive:
        parts = [f"{info.filename} {info.CRC}" for info in archive.infolist()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_in_sandbox(environment: Mapping[str, str]) -> bool:
    """Whether this Krita is a Flatpak or a Snap."""
    return bool(environment.get("FLATPAK_ID") or environment.get("SNAP"))


def backend_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the folder is made: in a Snap beside its releases, which would all get a copy of it."""
    common = environment.get("SNAP_USER_COMMON")
    return Path(common) / "tapestry" if common else data_folder(environment)


def bundled_backend(home: Path, carried: Path = CARRIED) -> BundledBackend | None:
    """What this plugin carries; None where it carries none, as in a checkout."""
    wheels = sorted(carried.glob("tapestry-*.whl"))
    if not wheels or not (carried / PACKAGES).exists():
        return None
    return BundledBackend(wheels[-1], home / "backend")


def _without_missing(places: str) -> str:
    """Pip passes over folders that are not there; uv would give up."""
    return " ".join(p for p in places.split() if "://" in p or Path(p).exists())


def _program_in(environment: Path) -> Path:
    return environment / _SCRIPTS / f"tapestry{_SUFFIX}"


def _age(environment: Path) -> float:
    try:
        return -(environment / _STAMP).stat().st_mtime
    except OSError:
        return 0.0
