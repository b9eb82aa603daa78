"""The backend that the plugin carries, installed by a stand-in for uv in real processes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tapestry.backend import bundled, program, uv_download, uv_program
from tapestry.backend import installer as installer_module
from tapestry.backend.bundled import TORCH_PACKAGES, BundledBackend, bundled_backend
from tapestry.backend.process import find_command
from tapestry.backend.uv_program import UvWheel, uv_wheel
from tapestry.common import task_queue
from tapestry.common.ownership import lock_on
from tapestry_protocol.accelerators import CPU, CUDA, Accelerator
from tapestry_protocol.errors import TapestryError
from tests.krita_plugin.backend.install_place import Place
from tests.krita_plugin.pieces import finish
from tests.krita_plugin.stand_in_wheels import note_as_whole

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are scripts")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Nothing is installed yet, on a disk with room, however full this computer's is."""
    roomy = shutil.disk_usage(tmp_path)._replace(free=2**40)
    monkeypatch.setattr(installer_module.shutil, "disk_usage", lambda _path: roomy)
    return Place(tmp_path)


def test_a_checkout_carries_none(tmp_path: Path) -> None:
    """Then there is nothing to install."""
    assert bundled_backend(tmp_path, tmp_path / "nothing") is None


def test_the_backend_is_installed_step_by_step(place: Place) -> None:
    """An environment, everything in it, a look whether it starts; and then it is found."""
    place.plan.write_text("time.sleep(0.5)")
    installer = place.installer()
    assert not place.own.is_there
    installer.start()
    place.run(installer)
    assert installer.trouble is None
    assert place.calls.read_text().splitlines() == [
        "venv --no-project",
        f"pip install {place.own.accelerator.build}",
    ]
    assert place.own.is_installed
    told = [(doing, share) for doing, share in place.shown if doing.startswith("Fetching packages")]
    assert {share for _, share in told} == {0.3}
    assert told[-1][0].startswith("Fetching packages\u2026 100 of 400 MB, 1 of 2, about 5 s left")
    assert place.shown[-1][0] == ""
    assert is_free(place.own.lock)


def test_the_log_is_for_a_helper(place: Place) -> None:
    """When, what, where, every command, and how it ended."""
    place.plan.write_text("sys.exit('error: something else')")
    installer = place.installer()
    installer.start()
    place.run(installer)
    place.plan.write_text("")
    installer.start()
    place.run(installer)
    lines = place.own.log.read_text().splitlines()
    assert re.match(r"\[\d{4}-\d\d-\d\d [\d:]{8}\] Tapestry [\d.]+, ", lines[0])
    assert f"into {place.own.folder}" in lines[0]
    assert sum(line.startswith(f"$ {place.own.uv} pip install") for line in lines) == 2
    assert any("could not be installed: error: something else" in line for line in lines)
    assert lines[-1].endswith("Installed.")


def test_the_installed_one_is_started(place: Place, monkeypatch, tmp_path: Path) -> None:
    """While it is missing, a notice names the button."""
    monkeypatch.setattr("tapestry.backend.process.bundled_backend", lambda _folder: place.own)
    environment = {"XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": ""}
    with pytest.raises(TapestryError) as refused:
        find_command("", environment, tmp_path / "none.json")
    assert "Press Install" in refused.value.advice
    installer = place.installer()
    installer.start()
    place.run(installer)
    command = find_command("", environment, tmp_path / "none.json")
    assert command == [str(place.own.program)]


def test_a_cancelled_installation_is_not_taken_for_whole(place: Place) -> None:
    """Its program is ended, and the next one goes on."""
    place.plan.write_text("time.sleep(60)")
    installer = place.installer()
    installer.start()
    place.wait(lambda: any("Fetching packages" in doing for doing, _ in place.shown))
    installer.cancel()
    assert not installer.is_running
    assert not place.own.is_there
    assert is_free(place.own.lock)
    place.plan.write_text("")
    installer.start()
    place.run(installer)
    assert place.own.is_installed


