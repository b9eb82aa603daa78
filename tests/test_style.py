"""How the code looks, as far as a program can tell."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("backend", "examples", "installer", "krita_plugin", "shared")
SOURCES = sorted(
    path
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if "vendor" not in path.relative_to(ROOT).parts
)
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
"""Without the docstring."""


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=lambda c: c[0])
def test_ruff_has_nothing_to_say(command: tuple[str, ...]) -> None:
    """The rules, with a reason for each exception, are in pyproject.toml."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    assert ruff, "ruff belongs to the test dependencies"
    finished = subprocess.run(
        [ruff, *command, "--quiet", "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout


def test_every_module_says_what_belongs_there() -> None:
    """In the first line, as a docstring."""
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_files_and_functions_are_short() -> None:
    """A longer one holds two ideas."""
    long = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        if text.count("\n") > MAX_FILE_LINES:
            long.append(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = node.end_lineno - body[0].lineno + 1 if body else 0
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{name}: {node.name} ({lines})")
    assert long == []
