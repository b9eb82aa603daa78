"""Where the backend is, and how it is started."""

import json
import os
import sys
from pathlib import Path

import pytest

from tapestry.backend import process as process_module
from tapestry.backend.bundled import bundled_backend
from tapestry.backend.process import (
    VARIABLE,
    BackendProcess,
    clean_environment,
    data_folder,
    find_command,
)
from tapestry_protocol.errors import TapestryError

PYTHONS = {"PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "LC_CTYPE": "C.UTF-8"}


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """What the installer wrote."""
    path = tmp_path / "installation.json"
    path.write_text(json.dumps({"command": ["/opt/tapestry/bin/tapestry"]}))
    return path


def test_the_artists_setting_comes_first(installation: Path) -> None:
    """Before the environment, and that before what the installer wrote."""
    environment = {VARIABLE: "'/my folder/tapestry' --verbose"}
    assert find_command("mine -x", environment, installation) == ["mine", "-x"]
    assert find_command("", environment, installation) == ["/my folder/tapestry", "--verbose"]
    assert find_command(" ", {}, installation) == ["/opt/tapestry/bin/tapestry"]


def test_the_search_path_comes_last(tmp_path: Path) -> None:
    """For those who installed the backend by hand."""
    command = tmp_path / "tapestry"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    found = find_command("", {"PATH": str(tmp_path)}, tmp_path / "missing")
    assert found == [str(command)]


def test_no_command_is_a_sentence_with_advice(tmp_path: Path) -> None:
    """In two sentences what to do."""
    with pytest.raises(TapestryError) as caught:
        find_command("", {"PATH": str(tmp_path)}, tmp_path / "missing")
    assert "not installed" in caught.value.message
    assert "installer plugin" in caught.value.advice


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"command": 3}', '{"command": []}'])
def test_a_damaged_installation_is_a_sentence(installation: Path, text: str) -> None:
    """Not a traceback."""
    installation.write_text(text)
    with pytest.raises(TapestryError, match="damaged"):
        find_command("", {}, installation)


def test_a_plugin_that_was_cut_is_imported_again(tmp_path: Path, monkeypatch) -> None:
    """Its wheel is no archive; no button could help."""
    carried = tmp_path / "carried"
    carried.mkdir()
    (carried / "tapestry-0.1.0-py3-none-any.whl").write_bytes(b"PK\3\4 cut")
    (carried / "packages.txt").touch()
    monkeypatch.setattr(process_module, "CARRIED", carried)
    monkeypatch.setattr(
        process_module, "bundled_backend", lambda home: bundled_backend(home, carried)
    )
    with pytest.raises(TapestryError, match="own files are damaged") as refused:
        find_command("", {"PATH": ""}, tmp_path / "none.json")
    assert "Import its archive" in refused.value.advice


def test_a_command_that_cannot_be_read_is_a_sentence() -> None:
    """A quotation mark too few."""
    with pytest.raises(TapestryError, match="cannot be read"):
        find_command("'tapestry", {})


def test_what_krita_set_for_itself_is_not_passed_on() -> None:
    """Its Python and, in an AppImage, its libraries; and no locale that lacks letters of paths."""
    environment = {"PYTHONPATH": "x", "PYTHONSTARTUP": "y", "LC_ALL": "de_DE.ISO-8859-1"}
    environment |= {"LD_LIBRARY_PATH": "z", "HOME": "/h"}
    assert clean_environment(environment) == {"LD_LIBRARY_PATH": "z", "HOME": "/h"} | PYTHONS


@pytest.mark.parametrize("variable", ["APPDIR", "SNAP"])
def test_the_folder_of_a_krita_that_brings_everything_is_left_out(variable: str) -> None:
    """An AppImage is mounted, a Snap's folder goes with its release; the artist's own stays."""
    environment = {
        variable: "/tmp/.mount_krita",
        "LD_LIBRARY_PATH": "/tmp/.mount_krita/usr/lib:/opt/cuda",
        "PATH": "/tmp/.mount_krita/usr/bin:/usr/bin:/tmp/.mount_krita2/bin",
        "QT_PLUGIN_PATH": "/tmp/.mount_krita/usr/plugins",
        "HTTPS_PROXY": "http://proxy:3128",
    }
    assert (
        clean_environment(environment)
        == {
            variable: "/tmp/.mount_krita",
            "LD_LIBRARY_PATH": "/opt/cuda",
            "PATH": "/usr/bin:/tmp/.mount_krita2/bin",
            "HTTPS_PROXY": "http://proxy:3128",
        }
        | PYTHONS
    )


def test_the_log_lies_in_the_users_data_folder(tmp_path: Path) -> None:
    """Where one looks for it."""
    if sys.platform == "linux":
        assert data_folder({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "tapestry"


def started(tmp_path: Path, script: str) -> BackendProcess:
    """A process that runs this Python script as if it were the backend."""
    program = tmp_path / "backend.py"
    program.write_text(script)
    process = BackendProcess(
        f"'{sys.executable}' '{program}'", {"XDG_DATA_HOME": str(tmp_path), "PATH": os.defpath}
    )
    process.start()
    return process


def wait(process: BackendProcess) -> None:
    """Until it has ended."""
    process._process.wait()


def test_a_start_writes_a_log_and_tells_our_process(tmp_path: Path) -> None:
    """The backend ends when the process that it is told is gone."""
    process = started(tmp_path, "import sys; print(sys.argv[1:], flush=True)")
    wait(process)
    assert process.has_ended()
    expected = str(["serve", "--parent", str(os.getpid())])
    assert expected in process.log_file.read_text()
    assert str(process.log_file) in process.why_it_ended().advice


def test_a_program_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """The setting may be out of date."""
    process = BackendProcess("/nowhere/tapestry", {"XDG_DATA_HOME": str(tmp_path)})
    with pytest.raises(TapestryError, match="cannot be started"):
        process.start()
    assert not process.has_ended()
