"""Runs a real Krita on a display of its own, in folders of its own, and brings back its report."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installer.plugin import ACTIONS
from tapestry_protocol.runtime import read_runtime_file
from tests.krita.debian_trees import chosen_tree, inside

_DRIVER = Path(__file__).with_name("driver")
_CONTRACT = Path(__file__).parents[1] / "krita_plugin" / "canvas_contract.py"

_FOLDERS = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Krita's Python looks for its libraries beside the first python3 on the path, so a virtual
environment there takes PyQt5 away from it."""

_MISLEADING = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "TAPESTRY_BACKEND")

_CHATTER = "QObject::connect: No such signal QQ"

_DESKTOP = """[Desktop Entry]
Type=Service
ServiceTypes=Krita/PythonPlugin
X-KDE-Library=tapestry_driver
X-Python-2-Compatible=false
Name=Tapestry driver
"""


@dataclass(frozen=True)
class Report:
    """What the scenarios saw.

    folder           with their pictures and raw pixels
    ended            how Krita ended, and in which scenario; 5.1.5 may crash when it leaves, so a
                     run is judged by its scenarios
    backend_stopped  whether the backend, if there was one, ended by itself after Krita
    """

    folder: Path
    scenarios: dict[str, Any]
    output: str
    ended: str
    backend_stopped: bool

    def facts(self, scenario: str) -> dict[str, Any]:
        """What a scenario wrote down; fails when it did not come to its end."""
        played = self.scenarios.get(scenario)
        assert played is not None, f"{scenario} was not played: {self.ended}\n{self.tail}"
        assert played["error"] is None, played["error"]
        return played["facts"]

    @property
    def tail(self) -> str:
        """The end of what Krita said, without what it says of every window."""
        lines = self.output.splitlines()
        return "\n".join(line for line in lines if not line.startswith(_CHATTER))[-4000:]


def play(
    scenarios: Sequence[str],
    plugin: Path,
    folder: Path,
    backend: str,
    timeout_s: float,
    theme: str = "",
    scale: int = 1,
    home: Path | None = None,
) -> Report:
    """Start Krita with the plugin, play the scenarios, and wait until it has ended.

    plugin    a folder as the installer builds it
    folder    where screenshots and raw pixels go; emptied first
    backend   the command that is `tapestry`; empty when there is to be none
    theme     one of Krita's, by name; empty: its dark one
    scale     2 for a screen of 200 %
    home      the user's folders, to be found again by another Krita; None: new ones
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as opened:
        if home is None:
            home = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="tapestry-krita-")))
        environment = _environment(home, opened.enter_context(_display(scale)))
        environment["QT_SCALE_FACTOR"] = str(scale)
        environment["TAPESTRY_SCENARIOS"] = ",".join(scenarios)
        environment["TAPESTRY_REPORT"] = str(folder / "report.json")
        if backend:
            environment["TAPESTRY_BACKEND"] = backend
        _install(Path(environment["XDG_DATA_HOME"]) / "krita" / "pykrita", plugin)
        kritarc = Path(environment["XDG_CONFIG_HOME"]) / "kritarc"
        chosen = f"[theme]\nTheme={theme}\n" if theme else ""
        kritarc.write_text(f"[python]\nenable_tapestry=true\nenable_tapestry_driver=true\n{chosen}")
        log = folder / "krita.log"
        with log.open("wb") as output:
            status = _run_krita(environment, output, folder / "report.json", timeout_s)
        _keep_logs(Path(environment["XDG_DATA_HOME"]) / "tapestry", folder)
        stopped = _stop_backend(Path(environment["XDG_RUNTIME_DIR"]) / "tapestry" / "server.json")
    report = _read(folder / "report.json")
    output = log.read_text("utf-8", "replace")
    return Report(folder, report["scenarios"], output, how_it_ended(status, report), stopped)


def longest(held: dict[str, list[float]]) -> tuple[float, float]:
    """Of what `driver/timing.py` noted: the UI thread's own seconds, and those with waiting."""
    own, waiting = (max(column) for column in zip(*held.values(), strict=True))
    return own, waiting


def how_it_ended(status: int | None, report: dict[str, Any]) -> str:
    """A sentence; the status is that of a process, or None where it had to be killed."""
    if report["finished"]:
        place = "after all scenarios"
    elif report["playing"]:
        place = f"in the scenario {report['playing']}"
    else:
        place = "between scenarios" if report["scenarios"] else "before the first scenario"
    if status is None:
        return f"Krita was killed {place}: its time was over"
    ending = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
    return f"Krita ended {ending} {place}"


def _run_krita(
    environment: dict[str, str], output: Any, report: Path, timeout_s: float
) -> int | None:
    """Wait until Krita has ended; one that hangs, or does not leave, is killed: None."""
    krita = subprocess.Popen(
        inside(chosen_tree(), ["krita", "--nosplash"]),
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    end = time.monotonic() + timeout_s
    try:
        while krita.poll() is None and time.monotonic() < end:
            if _read(report)["finished"]:
                end = min(end, time.monotonic() + 30)
            time.sleep(0.2)
        return krita.poll()
    finally:
        if krita.poll() is None:
            os.killpg(krita.pid, signal.SIGKILL)
        krita.wait()


def _read(report: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):  # not there yet, or half written
        return json.loads(report.read_text("utf-8"))
    return {"scenarios": {}, "playing": "", "finished": False}


def _environment(home: Path, display: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    environment = {**kept, "PATH": _SYSTEM_PATH, "DISPLAY": display}
    for name in _FOLDERS:
        folder = home / name.lower()
        folder.mkdir(mode=0o700, exist_ok=True)
        environment[name] = str(folder)
    return environment


def _install(pykrita: Path, plugin: Path) -> None:
    shutil.rmtree(pykrita, ignore_errors=True)
    shutil.copytree(plugin, pykrita)
    actions = pykrita.parent / "actions"
    actions.mkdir(exist_ok=True)
    shutil.copy(ACTIONS, actions)
    driver = pykrita / "tapestry_driver"
    shutil.copytree(_DRIVER, driver)
    shutil.copyfile(_CONTRACT, driver / "canvas_contract.py")
    (pykrita / "tapestry_driver.desktop").write_text(_DESKTOP)


def _keep_logs(data: Path, folder: Path) -> None:
    for log in data.glob("*.log"):
        shutil.copyfile(log, folder / log.name)


def _stop_backend(runtime_file: Path) -> bool:
    """Whether the backend ends by itself; its folders must not be taken away before."""
    end = time.monotonic() + 30
    while runtime_file.exists() and time.monotonic() < end:
        time.sleep(0.2)
    left = read_runtime_file(runtime_file)
    if left is not None:
        os.kill(left.pid, signal.SIGKILL)
    return left is None


@contextmanager
def _display(scale: int) -> Iterator[str]:
    """An X display of our own; gives its name.

    Without -noreset it starts over each time that its last client leaves, and refuses connections
    meanwhile; Krita connects and leaves three times before it opens a window.
    """
    screen = f"{1400 * scale}x{1000 * scale}x24"
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", screen, "-noreset"]
    with os.fdopen(reading) as answer:
        server = subprocess.Popen(
            inside(chosen_tree(), command),
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        try:
            yield f":{answer.readline().strip()}"
        finally:
            server.terminate()
            server.wait()