@pytest.mark.parametrize("can_stand_still", [True, False])
def test_an_installation_can_be_paused(place: Place, monkeypatch, can_stand_still: bool) -> None:
    """The program stands still, or is ended and begun anew where programs cannot; then it goes on.

    A Krita that is closed meanwhile leaves nothing behind.
    """
    monkeypatch.setattr(program, "_CAN_STAND_STILL", can_stand_still)
    ticks = place.calls.with_name("ticks")
    place.plan.write_text(
        f"for _ in range(30):\n    open({str(ticks)!r}, 'a').write('.')\n    time.sleep(0.02)"
    )
    installer = place.installer()
    installer.start()
    place.wait(ticks.exists)
    installer.pause()
    place.loop.run(0.4)
    time.sleep(0.1)
    before = ticks.stat().st_size
    for _ in range(5):
        place.loop.run(0.2)
        time.sleep(0.02)
    assert ticks.stat().st_size == before
    assert installer.is_paused
    assert installer.is_running
    installer.pause()
    place.run(installer)
    assert installer.trouble is None
    assert place.own.is_installed
    assert len(place.calls.read_text().splitlines()) == (2 if can_stand_still else 3)


def test_a_paused_installation_can_be_cancelled(place: Place) -> None:
    """Its program is not left behind."""
    pid = place.calls.with_name("pid")
    place.plan.write_text(f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    installer = place.installer()
    installer.start()
    place.wait(lambda: pid.exists() and bool(pid.read_text()))
    installer.pause()
    place.loop.run(0.4)
    installer.cancel()
    assert not installer.is_paused
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_newer_plugin_brings_a_newer_backend(place: Place) -> None:
    """The old one works until the new one is whole, also where that fails; then it goes."""
    place.install()
    old = place.own.program
    place.write_wheel("0.2.0", "second")
    place.plan.write_text("sys.exit('error: dns error')")
    installer = place.installer()
    installer.start()
    place.run(installer)
    assert installer.trouble is not None
    assert place.own.is_there
    assert not place.own.is_installed
    assert place.own.program == old
    place.plan.write_text("")
    installer = place.install()
    assert place.own.is_installed
    assert place.own.program != old
    assert old.exists()  # it may be painting
    installer.tidy()
    assert installer.is_removing
    place.run(installer)
    assert not old.parents[1].exists()
    installer.tidy()
    assert not installer.is_running


def test_an_installation_can_be_taken_back(place: Place) -> None:
    """All but the log; what an earlier attempt has left over as well."""
    installer = place.install()
    left = place.own.folder.with_name("backend.leaving")
    left.mkdir()
    (left / "file").touch()
    (place.own.folder / "link").symlink_to(place.carried)
    installer.uninstall()
    assert installer.is_removing
    place.run(installer)
    assert installer.trouble is None
    assert not place.own.is_there
    assert sorted(path.name for path in place.data.iterdir()) == ["install.lock", "install.log"]
    assert any(place.carried.iterdir())
    place.write_uv(place.own)
    place.install()
    assert place.own.is_installed


def test_half_a_removal_is_not_taken_for_whole(place: Place, monkeypatch) -> None:
    """It has another name from its first moment."""
    installer = place.install()
    monkeypatch.setattr(task_queue, "_turn_time", lambda: iter((True, False)).__next__)
    installer.uninstall()
    place.loop.turn()
    installer.cancel()
    assert not place.own.is_there
    assert any(place.own.folder.with_name("backend.leaving").iterdir())


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("error: No space left on device (os error 28)", "cannot be written"),
        ("error: dns error: lookup failed", "cannot be reached"),
        ("error: Failed\n  cause: Hash mismatch for `idna`", "not what is known by its hash"),
        ("error: The filename is too long. (os error 206)", "longer than Windows allows"),
        ("error: something else", "could not be installed: error: something else"),
    ],
)
def test_a_failed_installation_is_a_sentence(place: Place, said: str, sentence: str) -> None:
    """With what to do, and nothing is taken for whole."""
    place.plan.write_text(f"sys.exit({said!r})")
    installer = place.installer()
    installer.start()
    place.run(installer)
    assert sentence in installer.trouble.message
    assert installer.trouble.advice
    assert not place.own.is_there


