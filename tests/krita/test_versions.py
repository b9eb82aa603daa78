"""Kritas of other Debian releases: what is said where there can be none; no Krita here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.krita import debian_trees, versions
from tests.krita.debian_trees import PLACE, RELEASES, TreeError, ensure, inside, krita_version


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    """Where trees are looked for."""
    monkeypatch.setenv(PLACE, str(tmp_path))
    return tmp_path


def test_without_a_tree_a_command_is_what_it_is() -> None:
    """The Krita of this system is started."""
    assert inside(None, ["krita", "--nosplash"]) == ["krita", "--nosplash"]


def test_inside_a_tree_a_command_comes_last() -> None:
    """With all that it is given."""
    command = inside(Path("/tree"), ["krita", "--nosplash"])
    assert command[0] == "unshare"
    assert command[-3:] == ["--", "krita", "--nosplash"]
    assert str(debian_trees.ROOT) in command


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="needs Debian's dpkg-query")
@pytest.mark.parametrize(
    ("package", "version"), [("1:5.2.9+dfsg-1+deb13u1", "5.2.9"), ("1:6.0.4.1+dfsg-1", "6.0.4.1")]
)
def test_the_exact_version_is_read_from_the_packages(
    tmp_path: Path, package: str, version: str
) -> None:
    """Without Debian's own parts of it."""
    status = tmp_path / "var" / "lib" / "dpkg" / "status"
    status.parent.mkdir(parents=True)
    fields = {"Package": "krita", "Status": "install ok installed", "Version": package}
    fields |= {"Architecture": "amd64", "Maintainer": "x", "Description": "x"}
    status.write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
    assert krita_version(tmp_path) == version


def test_without_root_there_is_a_sentence(place: Path, monkeypatch, capsys) -> None:
    """With what to do, and it is a failure."""
    monkeypatch.setattr(debian_trees.os, "geteuid", lambda: 1000)
    assert versions.main(["--make", "5.2"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "Run this as root" in said.err


def test_without_debootstrap_there_is_a_sentence(place: Path, monkeypatch) -> None:
    """Which names the package."""
    monkeypatch.setattr(debian_trees, "_check_rights", lambda: None)
    monkeypatch.setattr(debian_trees.shutil, "which", lambda _program: None)
    with pytest.raises(TreeError, match="apt-get install debootstrap"):
        ensure(RELEASES["5.2"])


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, monkeypatch) -> None:
    """With how to choose another."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(PLACE, str(tmp_path / "file" / "trees"))
    monkeypatch.setattr(debian_trees, "_check_rights", lambda: None)
    with pytest.raises(TreeError, match=f"Set {PLACE}"):
        ensure(RELEASES["5.2"])


def test_a_release_with_another_krita_is_not_taken_for_this_one(place: Path, monkeypatch) -> None:
    """Debian's newer releases move on."""
    monkeypatch.setattr(debian_trees, "_check_rights", lambda: None)
    (place / "5.3").mkdir()
    with pytest.raises(TreeError, match=r"forky has Krita no more, not 5\.3"):
        ensure(RELEASES["5.3"])


def test_all_are_tried_whatever_becomes_of_one(place: Path, monkeypatch, capsys) -> None:
    """And each has its line at the end."""
    monkeypatch.setattr(debian_trees.os, "geteuid", lambda: 1000)
    assert versions.main(["all"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"Krita {name}" for name in RELEASES]


def test_versions_are_asked_for_by_name() -> None:
    """With nothing installed but Python."""
    command = [sys.executable, "-S", "-m", "tests.krita.versions", "--help"]
    root = debian_trees.ROOT
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert all(name in said for name in RELEASES)
