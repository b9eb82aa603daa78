"""Journal, store and state on a disk that fails, is damaged, or loses its power."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from tapestry_backend.server.persistence.disk import Disk
from tapestry_backend.server.persistence.journal import Journal, unpack
from tapestry_backend.server.persistence.journal_state import JournalState, Record
from tapestry_backend.server.persistence.store import Store
from tests.server.failing_disk import FailingDisk

PAYLOADS = [b"one", b"", b"three" * 100, b"\x00" * 8, b"five"]
FLIPS = 3000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal that holds PAYLOADS."""
    path = tmp_path / "journal"
    journal = Journal(path, Disk())
    journal.rewrite(PAYLOADS[:2])
    for payload in PAYLOADS[2:]:
        journal.append(payload)
    journal.sync()
    journal.close()
    return path


def starts(data: bytes) -> list[int]:
    """Where the records of the journal end: behind the first one, the second, and so on."""
    ends = [len(data) - sum(8 + len(payload) for payload in PAYLOADS)]
    for payload in PAYLOADS:
        ends.append(ends[-1] + 8 + len(payload))
    return ends


def test_what_was_written_is_read(path: Path) -> None:
    """In order, also after it was written anew; a new one is empty."""
    assert Journal(path, Disk()).read() == (PAYLOADS, True)
    assert Journal(path.with_name("new"), Disk()).read() == ([], True)


@pytest.mark.promise("R9")
def test_a_journal_cut_at_any_byte_loses_what_was_cut(path: Path, measured) -> None:
    """Every record that is whole is there; the rest is not guessed."""
    data = path.read_bytes()
    ends = starts(data)
    for cut in range(len(data)):
        found, is_whole = unpack(data[:cut])
        whole = sum(end <= cut for end in ends[1:])
        assert found == PAYLOADS[:whole]
        assert is_whole == (cut in ends or cut == 0)
    measured(f"cut at each of {len(data)} bytes: only what was cut is lost")


@pytest.mark.promise("R9")
def test_a_flipped_bit_costs_the_records_from_there_on(path: Path, measured) -> None:
    """None before it, and it never stops the start."""
    data, luck = path.read_bytes(), random.Random(9)
    ends = starts(data)
    for _ in range(FLIPS):
        at = luck.randrange(len(data))
        spoilt = bytearray(data)
        spoilt[at] ^= 1 << luck.randrange(8)
        found, is_whole = unpack(bytes(spoilt))
        assert found == PAYLOADS[: max(0, sum(end <= at for end in ends) - 1)]
        assert not is_whole
    measured(f"{FLIPS} flipped bits: nothing before the bit is lost, every start succeeds")


def test_a_write_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    """Written anew means: wholly, or not at all; nothing half written stays beside it."""
    before = path.read_bytes()
    for after in range(4):
        with pytest.raises(OSError, match="No space"):
            Journal(path, FailingDisk(after)).rewrite([b"x" * 100])
        assert path.read_bytes() == before
        assert [found.name for found in path.parent.iterdir()] == ["journal"]


def test_a_store_keeps_blobs_by_their_content(tmp_path: Path) -> None:
    """Twice the same is there once, damage is found, what is no longer needed is removed."""
    store = Store(tmp_path / "blobs", Disk())
    names = [hashlib.sha256(data).hexdigest() for data in (b"a", b"b")]
    assert not store.holds(names[0])
    for name, data in zip(names, (b"a", b"b"), strict=True):
        store.put(name, data)
        store.put(name, data)
    assert store.get(names[0]) == b"a"
    assert store.holds(names[0])
    store.path_of(names[0]).write_bytes(b"x")
    assert store.get(names[0]) is None
    assert not store.holds(names[0])
    store.put(names[0], b"a")  # of the same size, and mended
    assert store.get(names[0]) == b"a"
    store.remove(names[0])
    (tmp_path / "blobs" / ".aside-1").write_bytes(b"half")
    store.sweep({names[1]})
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [names[1]]


def test_a_journals_state_is_the_sum_of_its_records() -> None:
    """And the fewest records that give it again give it again."""
    journal_state = JournalState()
    for record in (
        Record("accepted", "a", 1.0, "submit a", ("input",)),
        Record("accepted", "b", 2.0, "submit b"),
        Record("accepted", "c", 3.0, "submit c"),
        Record("accepted", "d", 3.0, "submit d"),
        Record("started", "a", 4.0, tries=1),
        Record("started", "a", 4.0, tries=2),
        Record("stopping", "a", 4.0),
        Record("ended", "b", 5.0, "end b", ("picture",)),
        Record("delivered", "c", 6.0, "digest c"),
        Record("dropped", "d", 6.0),
        Record("ended", "never heard of", 6.0),
    ):
        journal_state.add(Record.from_bytes(record.to_bytes()))
    assert list(journal_state.entries) == ["a", "b"]
    assert (journal_state.entries["a"].tries, journal_state.entries["a"].is_stopping) == (2, True)
    assert journal_state.entries["b"].ended.text == "end b"
    assert journal_state.needed() == {"input", "picture"}
    assert journal_state.delivered["c"].text == "digest c"
    again = JournalState()
    for record in journal_state.records():
        again.add(record)
    assert again == journal_state


def test_delivered_ids_are_remembered_for_a_day() -> None:
    """Then they are forgotten, oldest first."""
    journal_state = JournalState()
    for number in range(3):
        journal_state.add(Record("delivered", str(number), number * 50_000.0, "digest"))
    assert list(journal_state.delivered) == ["1", "2"]


@pytest.mark.skipif(os.name != "posix", reason="rights and links of POSIX")
def test_a_journal_behind_a_link_stays_there(tmp_path: Path) -> None:
    """With its rights; one that is protected is not written anew."""
    kept, link = tmp_path / "kept", tmp_path / "journal"
    kept.write_bytes(b"")
    kept.chmod(0o640)
    link.symlink_to(kept)
    journal = Journal(link, Disk())
    journal.rewrite([b"a"])
    journal.close()
    assert link.is_symlink()
    assert kept.stat().st_mode & 0o777 == 0o640
    assert Journal(kept, Disk()).read() == ([b"a"], True)
    kept.chmod(0o444)
    with pytest.raises(PermissionError):
        Journal(link, Disk()).rewrite([b"b"])
    assert Journal(kept, Disk()).read() == ([b"a"], True)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"x", b"[]", b"{}", b'{"what": 1, "blobs": []}', b"null"),
        *(b"[" * 100_000, b'{"what": "ended", "blobs": 5}'),
    ],
)
def test_a_payload_that_is_no_record_is_a_value_error(data: bytes) -> None:
    """A journal of a later version, for example."""
    with pytest.raises(ValueError, match=r"."):
        Record.from_bytes(data)