@pytest.mark.parametrize("kind", [CPU, CUDA])
def test_without_pytorchs_own_index_the_package_index_is_asked(
    place: Place, monkeypatch, kind: Accelerator
) -> None:
    """It may be the one that cannot be reached. Gigabytes that are not needed wait for a word."""
    monkeypatch.setattr(bundled, "likely_accelerator", lambda: kind)
    monkeypatch.setattr(installer_module, "package_index_accelerator", lambda: CUDA)
    away = "error: Failed to fetch https://download.pytorch.org/whl: dns error"
    place.plan.write_text(f"if '--torch-backend' in sys.argv: sys.exit({away!r})")
    installer = place.installer()
    installer.start()
    place.run(installer)
    first = f"pip install {kind.build}"
    calls = [first, "pip install"]
    if kind == CPU:
        assert "PyTorch for CUDA from the package index: 2.9 GB" in installer.trouble.advice
        assert not place.own.is_there
        installer.start()
        place.run(installer)
        calls = [first, "pip install", "venv --no-project", *calls]
    assert installer.trouble is None
    assert place.calls.read_text().splitlines()[1:] == calls


def test_nothing_larger_is_offered_without_a_network(place: Place, monkeypatch) -> None:
    """The package index is asked first: where it is away as well, another press would not help."""
    monkeypatch.setattr(bundled, "likely_accelerator", lambda: CPU)
    monkeypatch.setattr(installer_module, "package_index_accelerator", lambda: CUDA)
    place.plan.write_text(
        "if '--torch-backend' in sys.argv: sys.exit('download.pytorch.org: dns error')"
    )
    asked = place.own.uv.read_text()
    refusing = asked.replace(
        "environment = pathlib",
        "if '--dry-run' in sys.argv: sys.exit('error: https://pypi.org/simple/ dns error')\n"
        "environment = pathlib",
        1,
    )
    place.own.uv.write_text(refusing)
    note_as_whole(place.own.uv)
    for _ in range(2):
        installer = place.installer()
        installer.start()
        place.run(installer)
        assert "cannot be reached: error: https://pypi.org" in installer.trouble.message
        assert "CUDA" not in installer.trouble.advice


def test_a_pytorch_of_the_artists_own_is_taken(place: Place, monkeypatch, tmp_path: Path) -> None:
    """From a folder of wheels: it may be any build, so it is not among those with known hashes."""
    monkeypatch.setattr(bundled, "likely_accelerator", lambda: CPU)
    away = "error: Failed to fetch https://download.pytorch.org/whl: dns error"
    place.plan.write_text(
        f"if '--torch-backend' in sys.argv: sys.exit({away!r})\n"
        f"if {TORCH_PACKAGES!r} in ' '.join(sys.argv): sys.exit('error: Hash mismatch')"
    )
    monkeypatch.setattr(bundled.platform, "machine", lambda: "x86_64")
    (tmp_path / "torch-2.13.0+cpu-cp314-cp314-linux_x86_64.whl").touch()
    installer = place.installer(environment={"PIP_FIND_LINKS": str(tmp_path)})
    installer.start()
    place.run(installer)
    assert installer.trouble is None


