"""Headers of files of weights: what is said of tensors and the notes beside it, each in bounds."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.safetensors_header import BrokenFileError, read_header
from tapestry_protocol.errors import TapestryError


def noted(path: Path, notes: object, filler: int = 0) -> Path:
    """A file of one tensor with these notes in its header, written by hand."""
    fields = {"__metadata__": notes, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    header = json.dumps(fields).encode() + b" " * filler
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    return path


@pytest.mark.parametrize("megabytes", [1, 3, 20])
def test_notes_may_be_long(tmp_path: Path, megabytes: int) -> None:
    """Trainers write all their tags there; what is read here is read all the same."""
    tags = json.dumps({f'a "tag" \u2603 {n}': n for n in range(megabytes * 40_000)})[
        : megabytes * 10**6
    ]
    wanted = {"modelspec.resolution": "768x768", "modelspec.prediction_type": "v"}
    header = read_header(noted(tmp_path / "it.safetensors", {"a": "b", "tags": tags, **wanted}))

    assert header.shapes == {"a": (1,)}
    assert header.notes.items() >= {"a": "b", **wanted}.items()


@pytest.mark.parametrize("notes", [None, {}])
def test_there_may_be_no_notes(tmp_path: Path, notes: object) -> None:
    """Some programs write null."""
    assert read_header(noted(tmp_path / "it.safetensors", notes)).notes == {}


def test_notes_may_stand_anywhere(tmp_path: Path) -> None:
    """Also at the end, and where a tensor is called as they are."""
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    text = json.dumps({'say "__metadata__"': one, "__metadata__": {"a}": 'b"{'}}, indent=1)
    header = text.encode()
    path = tmp_path / "it.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))

    assert read_header(path).notes == {"a}": 'b"{'}
    assert list(read_header(path).shapes) == ['say "__metadata__"']


@pytest.mark.parametrize("notes", [{"a": 1}, {"a": {"b": "c"}}, "text", ["a"], 7])
def test_notes_that_are_no_texts_are_refused(tmp_path: Path, notes: object) -> None:
    """As safetensors itself does."""
    with pytest.raises(BrokenFileError, match="notes are no texts"):
        read_header(noted(tmp_path / "it.safetensors", notes))


def test_nobody_is_told_to_do_again_what_failed(tmp_path: Path) -> None:
    """A header that is too long is as long when the file is fetched again."""
    path = noted(tmp_path / "it.safetensors", {}, filler=3 * 2**20)
    with pytest.raises(TapestryError, match="are described in 31") as raised:
        Catalogue([str(path)])

    assert "Get it again" not in raised.value.advice
    assert "another file" in raised.value.advice
