"""Small wheels in the place of large ones, and the list that knows them by their hashes."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], needs: Sequence[str] = ()
) -> Path:
    """A wheel that any installer takes; the files go beside all packages."""
    described = f"{name.replace('-', '_')}-{version}"
    wheel = folder / f"{described}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in needs)
    tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    contents = dict(files)
    contents[f"{described}.dist-info/METADATA"] = metadata
    contents[f"{described}.dist-info/WHEEL"] = tag
    record = f"{described}.dist-info/RECORD"
    contents[record] = "".join(f"{path},,\n" for path in (*contents, record))
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel


def write_list(path: Path, wheels: Mapping[str, Path]) -> None:
    """`name==version` -> wheel, with the hash of each."""
    lines = (
        f"{pin} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
        for pin, wheel in wheels.items()
    )
    path.write_text("".join(lines))


def note_as_whole(uv: Path) -> None:
    """As if it had just been unpacked."""
    uv.with_name("sha256").write_text(hashlib.sha256(uv.read_bytes()).hexdigest())