@pytest.mark.parametrize("tags", ["cp311-cp311-linux_x86_64", "cp314-cp314-linux_aarch64"])
def test_a_pytorch_that_does_not_fit_is_none_of_the_artists_own(
    place: Place, monkeypatch, tmp_path: Path, tags: str
) -> None:
    """For another Python or computer uv passes it over: what the index has is asked about first."""
    monkeypatch.setattr(bundled, "likely_accelerator", lambda: CPU)
    monkeypatch.setattr(bundled.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(installer_module, "package_index_accelerator", lambda: CUDA)
    away = "error: Failed to fetch https://download.pytorch.org/whl: dns error"
    place.plan.write_text(f"if '--torch-backend' in sys.argv: sys.exit({away!r})")
    (tmp_path / f"torch-2.13.0+cpu-{tags}.whl").touch()
    installer = place.installer(environment={"PIP_FIND_LINKS": str(tmp_path)})
    installer.start()
    place.run(installer)
    assert installer.trouble is not None
    assert not place.own.is_installed


def test_files_that_a_scanner_holds_are_waited_for(place: Place, monkeypatch) -> None:
    """Windows does not let a file be moved while another program reads it."""
    monkeypatch.setattr(installer_module, "_LOCKED_WAIT_S", 0.0)
    seen = place.calls.with_name("seen")
    place.plan.write_text(
        f"if not os.path.exists({str(seen)!r}):\n"
        f"    open({str(seen)!r}, 'w'); sys.exit('error: Access is denied. (os error 5)')"
    )
    place.install()
    assert place.own.is_installed
    seen.unlink()
    place.plan.write_text("sys.exit('error: Access is denied. (os error 5)')")
    place.write_wheel("0.2.0", "second")
    installer = place.installer()
    installer.start()
    place.run(installer)
    assert "Access is denied" in installer.trouble.message


def test_a_full_disk_is_told_before_anything_is_fetched(place: Place, monkeypatch) -> None:
    """With how much is free."""
    usage = installer_module.shutil.disk_usage(place.data)
    scarce = usage._replace(free=2**30)
    monkeypatch.setattr(installer_module.shutil, "disk_usage", lambda _path: scarce)
    installer = place.installer()
    installer.start()
    place.run(installer)
    assert "1.1 GB are free" in installer.trouble.message
    assert f"({place.own.accelerator.disk_gb} GB)" in installer.trouble.advice
    assert not place.calls.exists()


def test_a_second_krita_waits(place: Place) -> None:
    """Until the first one is done, or gone; then there is nothing left to do."""
    handle = lock_on(place.own.lock)
    installer = place.installer()
    installer.start()
    for _ in range(3):
        place.loop.run(0.2)
    assert installer.doing == "Another Krita is installing it\u2026"
    place.lay_down(place.own)
    os.close(handle)
    place.run(installer)
    assert installer.trouble is None
    assert not place.calls.exists()


def is_free(lock: Path) -> bool:
    """Whether another Krita may begin."""
    handle = lock_on(lock)
    if handle:
        os.close(handle)
    return bool(handle)


class Arrived:
    """A download that is here, or failed."""

    received_bytes = total_bytes = 0
    is_done = True

    def __init__(self, target: Path, data: bytes, error: str = "") -> None:
        target.write_bytes(data)
        self.error = error

    def cancel(self) -> None:
        """There is nothing to cancel."""


def uv_in_a_wheel(place: Place, tmp_path: Path) -> tuple[UvWheel, bytes]:
    """The stand-in as the package index would have it, and its bytes."""
    script = place.own.uv.read_bytes()
    place.own.uv.unlink()
    archive = tmp_path / "uv.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr(f"uv-{uv_program.VERSION}.data/scripts/uv", script)
    data = archive.read_bytes()
    return replace(uv_wheel("linux", "x86_64"), sha256=hashlib.sha256(data).hexdigest()), data


def test_uv_is_fetched_and_known_by_its_hash(place: Place, monkeypatch, tmp_path: Path) -> None:
    """Other bytes are thrown away."""
    wheel, data = uv_in_a_wheel(place, tmp_path)
    monkeypatch.setattr(uv_download, "uv_wheel", lambda: wheel)
    asked = []

    def fetch(url: str, target: Path) -> Arrived:
        asked.append(url)
        return Arrived(target, data if len(asked) > 1 else b"something else")

    installer = place.installer(fetch=fetch)
    installer.start()
    place.run(installer)
    assert "thrown away" in installer.trouble.message
    assert not list(place.own.folder.glob("*.whl"))
    installer.start()
    place.run(installer)
    assert installer.trouble is None
    assert place.own.is_installed
    assert asked == [wheel.url] * 2
    assert wheel.url.startswith("https://files.pythonhosted.org/packages/")


def test_uv_may_lie_in_a_folder_of_wheels(place: Place, monkeypatch, tmp_path: Path) -> None:
    """The one that pip knows; nothing is fetched, and the folder is left as it is."""
    wheel, data = uv_in_a_wheel(place, tmp_path)
    monkeypatch.setattr(uv_download, "uv_wheel", lambda: wheel)
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / wheel.name).write_bytes(data)
    installer = place.installer(environment={"PIP_FIND_LINKS": f"/nowhere {folder}"})
    installer.start()
    place.run(installer)
    assert installer.trouble is None
    assert (folder / wheel.name).exists()


