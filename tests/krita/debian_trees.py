"""Kritas of several Debian releases, each in a folder of its own beside this system.

A tree is a small Debian with one Krita in it. Krita and its display run inside (`chroot`, with
mounts that only they see); the tests, and the backend that Krita starts, are this system's own.
Making and entering a tree needs root, Linux and debootstrap.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHOSEN = "TAPESTRY_KRITA_TREE"
"""Environment variable: the folder of the tree whose Krita the tests drive; this system's without
it."""
PLACE = "TAPESTRY_KRITA_TREES"
"""Environment variable: where trees are made and looked for."""

_DEFAULT_PLACE = Path("/var/cache/tapestry-krita")
_MIRROR = "http://deb.debian.org/debian"
_SPACE_BYTES = 3 * 2**30
"""A tree takes 1.5 to 1.7 GB, and its packages 0.5 GB more while they are unpacked."""

_PYQT5 = ("python3-pyqt5", "python3-pyqt5.sip")
_PYQT6 = ("python3-pyqt6", "python3-pyqt6.sip", "qt6-svg-plugins")
_COMMON = ("krita", "xvfb", "libffi8", "libgomp1", "libsqlite3-0", "openssl")
"""Krita, its display, and libraries that this system's Python may want of any system."""

_NETWORK = ("/etc/hosts", "/etc/resolv.conf", "/etc/ssl/certs")
"""What this system knows of its network, and whom it trusts there."""

_MOUNTS = ("unshare", "--mount", "--propagation", "private")
_ENTER = """
root=$1; shift
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$1"
    else mkdir -p "$root${1%/*}"; [ -e "$root$1" ] || : > "$root$1"; fi
    mount --rbind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" "$@"
"""


class TreeError(Exception):
    """A tree cannot be made or entered: why, and what to do."""


@dataclass(frozen=True)
class Release:
    """A Krita and the Debian release that has it; `above` is a suite on top of that one."""

    version: str
    suite: str
    packages: tuple[str, ...]
    above: str = ""

    @property
    def folder(self) -> Path:
        """Where its tree is, or will be."""
        return Path(os.environ.get(PLACE) or _DEFAULT_PLACE) / self.version


RELEASES = {
    release.version: release
    for release in (
        Release("5.1", "bookworm", (*_COMMON, *_PYQT5)),
        Release("5.2", "trixie", (*_COMMON, *_PYQT5)),
        Release("5.3", "forky", (*_COMMON, *_PYQT5)),
        Release("6.0", "sid", (*_COMMON, *_PYQT6), above="experimental"),
    )
}


def chosen_tree() -> Path | None:
    """The tree that the environment names; None: Krita is taken from this system."""
    named = os.environ.get(CHOSEN)
    return Path(named) if named else None


def inside(tree: Path | None, command: Sequence[str]) -> list[str]:
    """The command as it is run inside the tree; as it is, where there is none.

    It keeps its process id and ends as the command does.
    """
    if tree is None:
        return list(command)
    enter = [*_MOUNTS, "sh", "-euc", _ENTER, "enter", str(tree), *map(str, _shared())]
    return [*enter, "--", *command]


