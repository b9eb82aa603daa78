"""Looks at what is installed and says what is missing and what to do."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from installer import environment, krita
from installer.console import say
from installer.in_krita import imported_backend, installed_command, is_installed_from_krita
from installer.paths import TAPESTRY, VENV


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `needed` is False for what only some people want."""

    ok: bool
    what: str
    advice: str = ""
    needed: bool = True


def examine() -> int:
    """Print every finding; returns 1 when something needed is missing, else 0."""
    findings = [*_environment(), *_krita()]
    for finding in findings:
        mark = "ok     " if finding.ok else "MISSING" if finding.needed else "-      "
        say(f"{mark} {finding.what}")
        if finding.advice and not finding.ok:
            say(f"        {finding.advice}")
    return int(any(finding.needed and not finding.ok for finding in findings))


def _environment() -> Iterator[Check]:
    yield Check(ok=True, what=f"Python {platform.python_version()} ({sys.executable})")
    groups = environment.current_groups()
    yield Check(
        "runtime" in groups,
        f"environment {VENV}",
        "Run `python3 installer demo`; it makes the environment or brings it up to date.",
    )
    if not TAPESTRY.exists():
        return
    finished = subprocess.run([TAPESTRY, "doctor"], capture_output=True, text=True, check=False)
    for line in finished.stdout.splitlines():
        yield Check(ok=finished.returncode == 0, what=f"backend: {line}")
    if finished.returncode:
        why = finished.stderr.strip().splitlines()
        advice = why[-1] if why else "Remove .venv and run `python3 installer demo`."
        yield Check(ok=False, what="backend", advice=advice)


def _krita() -> Iterator[Check]:
    program = shutil.which("krita")
    version = _version(program) if program else ""
    yield Check(
        bool(program),
        f"Krita {version}".strip(),
        "Install Krita from krita.org or your system's packages (Debian: krita and PyQt for it).",
        needed=False,
    )
    if program and _debian_version("krita"):
        pyqt = _pyqt_package(version)
        yield Check(
            bool(_debian_version(pyqt)),
            f"PyQt for Krita's Python plugins (Debian package {pyqt})",
            f"sudo apt install {pyqt}; without it Krita loads no Python plugin.",
        )
    yield Check(
        shutil.which("Xvfb") is not None,
        "Xvfb, for the tests with a real Krita",
        "Debian: sudo apt install xvfb. Those tests are skipped without it.",
        needed=False,
    )
    yield from _plugin(needed=bool(program))


def _plugin(*, needed: bool) -> Iterator[Check]:
    folders = krita.krita_folders()
    command, backend = installed_command(folders), imported_backend(folders)
    install = "Run `python3 installer plugin`."
    is_there = command is not None or backend is not None
    yield Check(is_there, f"plugin in {folders.pykrita}", install, needed=needed)
    if not is_there:
        return
    settings = folders.kritarc.read_bytes() if folders.kritarc.exists() else b""
    switch_on = "In Krita: Settings > Configure Krita > Python Plugin Manager."
    advice = install if command else switch_on
    yield Check(krita.enabled(settings), f"plugin switched on in {folders.kritarc}", advice)
    if command is not None:
        known = shutil.which(command[0]) is not None
        yield Check(known, f"backend that the plugin starts: {command[0]}", install)
    elif backend is not None:
        known = is_installed_from_krita(backend)
        yield Check(known, f"backend in {backend}", "Press Install in Krita's docker.")


def _version(program: str) -> str:
    """The version of this Krita, or nothing where it is unknown (Krita wants a display to tell)."""
    packaged = _debian_version("krita")
    if packaged:
        return packaged
    try:
        finished = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return finished.stdout.strip().removeprefix("krita ").strip()


def _pyqt_package(version: str) -> str:
    """Debian's package of the PyQt that this Krita takes; its version may have an epoch before."""
    major = version.rpartition(":")[2].partition(".")[0]
    return "python3-pyqt6" if major.isdigit() and int(major) >= 6 else "python3-pyqt5"


def _debian_version(package: str) -> str:
    """The version of an installed Debian package; nothing where it, or Debian, is not there."""
    if shutil.which("dpkg-query") is None:
        return ""
    command = ["dpkg-query", "--show", "--showformat=${Version}", package]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return finished.stdout.strip()
