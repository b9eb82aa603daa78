"""Runs pip and turns its failures into sentences."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from installer.console import Detail, InstallerError
from installer.paths import LOG, VENV_PYTHON
from tapestry_protocol.accelerators import DISK_SIGNS, NETWORK_SIGNS

_NOT_FOUND = "No matching distribution found"


class PipError(InstallerError):
    """pip failed; `not_found` when no index offers such a release."""

    def __init__(self, message: str, advice: str, *, not_found: bool) -> None:
        super().__init__(message, advice)
        self.not_found = not_found


def install(*arguments: str, detail: Detail) -> None:
    """`pip install` in the environment; raises PipError."""
    run("install", *arguments, detail=detail)


def download_pure_wheel(requirement: str, folder: Path) -> None:
    """Fetch the pure-Python wheel of one release, whatever this computer's own platform is."""
    platform = ["--implementation", "py", "--abi", "none", "--platform", "any"]
    run(
        *["download", requirement, "--no-deps", "--only-binary", ":all:", *platform],
        *["--python-version", "3.10", "--dest", str(folder)],
    )


def run(*arguments: str, detail: Detail | None = None) -> None:
    """Run pip with these arguments, everything it says going to the log; raises PipError."""
    python = str(VENV_PYTHON) if VENV_PYTHON.exists() else sys.executable
    command = [python, "-m", "pip", *arguments, "--no-input", "--disable-pip-version-check"]
    LOG.parent.mkdir(exist_ok=True)
    said = []
    with (
        LOG.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        log.write(f"$ {' '.join(command)}\n")
        for line in process.stdout or ():
            log.write(line)
            said.append(line)
            if detail:
                detail(line.strip())
    if process.returncode:
        raise explain("".join(said))


def explain(output: str) -> PipError:
    """What pip's output means, for readers who do not know pip."""
    log = f"Everything that pip said is in {LOG}."
    not_found = _NOT_FOUND in output
    if any(sign in output for sign in DISK_SIGNS):
        message, advice = "The disk is full.", "Free some space (3 GB) and run it again."
    elif any(sign in output for sign in NETWORK_SIGNS):
        message = "The package index cannot be reached."
        advice = "Check the network (or the proxy settings) and run it again."
    else:
        errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
        last = errors[-1].removeprefix("ERROR:").strip() if errors else "pip gave no reason."
        message, advice = f"Installing failed: {last}", ""
    return PipError(message, f"{advice} {log}".strip(), not_found=not_found)
