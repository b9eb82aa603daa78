"""Makes .venv with everything the backend needs, once."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from installer import accelerator, pip
from installer.console import InstallerError, say, stage
from installer.paths import CONSTRAINTS, LOG, ROOT, STAMP, TAPESTRY, VENV, VENV_PYTHON
from installer.plugin import fetch_vendor

BUILD_TOOLS = ("hatchling", "editables")
"""Installed with pinned versions like everything else; pip's own build environment is not."""


def ensure(*, tests: bool = False) -> None:
    """Complete .venv; silent and quick when it is complete."""
    project = _project()
    wanted = ["runtime", "test"] if tests else ["runtime"]
    done = installed_groups(fingerprint(project, CONSTRAINTS.read_bytes()))
    if set(wanted) <= set(done):
        return
    STAMP.unlink(missing_ok=True)
    say(f"Setting up {VENV} (only this once):")
    if not _usable():
        _make_venv()
    extras = project["optional-dependencies"]
    for_tests = extras["test"] if tests or "test" in done else []
    _install([*project["dependencies"], *extras["gguf"], *for_tests])
    groups = sorted({*wanted, *done})
    _write_stamp(fingerprint(project, CONSTRAINTS.read_bytes()), groups)
    say()


def fingerprint(project: dict[str, Any], constraints: bytes) -> str:
    """Changes whenever the same installation would have to be made anew."""
    facts = [project, str(VENV), list(sys.version_info[:2])]
    text = json.dumps(facts, sort_keys=True).encode() + constraints
    return hashlib.sha256(text).hexdigest()


def installed_groups(expected_fingerprint: str) -> list[str]:
    """Which groups of dependencies are complete and up to date in .venv: runtime, test."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        done, groups = stamp["fingerprint"], [str(group) for group in stamp["groups"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return groups if done == expected_fingerprint and TAPESTRY.exists() else []


def current_groups() -> list[str]:
    """The same for the checkout as it is now."""
    return installed_groups(fingerprint(_project(), CONSTRAINTS.read_bytes()))


def _project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]


def _write_stamp(fingerprint: str, groups: Sequence[str]) -> None:
    """Written last, so that an installation that was interrupted is taken up again."""
    stamp = {"fingerprint": fingerprint, "groups": list(groups)}
    STAMP.write_text(json.dumps(stamp), encoding="utf-8")


def _usable() -> bool:
    """Whether .venv is an environment of this very place and Python version, with pip."""
    question = "import pip, sys; print(sys.prefix, *sys.version_info[:2], sep='|')"
    if not VENV_PYTHON.exists():
        return False
    try:
        finished = subprocess.run(
            [VENV_PYTHON, "-c", question], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    prefix, _, version = finished.stdout.strip().partition("|")
    same_version = version == "{}|{}".format(*sys.version_info[:2])
    return finished.returncode == 0 and same_version and Path(prefix) == VENV


def _make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        raise InstallerError(
            "This Python cannot make an environment with pip in it.",
            "On Debian and Ubuntu: sudo apt install python3-venv, then run this again.",
        )
    with stage("Python environment"):
        try:
            venv.create(VENV, clear=True, with_pip=True, symlinks=sys.platform != "win32")
        except subprocess.CalledProcessError as error:
            raise InstallerError(
                f"pip could not be put into {VENV}.",
                "Check that there is space on the disk (3 GB) and run this again.",
            ) from error


def _install(requirements: Sequence[str]) -> None:
    pinned = ("--constraint", str(CONSTRAINTS))
    machine = accelerator.detect()
    sources = accelerator.torch_sources(machine)
    with stage(f"{accelerator.TORCH.replace('==', ' ')} for {machine.name}") as detail:
        for number, source in enumerate(sources, start=1):
            try:
                pip.install(*source, *pinned, detail=detail)
                break
            except pip.PipError as error:
                if not error.not_found or number == len(sources):
                    raise
    with stage("the libraries of the backend") as detail:
        pip.install(*BUILD_TOOLS, *requirements, *pinned, detail=detail)
    with stage("Tapestry itself") as detail:
        editable = ("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        pip.install(*editable, detail=detail)
    with stage("what the plugin carries"):
        fetch_vendor()
    say(f"  (everything pip said: {LOG})")