def test_a_mirror_is_asked_first(place: Place, monkeypatch, tmp_path: Path) -> None:
    """The artist's own index; the public one where it has no such file."""
    wheel, data = uv_in_a_wheel(place, tmp_path)
    monkeypatch.setattr(uv_download, "uv_wheel", lambda: wheel)
    page = f'<a href="../files/{wheel.name}#sha256=0">{wheel.name}</a>'.encode()
    asked = []

    def fetch(url: str, target: Path) -> Arrived:
        asked.append(url)
        return Arrived(target, page if url.endswith("/") else data)

    mirror = {"PIP_INDEX_URL": "https://mirror.example/simple/"}
    for expected, has_it in (("https://mirror.example/simple/files/", True), (wheel.url, False)):
        page = page if has_it else b"nothing"
        asked.clear()
        place.own.uv.unlink(missing_ok=True)
        installer = place.installer(fetch=fetch, environment=mirror)
        installer.start()
        place.run(installer)
        assert place.own.uv.exists()
        assert asked[0] == "https://mirror.example/simple/uv/"
        assert asked[1].startswith(expected)
        (place.own.environment / "tapestry-installed.json").unlink()


def test_a_network_that_is_away_is_a_sentence(place: Place) -> None:
    """Also before uv is there."""
    place.own.uv.unlink()
    installer = place.installer(fetch=lambda _url, target: Arrived(target, b"", "Host not found"))
    installer.start()
    place.run(installer)
    assert "cannot be reached: Host not found" in installer.trouble.message


@pytest.mark.parametrize(
    ("system", "machine", "word"),
    [("darwin", "x86_64", "Macs with Intel"), ("freebsd14", "amd64", "freebsd14 amd64")],
)
def test_some_computers_can_have_no_backend(system: str, machine: str, word: str) -> None:
    """The page offers another computer."""
    with pytest.raises(TapestryError, match=word) as refused:
        uv_wheel(system, machine)
    assert "another computer" in refused.value.advice


