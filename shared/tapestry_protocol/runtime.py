"""Where a server tells its port and token, and where things are kept; the same for both sides."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class RuntimeInfo:
    """What a client needs to reach a running server; the file's appearance means "ready"."""

    port: int
    token: str
    pid: int
    protocol: int
    version: str

    def __repr__(self) -> str:
        return f"RuntimeInfo(port={self.port}, pid={self.pid}, version={self.version!r})"


def runtime_folder() -> Path:
    """The user's folder for runtime files; need not exist yet."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "tapestry" / "run"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "tapestry" / "run"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "tapestry" if runtime else Path.home() / ".cache" / "tapestry" / "run"


def data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's folder for what Tapestry keeps, such as its logs; need not exist yet."""
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or Path.home()) / "tapestry"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "tapestry"
    data = environment.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "tapestry"


def runtime_file() -> Path:
    """The runtime file of the user's server."""
    return runtime_folder() / "server.json"


def write_runtime_file(info: RuntimeInfo, path: Path) -> None:
    """Write the file so that it appears at once, whole, readable by its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".server-")  # mkstemp: mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(info), file)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def read_runtime_file(path: Path) -> RuntimeInfo | None:
    """The running server's address, or None when there is no file that can be trusted and read."""
    try:
        if os.name == "posix":
            status = path.stat()
            if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
                return None
        fields = json.loads(path.read_text(encoding="utf-8"))
        return RuntimeInfo(
            port=int(fields["port"]),
            token=str(fields["token"]),
            pid=int(fields["pid"]),
            protocol=int(fields["protocol"]),
            version=str(fields["version"]),
        )
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
