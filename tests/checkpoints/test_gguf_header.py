"""GGUF files are told from their headers, and damaged ones refused before anything is read."""

from __future__ import annotations

import importlib.util
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tapestry_backend.checkpoints import gguf_header
from tapestry_backend.checkpoints.catalogue import read_checkpoint_at
from tapestry_backend.checkpoints.gguf_header import read_gguf_header
from tapestry_backend.checkpoints.safetensors_header import BrokenFileError
from tapestry_protocol.errors import ErrorCode, TapestryError
from tests.models.tiny_gguf import save_gguf

TENSORS = {
    "a.weight": torch.randn(4, 64),
    "b.weight": torch.randn(6),
    "c.weight": torch.randn(3, 5),
}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A file of three tensors, with notes of several kinds."""
    path = tmp_path / "sound.gguf"
    words = {"tokenizer.words": ["a", "b"], "tokenizer.ranks": [1, 2], "general.name": "It"}
    save_gguf(TENSORS, path, notes=words)
    return path


def test_a_header_says_names_shapes_and_packing(sound: Path) -> None:
    """Sides as torch has them, texts among the notes."""
    header = read_gguf_header(sound)

    assert header.shapes == {name: tuple(tensor.shape) for name, tensor in TENSORS.items()}
    assert header.types == {"a.weight": "Q8_0", "b.weight": "F32", "c.weight": "BF16"}
    assert header.notes["general.name"] == "It"
    assert header.dtype == "q8_0"


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Other bytes for some that stand there once."""

    def damage(data: bytes) -> bytes:
        assert data.count(old) == 1
        return data.replace(old, new)

    return damage


def number(place: int, value: int, kind: str = "<Q") -> Callable[[bytes], bytes]:
    """Another number at a place."""
    size = struct.calcsize(kind)
    return lambda data: data[:place] + struct.pack(kind, value) + data[place + size :]


def tensor_info(name: str, *sides: int) -> bytes:
    """The beginning of a tensor's description."""
    called = name.encode()
    return struct.pack(f"<Q{len(called)}sI{len(sides)}Q", len(called), called, len(sides), *sides)


A, C = tensor_info("a.weight", 64, 4), tensor_info("c.weight", 5, 3)
HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "ends inside its header"),
    "another mark": (number(0, 0, "<I"), "is no GGUF file"),
    "version 1": (number(4, 1, "<I"), "another version"),
    "of the other byte order": (number(4, 3 << 24, "<I"), "another version"),
    "no tensors": (number(8, 0), "names 0 tensors"),
    "more tensors than any model": (number(8, 2**63), "tensors"),
    "more tensors than there are": (number(8, 9), "."),
    "fewer tensors than there are": (number(8, 2), "overlap, leave gaps"),
    "more notes than any model": (number(16, 2**40), "notes, more than"),
    "a name without end": (number(24, 2**62), "a name in the header has"),
    "a list without end": (
        replaced(struct.pack("<IIQ", 9, 8, 2), struct.pack("<IIQ", 9, 8, 2**60)),
        "list more than",
    ),
    "a list in a list": (
        replaced(struct.pack("<IIQ", 9, 8, 2), struct.pack("<IIQ", 9, 9, 2)),
        "unknown type",
    ),
    "a word without end": (
        replaced(
            struct.pack("<Q1sQ1s", 1, b"a", 1, b"b"), struct.pack("<QsQs", 2**50, b"a", 1, b"b")
        ),
        "ends inside its header",
    ),
    "a note of no kind": (
        replaced(struct.pack("<IIQ", 9, 8, 2), struct.pack("<IIQ", 77, 8, 2)),
        "unknown type",
    ),
    "more sides than any tensor": (
        replaced(C, C[:16] + struct.pack("<I", 9) + C[20:]),
        "no sensible shape",
    ),
    "a side of nothing": (replaced(C, tensor_info("c.weight", 0, 3)), "no sensible shape"),
    "a side without end": (replaced(C, tensor_info("c.weight", 2**60, 3)), "no sensible shape"),
    "a row that no block divides": (replaced(A, tensor_info("a.weight", 65, 4)), "sensible shape"),
    "more rows than there are": (replaced(A, tensor_info("a.weight", 64, 2**30)), "overlap"),
    "a packing that nobody knows": (
        replaced(A + struct.pack("<I", 8), A + struct.pack("<I", 250)),
        "packed in a way",
    ),
    "a packing that is not read here": (
        replaced(A + struct.pack("<I", 8), A + struct.pack("<I", 16)),
        "packed in a way",
    ),
    "a name twice": (replaced(C, tensor_info("a.weight", 5, 3)), "appears twice"),
    "a name that is no text": (replaced(b"c.weight", b"\xff.weight"), "is no text"),
    "a tensor beside the file": (
        replaced(A + struct.pack("<IQ", 8, 0), A + struct.pack("<IQ", 8, 2**40)),
        "overlap",
    ),
    "half a file": (lambda data: data[: len(data) // 2], "."),
    "bytes that belong to none": (lambda data: data + bytes(64), "overlap"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_damaged_files_are_refused(sound: Path, case: str) -> None:
    """With what is wrong, and what to do."""
    damage, problem = HOSTILE[case]
    sound.write_bytes(damage(sound.read_bytes()))
    with pytest.raises(BrokenFileError, match=problem):
        read_gguf_header(sound)
    with pytest.raises(TapestryError) as raised:
        read_checkpoint_at("x", sound)

    assert raised.value.code is ErrorCode.MODEL_BROKEN
    assert raised.value.advice


def test_whatever_is_damaged_nothing_else_is_raised(sound: Path) -> None:
    """Bytes changed by chance, and the file cut anywhere: read as before, or refused."""
    data = sound.read_bytes()
    chance = random.Random(5)
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        stop = chance.choice([len(changed), chance.randrange(len(changed))])
        sound.write_bytes(changed[:stop])
        try:
            header = read_gguf_header(sound)
        except BrokenFileError:
            continue
        assert header.shapes
        assert stop >= len(data) - gguf_header._ALIGNMENT


@pytest.mark.parametrize(
    ("name", "data", "advice"),
    [
        ("cut.gguf", b"GGUF", "Get it again from where it came from."),
        ("cut.GGUF", b"GGUF", "Get it again from where it came from."),
        (
            "cut.safetensors",
            struct.pack("<Q", 64) + b"{",
            "Get it again from where it came from, as .safetensors.",
        ),
    ],
)
def test_a_cut_off_file_is_fetched_again_in_its_own_format(
    tmp_path: Path, name: str, data: bytes, advice: str
) -> None:
    """Packed ones are not to be had as .safetensors everywhere, and need not be."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(TapestryError) as caught:
        read_checkpoint_at("cut", path)
    assert caught.value.advice == advice


def test_a_file_larger_than_any_model_is_not_read(sound: Path) -> None:
    """Nor is a pipe, for ever."""
    os.truncate(sound, 2**40)
    with pytest.raises(BrokenFileError, match="more than"):
        read_gguf_header(sound)
    pipe = sound.with_name("pipe.gguf")
    os.mkfifo(pipe)
    with pytest.raises(BrokenFileError, match="no ordinary file"):
        read_gguf_header(pipe)


def test_without_what_reads_them_it_is_said_what_to_install(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not when a job has waited."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TapestryError, match="what reads that is missing") as raised:
        read_checkpoint_at("x", sound)
    assert "pip install gguf" in raised.value.advice
