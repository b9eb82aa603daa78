"""The backend that the plugin carries: where it is installed, by which commands, and whether it is.

Everything lies in one folder of this user's, so that deleting the folder takes it all back.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tapestry_protocol.accelerators import TORCH, Accelerator, likely_accelerator
from tapestry_protocol.runtime import data_folder

from ..common.atomic_write import write_atomically
from ..common.removal import LEAVING
from ..common.stored_json import read_kept
from . import uv_program
from .uv_settings import settings_for_uv

CARRIED = Path(__file__).parents[1] / "carried"
"""In an archive for artists: a wheel, and the releases of what it needs with their hashes."""

PACKAGES, TORCH_PACKAGES = "packages.txt", "torch-packages.txt"
"""All packages but PyTorch's with their hashes; and PyTorch's as the package index has them."""

_PYTHONS = ">=3.11,<3.15"
_SUFFIX = ".exe" if sys.platform == "win32" else ""
_SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"
_PACKAGES = f"{'Lib' if sys.platform == 'win32' else 'lib/python*'}/site-packages"
_INFO = ".dist-info"
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
        found = (env for env in [self.environment, *self.others()] if _is_whole(env))
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
        return self._is_finished and _is_whole(self.environment)

    @property
    def is_damaged(self) -> bool:
        """Whether this release was installed to its end, and something of it is gone."""
        return self._is_finished and not _is_whole(self.environment)

    @property
    def is_there(self) -> bool:
        """Whether some release of it was installed to its end."""
        return _is_whole(self.program.parents[1])

    @property
    def _is_finished(self) -> bool:
        try:
            stamp = read_kept((self.environment / _STAMP).read_text(encoding="utf-8"))
            return stamp == self._expected()
        except (OSError, ValueError):
            return False

    def others(self) -> list[Path]:
        """Environments of other releases, newest first, also those that are half removed."""
        found = {path.name.partition(LEAVING)[0] for path in self.folder.glob("env-*")}
        folders = [self.folder / name for name in found - {self.environment.name}]
        return sorted(folders, key=_age)

    @property
    def outdated_version(self) -> str:
        """Of the release that is there, where that is another one; "" where none is."""
        names = packages_in(self.program.parents[1]) if self.is_there else set()
        found = (name for name in names if name.startswith("tapestry-"))
        return "" if self.is_installed else next(found, "").rpartition("-")[2]

    @property
    def has_its_packages(self) -> bool:
        """Whether the release that is there needs the very packages that this one needs."""
        try:
            kept = read_kept((self.program.parents[1] / _STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        expected = self._expected()["packages"]
        return isinstance(kept, dict) and kept.get("packages") == expected

    def begin(self) -> None:
        """From now on this release is not whole."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.environment / _STAMP).unlink(missing_ok=True)

    def finish(self) -> None:
        """Say that it is whole."""
        write_atomically(self.environment / _STAMP, json.dumps(self._expected()))

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Environment of uv: everything stays in the folder.

        A sandbox's own Python changes with the sandbox, and asking for one on a Mac without
        developer tools opens a window: there uv brings its own.
        """
        chosen = settings_for_uv(environment)
        # Windows' limit for paths is soon reached, so the cache has a short name.
        chosen["UV_CACHE_DIR"] = str(self.folder / "c")
        chosen["UV_PYTHON_INSTALL_DIR"] = str(self.folder / "python")
        chosen["NO_COLOR"] = "1"
        if sys.platform == "darwin" or is_in_sandbox(environment):
            chosen["UV_PYTHON_PREFERENCE"] = "only-managed"
        return chosen

    def make_environment(self) -> list[str]:
        """With the computer's Python where it has a fitting one, else with one that uv fetches."""
        return self._uv("venv", "--no-project", "--clear", "--python", _PYTHONS, self.environment)

    def install(self, *, choose_torch: bool, is_known: bool = False) -> list[str]:
        """The wheel and all that it needs, wheels alone; uv takes up what is there already.

        choose_torch  the build that was offered, from PyTorch's own index, where that has it alone
        is_known      PyTorch is known by the hashes that the package index has
        """
        build = self.accelerator.build if choose_torch else ""
        lists: list[str | Path] = ["--constraint", self.wheel.with_name(PACKAGES)]
        if is_known or (choose_torch and not build):
            lists += ["--constraint", self.wheel.with_name(TORCH_PACKAGES)]
        torch = ["--torch-backend", build] if build else []
        how = ["--strict", "--verify-hashes", "--only-binary", ":all:"]
        into: list[str | Path] = [*how, *torch, "--python", self.environment]
        return self._uv("pip", "install", *into, *lists, self.wheel)

    def torch_wheels(self) -> str:
        """What a wheel of PyTorch is called that fits this computer and the environment's Python.

        Another one in an artist's folder does not count: uv would pass it over, too.
        """
        config = self.environment / "pyvenv.cfg"
        text = config.read_text("utf-8", "replace") if config.exists() else ""
        found = re.search(r"^version_info *= *(\d+)\.(\d+)", text, re.MULTILINE)
        python = f"cp{found[1]}{found[2]}" if found else "cp*"
        return f"{TORCH.replace('==', '-')}*-{python}-*{platform.machine().lower()}.whl"

    def forget(self, packages: Iterable[str]) -> list[str]:
        """Take these packages, in all their releases, out of uv's cache."""
        return self._uv("cache", "clean", *packages)

    def _uv(self, *arguments: str | Path) -> list[str]:
        return [str(self.uv), *map(str, arguments)]

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
    return bool(environment.get("FLATPAK_ID")) or environment.get("SNAP_NAME") == "krita"


def backend_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the folder is made: in a Snap beside its releases, which would all get a copy of it."""
    is_snap = environment.get("SNAP_NAME") == "krita"  # a terminal that is a Snap says its own
    common = environment.get("SNAP_USER_COMMON") if is_snap else ""
    return Path(common) / "tapestry" if common else data_folder(environment)


def bundled_backend(home: Path, carried: Path = CARRIED) -> BundledBackend | None:
    """What this plugin carries; None where it carries none, as in a checkout, or not all of it."""
    wheels = sorted(carried.glob("tapestry-*.whl"))
    if not wheels or not (carried / PACKAGES).exists() or not zipfile.is_zipfile(wheels[-1]):
        return None
    return BundledBackend(wheels[-1], home / "backend")


def packages_in(environment: Path) -> set[str]:
    """Name and release of each, with a "-" between them."""
    return {path.name.removesuffix(_INFO) for path in environment.glob(f"{_PACKAGES}/*{_INFO}")}


def _is_whole(environment: Path) -> bool:
    """Whether it was installed to its end, and is still there as far as one look can tell.

    An upgrade of the system may take its Python away, and a cleaner its packages.
    """
    needed = (environment / _STAMP, _program_in(environment), _python_in(environment))
    records = environment.glob(f"{_PACKAGES}/tapestry-*{_INFO}/RECORD")
    return all(path.exists() for path in needed) and any(records)


def _python_in(environment: Path) -> Path:
    return environment / _SCRIPTS / f"python{_SUFFIX}"


def _program_in(environment: Path) -> Path:
    return environment / _SCRIPTS / f"tapestry{_SUFFIX}"


def _age(environment: Path) -> float:
    try:
        return -(environment / _STAMP).stat().st_mtime
    except OSError:
        return 0.0
