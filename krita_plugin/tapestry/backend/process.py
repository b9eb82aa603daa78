"""Finds and starts `tapestry serve`, which is ready when its runtime file is there."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.runtime import (
    RuntimeInfo,
    data_folder,
    read_runtime_file,
    runtime_file,
)
from tapestry_protocol.sentences import Sentence

from .bundled import CARRIED, BundledBackend, backend_home, bundled_backend

INSTALLATION = Path(__file__).parents[1] / "installation.json"
"""Written by the installer: {"command": ["/path/to/tapestry"]}."""

VARIABLE = "TAPESTRY_BACKEND"
"""An environment variable with the command, for those who try things out."""

_PYTHONS = {"PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "LC_CTYPE": "C.UTF-8"}
"""For our own Pythons: no module out of the folder that Krita happens to be in, and every letter
in names of files, whatever the system's language is. uv asks a Python that ignores the first two;
where there is no such locale, it takes UTF-8 as well."""

_LEFT_OUT = {"VIRTUAL_ENV", "LC_ALL"}

_OWN_FOLDERS = ("APPDIR", "SNAP")
"""Environment variables with the folder of a Krita that brings all its libraries along."""


def find_command(
    setting: str, environment: Mapping[str, str], installation: Path = INSTALLATION
) -> list[str]:
    """The command that is `tapestry`; raises TapestryError when there is none.

    The artist's own setting comes first, then the environment variable, then what the installer
    wrote, then what the docker has installed, then the search path.
    """
    for text in (setting, environment.get(VARIABLE, "")):
        if text.strip():
            return _split(text)
    if installation.exists():
        return _installed_command(installation)
    own = bundled_backend(backend_home(environment))
    if own is not None and own.is_there:
        return [str(own.program)]
    found = shutil.which("tapestry", path=environment.get("PATH", ""))
    if found:
        return [found]
    if own is not None:
        raise _not_ready(own)
    if CARRIED.exists():
        raise TapestryError(
            ErrorCode.INTERNAL,
            "The plugin's own files are damaged, so the backend cannot be installed.",
            "Import its archive into Krita once more, then restart Krita.",
        )
    raise TapestryError(
        ErrorCode.INTERNAL,
        "The Tapestry backend is not installed.",
        "Run `python3 installer plugin` in Tapestry's folder, then restart Krita.",
    )


def _not_ready(own: BundledBackend) -> TapestryError:
    if own.is_damaged:
        return TapestryError(
            ErrorCode.INTERNAL,
            "The Tapestry backend is damaged: some of its files are gone.",
            "Press Repair below: what is missing is fetched.",
        )
    return TapestryError(
        ErrorCode.INTERNAL,
        "The Tapestry backend is not installed.",
        "Press Install below: everything it needs is fetched.",
    )


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what Krita, or others, have set for Pythons and libraries of theirs.

    A Krita that came as an AppImage, or as a Snap, brings a folder with programs and libraries of
    its own and puts it in front everywhere; other programs do without.
    """
    roots = [environment[name] for name in _OWN_FOLDERS if environment.get(name)]
    cleaned = {}
    for name, value in environment.items():
        kept = value
        if any(root in value for root in roots) and name not in _OWN_FOLDERS:
            parts = [part for part in value.split(os.pathsep) if not _is_in(part, roots)]
            kept = os.pathsep.join(parts)
            if not kept:
                continue
        if not name.startswith("PYTHON") and name not in _LEFT_OUT:
            cleaned[name] = kept
    return cleaned | _PYTHONS


def _is_in(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(f"{root.rstrip('/')}/") for root in roots)


class BackendProcess:
    """The server's process. It outlives us until no client is connected, then stops by itself.

    setting      the command as the artist wrote it in the settings; may be empty
    environment  of this process
    arguments, variables   what else the next server is started with
    """

    def __init__(self, setting: str, environment: Mapping[str, str] = os.environ) -> None:
        self._setting = setting
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.arguments: list[str] = []
        self.variables: dict[str, str] = {}
        self.log_file = data_folder(environment) / "backend.log"

    def find(self) -> RuntimeInfo | None:
        """What the runtime file says, if there is one; the server may be gone all the same."""
        return read_runtime_file(runtime_file())

    def start(self) -> None:
        """Start a server; raises TapestryError when that cannot be done."""
        command = find_command(self._setting, self._environment)
        if self._process is not None:
            self._process.poll()  # one that was killed is buried
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            with self.log_file.open("ab") as log:
                serve = [*command, "serve", "--parent", str(os.getpid()), *self.arguments]
                self._process = _start(serve, log, self.variables)
        except OSError as error:
            raise TapestryError(
                ErrorCode.INTERNAL,
                Sentence(
                    "The Tapestry backend cannot be started ({error}: {file}).",
                    error=error.strerror,
                    file=error.filename,
                ),
                "Press Install or Repair in the docker where it is offered, or run "
                "`python3 installer plugin`; then "
                "restart Krita.",
            ) from error

    def has_ended(self) -> bool:
        """Whether the one we started has ended already."""
        return self._process is not None and self._process.poll() is not None

    def why_it_ended(self) -> TapestryError:
        """What to tell the artist when it did not start."""
        return TapestryError(
            ErrorCode.INTERNAL,
            "The Tapestry backend did not start.",
            Sentence(
                "Copy diagnostics on the backend's page shows more, and so does {file}.",
                file=self.log_file,
            ),
        )


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text, posix=os.name == "posix")
    except ValueError as error:
        raise TapestryError(
            ErrorCode.INTERNAL,
            Sentence("The command for the backend cannot be read ({error}).", error=error),
            Sentence("Correct it in Krita's settings or in {variable}.", variable=VARIABLE),
        ) from error


def _installed_command(installation: Path) -> list[str]:
    try:
        command = json.loads(installation.read_text(encoding="utf-8"))["command"]
        return [str(command[0]), *map(str, command[1:])]
    except (OSError, IndexError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TapestryError(
            ErrorCode.INTERNAL,
            Sentence("The file {file} is damaged.", file=installation),
            "Press Install or Repair in the docker where it is offered, or run "
            "`python3 installer plugin`; then "
            "restart Krita.",
        ) from error


def _start(
    command: Sequence[str], log: IO[bytes], variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**clean_environment(os.environ), **variables},
        start_new_session=True,
        creationflags=hidden,
    )