@pytest.mark.parametrize(
    ("system", "machine"),
    [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")],
)
def test_all_others_have_a_uv_of_their_own(system: str, machine: str) -> None:
    """By name and hash."""
    wheel = uv_wheel(system, machine)
    assert wheel.name.startswith(f"uv-{uv_program.VERSION}-py3-none-")
    assert len(wheel.sha256) == 64


def test_a_damaged_stamp_is_none(place: Place) -> None:
    """It is installed anew."""
    installer = place.installer()
    installer.start()
    place.run(installer)
    stamp = place.own.environment / "tapestry-installed.json"
    assert json.loads(stamp.read_text())
    stamp.write_text("{")
    assert not place.own.is_installed


@pytest.mark.parametrize("stamp", ["[]", "[" * 200_000, "\0"])
def test_no_stamp_stops_the_docker(place: Place, stamp: str) -> None:
    """Whatever has been written there."""
    place.install()
    (place.own.environment / "tapestry-installed.json").write_text(stamp)
    assert not place.own.is_installed
    assert place.own.outdated_version == "0.1.0"
    assert not place.own.has_its_packages


def lost_python(own: BundledBackend) -> None:
    """By an upgrade of the system."""
    (own.environment / "bin" / "python").unlink()
    (own.environment / "bin" / "python").symlink_to("/usr/bin/python2.99")


def lost_packages(own: BundledBackend) -> None:
    """By a cleaner."""
    shutil.rmtree(own.environment / "lib")


@pytest.mark.parametrize("lose", [lost_python, lost_packages])
def test_a_damaged_installation_is_not_taken_for_whole(place: Place, monkeypatch, lose) -> None:
    """A notice names the button that repairs it; and it does."""
    place.install()
    lose(place.own)
    assert place.own.is_damaged
    assert not place.own.is_installed
    assert not place.own.is_there
    monkeypatch.setattr("tapestry.backend.process.bundled_backend", lambda _folder: place.own)
    with pytest.raises(TapestryError, match="damaged") as refused:
        find_command("", {"PATH": ""}, place.calls.with_name("none.json"))
    assert "Press Repair" in refused.value.advice
    place.install()
    assert place.own.is_installed


def test_a_backend_that_does_not_start_is_made_anew(place: Place) -> None:
    """One look cannot tell that a library is broken; a start can."""
    installer = place.install()
    installer.check()
    place.run(installer)
    assert not installer.is_broken
    place.own.next_program.write_text("#!/bin/sh\nexit 1\n")
    installer.check()
    place.run(installer)
    assert installer.is_broken
    installer.start()
    place.run(installer)
    assert not installer.is_broken
    assert installer.is_new


def test_a_damaged_uv_is_fetched_anew(place: Place, monkeypatch, tmp_path: Path) -> None:
    """It is known to the byte, and has to be a program."""
    wheel, data = uv_in_a_wheel(place, tmp_path)
    monkeypatch.setattr(uv_download, "uv_wheel", lambda: wheel)
    asked = []

    def fetch(url: str, target: Path) -> Arrived:
        asked.append(url)
        return Arrived(target, data)

    for spoil in (lambda uv: uv.write_bytes(b""), lambda uv: uv.chmod(0o600), lambda _uv: None):
        installer = place.installer(fetch=fetch)
        installer.start()
        place.run(installer)
        assert installer.trouble is None
        spoil(place.own.uv)
        place.own.begin()
    assert asked == [wheel.url] * 3


def test_a_damaged_wheel_of_the_artists_own_stays(place: Place, monkeypatch, tmp_path) -> None:
    """It is told, and is theirs to take away."""
    wheel, _ = uv_in_a_wheel(place, tmp_path)
    monkeypatch.setattr(uv_download, "uv_wheel", lambda: wheel)
    (tmp_path / "wheels").mkdir()
    theirs = tmp_path / "wheels" / wheel.name
    theirs.write_bytes(b"cut")
    installer = place.installer(environment={"PIP_FIND_LINKS": str(theirs.parent)})
    installer.start()
    place.run(installer)
    assert str(theirs) in installer.trouble.message
    assert theirs.exists()


def test_uv_is_unpacked_in_many_turns(tmp_path: Path) -> None:
    """Hashed, inflated and written in pieces: Krita goes on between them."""
    archive, data = tmp_path / "uv.whl", os.urandom(2**22)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"uv-{uv_program.VERSION}.data/scripts/uv", data)
    known = hashlib.sha256(archive.read_bytes()).hexdigest()
    wheel = replace(uv_wheel("linux", "x86_64"), sha256=known)
    turns: list[None] = []
    work = uv_program.unpack_uv(archive, wheel, tmp_path / "out" / "uv", is_ours=True)
    finish(work, lambda: turns.append(None))
    assert (tmp_path / "out" / "uv").read_bytes() == data
    assert len(turns) >= 2 * len(data) / 2**18
    before = len(turns)
    assert finish(uv_program.is_whole(tmp_path / "out" / "uv"), lambda: turns.append(None))
    assert len(turns) >= before + len(data) / 2**18


class Stalled:
    """A download that gives its first bytes and no more."""

    received_bytes, total_bytes = 3_000_000, 18_000_000
    is_done, error = False, ""

    def cancel(self) -> None:
        """The part stays."""
        self.is_done = True


def test_a_network_that_gives_nothing_is_a_sentence(place: Place, monkeypatch) -> None:
    """After a while; until then it is told how much there is."""
    place.own.uv.unlink()
    monkeypatch.setattr(uv_download, "PATIENCE_S", 0.2)
    stalled = Stalled()
    installer = place.installer(fetch=lambda _url, _target: stalled)
    installer.start()
    place.run(installer)
    assert "nothing has arrived for" in installer.trouble.message
    assert "it goes on" in installer.trouble.advice
    assert stalled.is_done
    assert any(doing == "Fetching uv\u2026 3 of 18 MB" for doing, _ in place.shown)


def test_the_end_is_told_on_a_full_disk(place: Place, monkeypatch) -> None:
    """Also where not even the log can be written."""

    def full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(installer_module, "open_log", full)
    monkeypatch.setattr(program, "open_log", full)
    installer = place.installer()
    installer.start()
    place.run(installer)
    assert "No space left" in installer.trouble.message
    assert "Make room" in installer.trouble.advice
    assert place.shown[-1][0] == ""


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Make room"), (errno.EROFS, "Let your user write"), (errno.EIO, "says more")],
)
def test_the_advice_fits_what_the_system_refuses(place: Place, monkeypatch, number, advice) -> None:
    """Room on the disk does not help where writing is forbidden."""

    def refused(_path: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(program, "open_log", refused)
    installer = place.installer()
    installer.start()
    place.run(installer)
    assert advice in installer.trouble.advice


def test_a_mirrors_password_is_not_written_down(place: Place) -> None:
    """Neither in the log, which is its owner's alone, nor in the docker."""
    secret = "https://artist:geheim@mirror/simple"
    place.plan.write_text(f"print({secret!r}, flush=True); sys.exit('error: in {secret}')")
    installer = place.installer(environment={"PIP_INDEX_URL": secret})
    installer.start()
    place.run(installer)
    assert "https://mirror/simple" in installer.trouble.message
    log = place.own.log.read_text()
    assert "https://mirror/simple" in log
    assert "geheim" not in log + installer.trouble.message
    assert place.own.log.stat().st_mode & 0o077 == 0


def test_the_causes_are_told(place: Place) -> None:
    """Uv writes them below the error: what it was at, and why that failed."""
    causes = ["Failed to fetch: https://mirror/", "client error", "no route"]
    said = "".join(f"\n  cause: {cause}" for cause in causes)
    place.plan.write_text(f"sys.exit({'error: Request failed' + said!r})")
    installer = place.installer()
    installer.start()
    place.run(installer)
    told = "error: Request failed (Failed to fetch: https://mirror/; no route)"
    assert told in installer.trouble.message


def test_a_removal_that_was_interrupted_is_ended_by_the_next_krita(place: Place) -> None:
    """What is left is seen at its start."""
    leaving = place.own.folder.with_name("backend.leaving")
    leaving.mkdir()
    (leaving / "file").touch()
    installer = place.installer()
    installer.sweep()
    assert installer.is_removing
    place.run(installer)
    assert not leaving.exists()
    assert place.own.uv.exists()


def test_an_update_takes_what_nobody_needs_out_of_the_cache(place: Place) -> None:
    """Packages of which another release is there now; the others are not fetched again."""
    place.install()
    site = place.own.environment / "lib" / "python3" / "site-packages"
    for name in ("torch-2.12.0", "numpy-2.4.6"):
        (site / f"{name}.dist-info").mkdir()
    place.write_wheel("0.2.0", "second")
    assert place.own.outdated_version == "0.1.0"
    assert place.own.has_its_packages
    place.plan.write_text(
        "site = environment / 'lib' / 'python3' / 'site-packages'\n"
        "for name in ('torch-2.13.0', 'numpy-2.4.6'):\n"
        "    (site / (name + '.dist-info')).mkdir(parents=True)\n"
    )
    place.calls.write_text("")
    installer = place.install()
    installer.tidy()
    place.run(installer)
    assert place.own.outdated_version == ""
    log = place.own.log.read_text()
    assert f"{place.own.uv} cache clean tapestry torch\n" in log
