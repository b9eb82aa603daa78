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


def test_advice_does_not_repeat_what_failed(tmp_path: Path) -> None:
    """A header that is too long is as long when the file is fetched again."""
    path = noted(tmp_path / "it.safetensors", {}, filler=3 * 2**20)
    with pytest.raises(TapestryError, match="are described in 31") as raised:
        Catalogue([str(path)])

    assert "Get it again" not in raised.value.advice
    assert "another one" in raised.value.advice


@pytest.mark.parametrize(
    ("start", "what", "advice"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page", "in a browser"),
        (b"\n  <html lang='en'>" + bytes(40), "a web page", "in a browser"),
        (b'{"error": "Repository not found"}', "a text", "in a browser"),
        (b"GGUF\x03\0\0\0" + bytes(40), "a GGUF file", "as .safetensors"),
        (b"PK\x03\x04\0\0\x08\x08" + bytes(40), "a pickle, or another ZIP", "as .safetensors"),
        (b"PK\x03\x04\0\0\0\0" + bytes(40), "a pickle, or another ZIP", "as .safetensors"),
        (b"\x80\x02}q\0X\x05\0\0\0hello", "a pickle", "as .safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git's note", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "a picture", "beside it"),
        (b"", "too short", ""),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_what_only_has_the_name_of_weights_is_called_what_it_is(
    tmp_path: Path, start: bytes, what: str, advice: str
) -> None:
    """Getting it again would bring the same."""
    path = tmp_path / "it.safetensors"
    path.write_bytes(start)
    with pytest.raises(BrokenFileError, match=what) as raised:
        read_header(path)
    assert advice in raised.value.advice


def test_a_header_may_be_as_long_as_another_files_mark(tmp_path: Path) -> None:
    """Its length, 640, is how pickles begin; what follows tells them apart."""
    path = noted(tmp_path / "it.safetensors", {})
    length = struct.unpack("<Q", path.read_bytes()[:8])[0]
    noted(path, {}, filler=0x280 - length)
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert read_header(path).shapes == {"a": (1,)}
