"""How the code looks, as far as a program can tell."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("backend", "examples", "installer", "krita_plugin", "shared")
SOURCES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if "vendor" not in path.relative_to(ROOT).parts
)


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=lambda c: c[0])
def test_ruff_has_nothing_to_say(command: tuple[str, ...]) -> None:
    """The rules, with a reason for each exception, are in pyproject.toml."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    assert ruff, "ruff belongs to the test dependencies"
    finished = subprocess.run(
        [ruff, *command, "--quiet", "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout


def test_mypy_has_nothing_to_say() -> None:
    """What it checks, and why some libraries are left out, is in pyproject.toml."""
    finished = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_every_module_says_what_belongs_there() -> None:
    """In the first line, as a docstring."""
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []
