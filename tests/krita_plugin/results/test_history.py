"""The history of a document, and how it is kept in its file."""

import json
import zlib
from base64 import b64encode
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestry.document.order import asked_for
from tapestry.results.history import MAX_ENTRIES, History, pack, unpack
from tapestry_protocol.pixels import Margins, Pixels
from tests.krita_plugin.entries import REQUEST, entry


def test_a_history_comes_back() -> None:
    """Everything, in order, with the request that made it."""
    first = entry(1, applied=("a", "b"), favourite=True, grown=(1, 2, 3, 4), seconds=1.5)
    history = History()
    for each in (first, entry(2, origin="x", sources=("s",), offset=(-3, 4))):
        history.add(each)
    again = History.from_text(history.to_text())
    assert (again.id, again.entries) == (history.id, history.entries)
    assert again.find("job1") == first
    assert again.entries[0].request == REQUEST
    assert again.entries[0].seed == 7


def test_the_newest_is_first_and_none_is_there_twice() -> None:
    """A result may arrive twice."""
    history = History()
    for number in (1, 2, 1):
        history.add(entry(number))
    assert [each.id for each in history.entries] == ["job2", "job1"]
    history.change("job1", favourite=True)
    history.remove("job2")
    assert [each.favourite for each in history.entries] == [True]


def test_words_are_found_in_prompts() -> None:
    """Each of them, anywhere, whatever the case; no words find all."""
    assert entry().has_words("SKY quiet")
    assert entry().has_words(" ")
    assert not entry().has_words("sky castle")


def test_margins_are_those_of_the_request() -> None:
    """They decide whether it is an extension."""
    asked = asked_for(replace(REQUEST, task="extend", margins=Margins(left=8)))
    assert entry(asked=asked).margins == Margins(left=8)
    assert entry(asked={}).margins == Margins()


def test_a_request_of_another_version_is_none() -> None:
    """The picture stays; only its settings cannot be taken."""
    kept = entry(asked={**asked_for(REQUEST), "sorcery": 1})
    assert kept.request is None
    assert kept.prompts == ("Sunset Sky", "quiet sea")


@given(st.integers(1, 96), st.integers(1, 96), st.integers(0, 255))
def test_thumbnails_come_back(height: int, width: int, value: int) -> None:
    """Bit for bit."""
    small = Pixels(height, width, 4, bytes((value,)) * (height * width * 4))
    assert unpack(pack(small)) == small


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "2x2:",
        "2x2:####",
        "2x2:" + b64encode(b"no").decode(),
        "2x2:" + b64encode(zlib.compress(bytes(17))).decode(),
        "999x999:" + b64encode(zlib.compress(bytes(10**7))).decode(),
        "2000x2:" + b64encode(zlib.compress(bytes(16000))).decode(),
    ],
)
def test_a_damaged_thumbnail_is_none(text: str) -> None:
    """A file may come from anywhere; a bomb is not unpacked."""
    assert unpack(text) is None


def test_a_note_stays_within_its_size() -> None:
    """The oldest thumbnails go first, those of favourites last, then the oldest pictures."""
    history = History()
    for number in range(20):
        history.add(entry(number, thumbnail="t" * 1000, favourite=number == 0))
    least = len(history.to_text(10**9))
    text = history.to_text(least - 5000)
    assert len(text) <= least - 5000
    kept = {each.id: each.thumbnail for each in History.from_text(text).entries}
    assert len(kept) == 20
    assert kept["job0"]
    assert kept["job19"]
    assert not kept["job1"]
    short = History.from_text(history.to_text(3000)).entries
    assert len(history.to_text(3000)) <= 3000
    assert "job0" in {each.id for each in short}
    assert "job1" not in {each.id for each in short}


def test_there_is_an_end_to_a_history() -> None:
    """The oldest are forgotten."""
    history = History("x", [entry(number) for number in range(MAX_ENTRIES)])
    history.add(entry(MAX_ENTRIES))
    assert len(history.entries) == MAX_ENTRIES
    assert history.entries[0].id == f"job{MAX_ENTRIES}"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"entries": 3}', "[" * 100_000])
def test_a_damaged_note_is_an_empty_history(text: str) -> None:
    """With an id of its own."""
    history = History.from_text(text)
    assert history.entries == []
    assert history.id


@pytest.mark.parametrize(
    "damage",
    [
        {"sha256": "../../etc/passwd"},
        {"sha256": 3},
        {"id": "a/b"},
        {"height": "20"},
        {"height": 21},
        {"bounds": [0, 0, 20]},
        {"bounds": [0, 0, 0, 0], "height": 0, "width": 0},
        {"document": [1, 2, 3]},
        {"grown": [0, 0, 0, -5]},
        {"asked": []},
        {"offset": [1]},
        {"new_document": 1},
        {"asked": {"task": "upscale", "height": 10**9, "width": 8}},
        {"asked": {"task": "upscale"}},
    ],
)
def test_a_damaged_entry_is_left_out_alone(damage: dict) -> None:
    """The others are kept."""
    entries = [asdict(entry(1)) | damage, asdict(entry(2)), 5]
    history = History.from_text(json.dumps({"id": "doc", "entries": entries}))
    assert [each.id for each in history.entries] == ["job2"]
    assert history.id == "doc"


@pytest.mark.parametrize(
    ("field", "odd", "instead"),
    [
        *(("favourite", odd, False) for odd in (5, None, "yes")),
        *(("name", odd, "") for odd in (None, 3)),
        *(("made_at", odd, 0) for odd in ("x", -1, 10**30, 1.5, True)),
        *(("seconds", odd, 0.0) for odd in ("long", None, float("nan"), float("inf"), -1)),
        *(("applied", odd, ()) for odd in ("x", [1], {"a": 1}, None)),
        *(("sources", odd, ()) for odd in ("x", [None], 7)),
        *((text, 4, "") for text in ("thumbnail", "origin", "origin_name", "adapters")),
        ("layered", [1], {}),
    ],
)
def test_an_odd_field_beside_a_picture_takes_its_default(
    field: str, odd: Any, instead: Any
) -> None:
    """The picture stays in the document, also when its history is written again."""
    entries = [asdict(entry(1, applied=("a",), favourite=True)) | {field: odd}]
    history = History.from_text(json.dumps({"id": "doc", "entries": entries}))
    again = History.from_text(history.to_text())
    expected = replace(entry(1, applied=("a",), favourite=True), **{field: instead})
    assert history.entries == again.entries == [expected]
