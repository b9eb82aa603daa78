"""Other programs, run without waiting for them; other systems' calls by stand-ins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tapestry.backend import program
from tapestry.backend.program import Program, end_left_over
from tapestry.common.task_queue import Work, run_on
from tests.krita_plugin.pieces import finish

NO_WINDOW = 0x08000000


def to_its_end(work: Work[None]) -> None:
    """As the event loop would."""
    finish(work, lambda: time.sleep(0.01))


def run(made: Program) -> list[str]:
    """Returns its output meanwhile."""
    told: list[str] = []
    to_its_end(made.run(lambda: False, lambda said, _seconds: told.append(said)))
    return told


def test_a_programs_output_is_in_the_log(tmp_path: Path) -> None:
    """With the command before it, and each run after the other."""
    log = tmp_path / "log"
    for status in (0, 3):
        script = f"import sys; print('told'); sys.exit({status})"
        made = Program([sys.executable, "-c", script], log, {}, tmp_path)
        run(made)
        assert made.is_done == (status == 0)
        assert made.said.split() == ["told"]
    lines = log.read_text().splitlines()
    assert [line[:1] for line in lines] == ["$", "t", "$", "t"]


def test_no_console_window_is_opened(tmp_path: Path, monkeypatch) -> None:
    """Windows opens one for each program, unless a flag prevents it."""
    seen = []
    begin = subprocess.Popen

    def popen(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        seen.append(options.pop("creationflags"))
        return begin(command, **options)

    monkeypatch.setattr(program.subprocess, "CREATE_NO_WINDOW", NO_WINDOW, raising=False)
    monkeypatch.setattr(program.subprocess, "Popen", popen)
    run(Program([sys.executable, "-c", ""], tmp_path / "log", {}, tmp_path))
    assert seen == [NO_WINDOW]


def test_a_program_that_is_looked_at_is_started_a_little_later(tmp_path: Path, monkeypatch) -> None:
    """A virus scanner holds what was just unpacked."""
    tries = []
    begin = subprocess.Popen

    def popen(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        tries.append(None)
        if len(tries) < 3:
            raise PermissionError(13, "used by another process")
        return begin(command, **options)

    monkeypatch.setattr(program.subprocess, "Popen", popen)
    made = Program([sys.executable, "-c", ""], tmp_path / "log", {}, tmp_path)
    run(made)
    assert made.is_done
    assert len(tries) == 3


def test_a_program_runs_in_its_own_folder(tmp_path: Path, monkeypatch) -> None:
    """Not in the one that Krita happens to be in."""
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    script = "import os; print(os.getcwd())"
    made = Program([sys.executable, "-c", script], tmp_path / "log", {}, tmp_path / "own")
    run(made)
    assert made.said.strip() == str(tmp_path / "own")
    assert list((tmp_path / "own").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no program stands still there")
def test_what_a_krita_that_crashed_has_left_is_ended(tmp_path: Path) -> None:
    """It may stand still, and hold what the next one needs; another program is not touched."""
    script = "import time; time.sleep(600)"
    made = Program([sys.executable, "-c", script], tmp_path / "log", {}, tmp_path)
    work = made.run(lambda: False, lambda *_: None)
    run_on(work)
    running = tmp_path / "running"
    number, birth = running.read_text().split(" ", 1)
    os.kill(int(number), signal.SIGSTOP)
    running.write_text(f"{number} earlier")
    to_its_end(end_left_over(tmp_path))
    os.kill(int(number), 0)
    running.write_text(f"{number} {birth}")
    to_its_end(end_left_over(tmp_path))
    assert not running.exists()
    to_its_end(work)
    assert not made.is_done


@pytest.mark.parametrize("text", ["", "x", "12", "-1 x", "99999999999 1"])
def test_a_note_that_is_damaged_ends_nothing(tmp_path: Path, text: str) -> None:
    """And goes."""
    (tmp_path / "running").write_text(text)
    to_its_end(end_left_over(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
def test_names_that_are_no_text_are_written_down(tmp_path: Path) -> None:
    """A folder's name may be any bytes."""
    made = Program([sys.executable, "-c", "", "Jürgen \udcff"], tmp_path / "log", {}, tmp_path)
    run(made)
    assert made.is_done
    assert "Jürgen \\udcff" in (tmp_path / "log").read_text("utf-8")
