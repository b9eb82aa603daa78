"""Folders are removed whole, in pieces, and other programs are waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapestry.common import removal
from tapestry.common.removal import patiently, remove


def to_its_end(generator) -> int:
    """How many times it had to be asked."""
    return sum(1 for _ in generator)


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


def test_it_is_done_in_short_pieces(tmp_path: Path, monkeypatch) -> None:
    """Krita has a turn between them; what is left has another name."""
    monkeypatch.setattr(removal, "_PIECE_S", 0.0)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(20):
        (folder / str(number)).touch()
    pieces = remove(folder)
    next(pieces)
    pieces.close()
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
        next(patiently(action))
