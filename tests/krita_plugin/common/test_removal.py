"""Folders are removed whole, in pieces, and other programs are waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapestry.common import removal
from tapestry.common.removal import patiently, remove
from tapestry.common.task_queue import Work, run_on
from tests.krita_plugin.pieces import finish


def to_its_end(work: Work[object]) -> int:
    """How often it has waited."""
    waits: list[None] = []
    finish(work, lambda: waits.append(None))
    return len(waits)


def test_a_folder_goes_with_all_in_it(tmp_path: Path) -> None:
    """Links go, what they lead to stays; files that are protected go as well."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (outside / "kept").touch()
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "file").touch(mode=0o400)
    if os.name == "posix":
        (folder / "link").symlink_to(outside)
    to_its_end(remove(folder))
    assert list(tmp_path.iterdir()) == [outside]
    assert (outside / "kept").exists()
    to_its_end(remove(folder))


def test_removal_gives_way_after_every_file(tmp_path: Path) -> None:
    """Krita has a turn between them; what is left has another name."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(20):
        (folder / str(number)).touch()
    work = remove(folder)
    run_on(work)
    work.close()
    assert not folder.exists()
    folder.mkdir()
    (folder / "new").touch()
    assert to_its_end(remove(folder)) > 15
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_held_is_waited_for(monkeypatch) -> None:
    """For a while; then it is an error."""
    tries = []

    def action() -> str:
        tries.append(None)
        if len(tries) < 4:
            raise PermissionError
        return "done"

    assert to_its_end(patiently(action)) == 3
    monkeypatch.setattr(removal, "PATIENCE_S", -1.0)
    tries.clear()
    with pytest.raises(PermissionError):
        run_on(patiently(action))
