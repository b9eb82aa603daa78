"""The widgets under both bindings of Qt, without a screen, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHONS = (sys.executable, "/usr/bin/python3")
"""Ours, and the one that distributions give PyQt to."""


def python_with(binding: str) -> str | None:
    """A Python that has this binding."""
    for python in PYTHONS:
        command = [python, "-c", f"import {binding}.QtWidgets"]
        if Path(python).exists() and subprocess.run(command, check=False).returncode == 0:
            return python
    return None


@lru_cache(maxsize=4)
def played(binding: str, folder: Path) -> dict[str, Any]:
    """What the script saw."""
    python = python_with(binding)
    if python is None:
        reason = f"{binding} is not installed (python3-{binding.lower()})"
        if os.environ.get("TAPESTRY_REQUIRE_KRITA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    path = os.pathsep.join(str(ROOT / room) for room in ("", "krita_plugin", "shared"))
    environment = {**os.environ, "PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen"}
    environment |= {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    command = [python, "-m", "tests.krita_plugin.ui.offscreen.results", binding, str(folder)]
    finished = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture(scope="module", params=["PyQt5", "PyQt6"])
def facts(request, tmp_path_factory) -> dict[str, Any]:
    """What was seen under one of the bindings."""
    folder = tmp_path_factory.getbasetemp() / f"offscreen {request.param}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return played(request.param, folder)


def test_the_binding_is_the_one_that_was_asked_for(facts: dict[str, Any]) -> None:
    """And nothing was raised into Qt."""
    assert facts["qt"] == f"{facts['binding']}.QtWidgets"
    assert facts["raised"] == []


def test_the_queue_is_shown(facts: dict[str, Any]) -> None:
    """Four that wait, the others counted; all gone after Cancel all."""
    assert facts["bar"] == "Step 3 of 20"
    assert (facts["queue"], facts["queued"], facts["more"]) == (True, 4, "and 2 more")
    assert facts["after"] == [False, 3]


def test_the_strip_does_what_its_buttons_say(facts: dict[str, Any]) -> None:
    """Take back, apply, favourite, use again, search, show, discard."""
    assert not facts["strip at first"]
    assert facts["taken back"] == facts["layers"] - 1
    assert facts["applied"] == facts["layers"]
    assert facts["group"]
    assert facts["favourite"] == "\u2605"
    assert (facts["seed"], facts["steps"]) == (42, 20)
    assert facts["found nothing"] == [0, True]
    assert facts["found"] == 3
    assert facts["previewed"]
    assert facts["discarded"] == 2
    assert "cut from the finished picture" in facts["notice"]


def test_a_tooltip_tells_prompt_and_settings(facts: dict[str, Any]) -> None:
    """Line by line."""
    lines = facts["tooltip"].splitlines()
    assert lines[:3] == [
        "\u2022 sunset sky",
        "Seed 42, 20 steps, guidance 5.0",
        "Model sample",
    ]
    assert lines[3].startswith("30 x 20 pixels, ")


def test_the_backends_page_shows_and_chooses(facts: dict[str, Any]) -> None:
    """State, models, device, another computer; the report has no token in it."""
    assert "State: ready (CPU)" in facts["backend"]
    assert "Only the bundled demonstration model" in facts["backend"]
    assert facts["chosen"] == [["/models/mine"], "cpu", "localhost:7865", "/x/server.json"]
    assert "Tapestry 0" in facts["copied"]
    assert "hidden" in facts["copied"]
    assert not facts["token in it"]


def test_where_there_is_no_backend_there_are_buttons(facts: dict[str, Any]) -> None:
    """Two sentences, and what to press."""
    assert facts["no backend"] == ["The backend is not installed. Install it.", True]
    assert facts["command"] == "python3 installer plugin"
    assert facts["tried again"] == 1
