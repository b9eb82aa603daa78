"""The installer's command line as a person meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from installer import commands, doctor, environment
from installer.paths import CONSTRAINTS, ROOT, STAMP
from tests.tiers import TIERS, may_hold, tier_of


def installer(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as another user of this computer would."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "installer"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=kept | {"HOME": str(home)},
        cwd=home,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    """And needs nothing that is not installed."""
    said = installer("--help", home=tmp_path)
    assert said.returncode == 0
    for command in ("demo", "test", "plugin", "release", "uninstall", "doctor"):
        assert command in said.stdout


def test_unknown_commands_and_options_are_named(tmp_path: Path) -> None:
    """With a usage line instead of a traceback."""
    for arguments in (["dance"], ["demo", "--fast"], []):
        said = installer(*arguments, home=tmp_path)
        assert said.returncode == 2
        assert "usage:" in said.stderr
        assert "Traceback" not in said.stderr


def test_the_tiers_of_the_command_are_those_of_the_tests() -> None:
    """The installer runs without the tests, so it has a list of its own."""
    assert commands._TIERS == TIERS
    assert tier_of("tests/server/queue/test_jobs.py::test_x") == "unit"
    assert tier_of("tests/server/connections/test_sessions.py::test_x") == "chaos"
    assert tier_of("tests/protocol/test_codec.py::test_x") == "unit"
    assert [may_hold("tests/", tier) for tier in TIERS] == [True] * len(TIERS)
    assert [tier for tier in TIERS if may_hold("tests/server/", tier)] == ["unit", "chaos"]
    assert [tier for tier in TIERS if may_hold("tests/engine/", tier)] == ["models"]


@pytest.mark.skipif(sys.platform != "linux", reason="Krita's folders differ elsewhere")
def test_plugin_doctor_uninstall(tmp_path: Path) -> None:
    """The whole way in a home of its own: install, look, take back."""
    if "runtime" not in environment.current_groups():
        pytest.skip("this environment was not made by the installer")
    said = installer("plugin", home=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "Start Krita" in said.stdout or "start it again" in said.stdout
    looked = installer("doctor", home=tmp_path)
    assert "MISSING plugin" not in looked.stdout
    assert f"{ROOT}/.venv/bin/tapestry" in looked.stdout
    said = installer("uninstall", "--keep-environment", home=tmp_path)
    assert said.returncode == 0
    assert "untouched" in said.stdout
    assert not list(tmp_path.rglob("*tapestry*"))
    assert STAMP.exists()
    said = installer("uninstall", "--keep-environment", home=tmp_path)
    assert "Nothing to remove." in said.stdout


def test_the_environment_is_made_anew_when_it_must_be() -> None:
    """Other requirements, other pinned versions: another fingerprint; else the same."""
    project = environment._project()
    same = environment.fingerprint(project, b"a==1")
    assert environment.fingerprint(dict(project), b"a==1") == same
    assert environment.fingerprint(project, b"a==2") != same
    assert environment.fingerprint(project | {"dependencies": []}, b"a==1") != same


def test_every_requirement_is_pinned() -> None:
    """Two installations on two days are the same one."""
    pinned = {
        line.partition("==")[0].strip().lower()
        for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    }
    project = environment._project()
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {requirement.split(">")[0].split("<")[0].strip().lower() for requirement in wanted}
    assert names | set(environment.BUILD_TOOLS) <= pinned


@pytest.mark.parametrize(
    ("krita", "package"),
    [
        ("1:5.1.5+dfsg-2", "python3-pyqt5"),
        ("5.3.4", "python3-pyqt5"),
        ("1:6.0.4.1+dfsg-1", "python3-pyqt6"),
        ("", "python3-pyqt5"),
    ],
)
def test_the_doctor_asks_for_the_pyqt_of_this_krita(krita: str, package: str) -> None:
    """Krita 6 takes no other than PyQt6."""
    assert doctor._pyqt_package(krita) == package


def test_paths_that_a_code_page_does_not_know_are_shown_all_the_same(tmp_path: Path) -> None:
    """As numbers, where there is nothing better."""
    home = tmp_path / "\u96ea"
    (home / "Library").mkdir(parents=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    logs = home / ".local" / "share" / "tapestry"
    logs.mkdir(parents=True)
    (logs / "plugin.log").write_text("")
    done = subprocess.run(
        [sys.executable, str(ROOT / "installer"), "uninstall", "--keep-environment"],
        capture_output=True,
        text=True,
        check=False,
        env=kept | {"HOME": str(home), "PYTHONIOENCODING": "ascii:strict"},
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if sys.platform == "linux":
        assert "\\u96ea" in done.stdout


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"fingerprint": "x"}', '{"fingerprint": "x", "groups": 1}']
)
def test_a_damaged_stamp_is_none(tmp_path: Path, monkeypatch, text: str) -> None:
    """The environment is made anew, and the doctor says so."""
    monkeypatch.setattr(environment, "STAMP", tmp_path / "stamp")
    (tmp_path / "stamp").write_text(text)
    assert environment.installed_groups("x") == []