def krita_version(tree: Path) -> str:
    """The exact version of its package, such as "5.2.9"; empty where there is none."""
    command = ["dpkg-query", f"--root={tree}", "--show", "--showformat=${Version}", "krita"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return found.rpartition(":")[2].partition("+")[0].partition("-")[0]


def ensure(release: Release) -> Path:
    """The release's tree, which is made where it is not there yet; raises TreeError."""
    _check_rights()
    try:
        with _one_at_a_time(release.folder):
            if not release.folder.exists():
                _make(release)
    except OSError as error:
        raise TreeError(f"No tree can be made here: {error}. Set {PLACE}.") from error
    found = krita_version(release.folder)
    if not found.startswith(f"{release.version}."):
        raise TreeError(
            f"Debian's {release.above or release.suite} has Krita {found or 'no more'}, "
            f"not {release.version}: name another release in {Path(__file__).name}."
        )
    _try_python(release.folder)
    return release.folder


def _shared() -> Iterator[Path]:
    """What of this system is seen inside, at the same place."""
    yield from map(Path, ("/proc", "/dev", "/tmp"))
    yield from filter(Path.exists, map(Path, _NETWORK))
    yield Path(tempfile.gettempdir())
    yield ROOT
    prefix = Path(sys.base_prefix)
    if prefix == Path("/usr"):
        yield Path(sys.executable).resolve()
        yield from {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    else:
        yield prefix


def _make(release: Release) -> None:
    """Beside its place first, so that half a tree is never taken for one."""
    if shutil.which("debootstrap") is None:
        raise TreeError("debootstrap is not installed (apt-get install debootstrap).")
    if shutil.disk_usage(release.folder.parent).free < _SPACE_BYTES:
        raise TreeError(
            f"{release.folder.parent} has less than 3 GB left: free some, or set {PLACE}."
        )
    new = release.folder.with_name(f"{release.folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    mirror = _mirror()
    _run("debootstrap", "--variant=minbase", release.suite, str(new), mirror, *_script(release))
    apt, sources = new / "etc" / "apt", f"deb {mirror} {release.above} main\n"
    # Snapshots of unreleased Debians are out of date after a week.
    settings = f'Acquire::Check-Valid-Until "false";\n{_apt_settings()}'
    (apt / "apt.conf.d" / "90tapestry").write_text(settings)
    (new / "etc" / "dpkg" / "dpkg.cfg.d" / "90tapestry").write_text("force-unsafe-io\n")
    if release.above:
        (apt / "sources.list.d" / f"{release.above}.list").write_text(sources)
    shutil.copyfile("/etc/resolv.conf", new / "etc" / "resolv.conf")
    from_above = ("--target-release", release.above) if release.above else ()
    _in(new, "apt-get", "update")
    install = ("install", "--yes", "--no-install-recommends", *from_above, *release.packages)
    _in(new, "apt-get", *install)
    _in(new, "apt-get", "clean")
    new.rename(release.folder)


def _check_rights() -> None:
    """Raises TreeError where no tree can be made or entered."""
    if sys.platform != "linux" or os.geteuid():
        raise TreeError(
            "A Krita of another Debian release needs Linux and root. "
            "Run this as root, or install krita and xvfb and run the tests with those."
        )
    if (
        shutil.which("unshare") is None
        or subprocess.run([*_MOUNTS, "true"], check=False).returncode
    ):
        raise TreeError("Nothing can be mounted here: run this where root may mount.")


def _try_python(tree: Path) -> None:
    """Raises TreeError where Krita could not start the backend in there."""
    question = inside(tree, [sys.executable, "-c", "import ctypes, sqlite3, ssl"])
    answer = subprocess.run(question, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise TreeError(
            f"This system's Python does not run in {tree}: {answer.stderr.strip()[-300:]}"
        )


def _script(release: Release) -> tuple[str, ...]:
    """Debootstrap's way for a release that it is too old to know."""
    scripts = Path("/usr/share/debootstrap/scripts")
    return () if (scripts / release.suite).exists() else (str(scripts / "sid"),)


def _mirror() -> str:
    """The one that this system uses, if it is a Debian."""
    listed = Path("/etc/apt/sources.list.d/debian.sources")
    lines = listed.read_text("utf-8").splitlines() if listed.exists() else []
    found = (
        line.split()[1] for line in lines if line.startswith("URIs:") and len(line.split()) > 1
    )
    return next(found, _MIRROR)


def _apt_settings() -> str:
    """The proxies of this system."""
    command = ["apt-config", "dump", "Acquire::http", "Acquire::https"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _in(tree: Path, *command: str) -> None:
    """Run a command in a tree that has nothing of this system in it."""
    _run("chroot", str(tree), "env", "DEBIAN_FRONTEND=noninteractive", *command)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except subprocess.CalledProcessError as error:
        raise TreeError(
            f"{' '.join(command[:2])} ... failed. Is Debian's package source reachable? "
            "What it said stands above."
        ) from error


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two runs make a tree once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f"{folder.name}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
