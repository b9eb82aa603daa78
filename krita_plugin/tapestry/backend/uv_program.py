"""uv, the program that makes the backend's environment: which file it is, known by its hash."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError

from ..common.atomic_write import write_atomically
from ..common.removal import patiently
from ..common.task_queue import give_way
from ..i18n.translation import tr

VERSION = "0.13.9"

_PIECE_BYTES = 2**18
"""What is unpacked in a millisecond or two, so that a turn of the event loop may end after it."""

_FILES = "https://files.pythonhosted.org/packages"


@dataclass(frozen=True)
class UvWheel:
    """A wheel of the package index that holds the program."""

    place: str
    platform: str
    sha256: str

    @property
    def name(self) -> str:
        return f"uv-{VERSION}-py3-none-{self.platform}.whl"

    @property
    def url(self) -> str:
        return f"{_FILES}/{self.place}/{self.name}"


_LINUX = UvWheel(
    "fe/fe/794884de0efd3ac77a427cab21aa72c0483e100c55a42cd5cbb02c141b84",
    "musllinux_1_1_x86_64",
    "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
)
"""Needs no libraries of the system, so it runs on every Linux."""

_WHEELS = {
    ("linux", "x86_64"): _LINUX,
    ("linux", "aarch64"): UvWheel(
        "57/15/94b6cd62ac3ff6550288328e8035288875197cbc183f51554b266a69877b",
        "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ),
    ("darwin", "arm64"): UvWheel(
        "f3/a7/a8d7b074798c7fb3b26b37584b8fe2e29df2ccdc24ce7902caab2a53edbf",
        "macosx_11_0_arm64",
        "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
    ),
    ("win32", "AMD64"): UvWheel(
        "dd/ef/ceeabf3631117f7354787d9fb1ffe943899e59ed4b887a696ed547e47e76",
        "win_amd64",
        "6a44b2ed8111d2f60d2b92627c5dccda3f7ed7570b18ce115e569cd68c28246b",
    ),
}


def uv_wheel(system: str = sys.platform, machine: str = "") -> UvWheel:
    """The one for this computer; raises TapestryError where the backend cannot run at all."""
    machine = machine or platform.machine()
    if (system, machine) == ("darwin", "x86_64"):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            tr("PyTorch is no longer made for Macs with Intel processors."),
            tr("Use a backend on another computer: the gear below opens the page for it."),
        )
    wheel = _WHEELS.get((system, machine))
    if wheel is None:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            tr("The backend cannot be installed on this kind of computer: {kind}.").format(
                kind=f"{system} {machine}"
            ),
            tr("Use a backend on another computer: the gear below opens the page for it."),
        )
    return wheel


async def unpack_uv(archive: Path, wheel: UvWheel, program: Path, *, is_ours: bool) -> None:
    """Take the program out of its wheel; raises TapestryError for any other bytes.

    is_ours  the wheel was fetched by us, and goes when it is no good
    """
    if await _hash_of(archive) != wheel.sha256:
        if not is_ours:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                tr("The file {file} is not uv {version}.").format(file=archive, version=VERSION),
                tr("Put the right one in its place or take it away, then press Install."),
            )
        archive.unlink()
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            tr("What was fetched is not uv {version}: it was thrown away.").format(version=VERSION),
            tr("Press Install once more; if it happens again, ask who runs your network."),
        )
    program.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside, known = program.with_name(f"{program.name}.part"), hashlib.sha256()
    aside.unlink(missing_ok=True)
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o700)
    name = f"uv-{VERSION}.data/scripts/{program.name}"
    with (
        os.fdopen(handle, "wb") as file,
        zipfile.ZipFile(archive) as packed,
        packed.open(name) as inside,
    ):
        while piece := inside.read(_PIECE_BYTES):
            file.write(piece)
            known.update(piece)
            await give_way()
    write_atomically(_hash_file(program), known.hexdigest())
    await patiently(lambda: aside.replace(program))


async def is_whole(program: Path) -> bool:
    """Whether the program is what was unpacked, to the byte, and may be run."""
    try:
        known = _hash_file(program).read_text(encoding="utf-8")
        return os.access(program, os.X_OK) and await _hash_of(program) == known
    except (OSError, ValueError):
        return False


def _hash_file(program: Path) -> Path:
    return program.with_name("sha256")


async def _hash_of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            found.update(piece)
            await give_way()
    return found.hexdigest()
