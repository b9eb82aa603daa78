"""Pictures on disk."""

import os
from pathlib import Path

import pytest

from tapestry.common.task_queue import run_on
from tapestry.results import picture_store
from tapestry.results.picture_store import PictureStore
from tapestry_protocol.pixels import Pixels, PixelsRef
from tests.krita_plugin.pieces import finish

CHECKSUM_BYTES = 4
"""zlib's own, at the end; SHA-256 knows better."""


def noise(number: int, height: int = 40, width: int = 30, channels: int = 4) -> Pixels:
    """A picture that does not become smaller, another one for each number."""
    count = height * width * channels
    return Pixels(height, width, channels, (number.to_bytes(4, "big") + os.urandom(count))[:count])


def kept(folder: Path, *pictures: Pixels) -> None:
    """Keep them, one after the other in time."""
    store = PictureStore(folder)
    for age, pixels in enumerate(pictures):
        finish(store.keep(pixels.sha256, pixels))
        path = folder / f"{pixels.sha256}.picture"
        os.utime(path, (1000 + age, 1000 + age))


@pytest.mark.parametrize("channels", [1, 4])
def test_a_picture_comes_back(tmp_path: Path, monkeypatch, channels: int) -> None:
    """In another session, in pieces; nothing else is left in the folder."""
    monkeypatch.setattr(picture_store, "_PIECE_BYTES", 1000)
    pixels = noise(1, channels=channels)
    kept(tmp_path, pixels)
    assert finish(PictureStore(tmp_path).read(PixelsRef.of(pixels))) == pixels
    assert [path.name for path in tmp_path.iterdir()] == [f"{pixels.sha256}.picture"]


def test_a_missing_picture_is_none(tmp_path: Path) -> None:
    """Nor is a folder made for it."""
    store = PictureStore(tmp_path / "deep")
    assert finish(store.read(PixelsRef(1, 1, 4, "0" * 64))) is None
    store.shrink(0)
    store.forget("0" * 64)
    store.hold("0" * 64, on=True)
    assert not (tmp_path / "deep").exists()


def test_a_damaged_file_is_none(tmp_path: Path) -> None:
    """Cut anywhere, or with any byte changed, or made to be unpacked for ever."""
    pixels = noise(1, 4, 4)
    kept(tmp_path, pixels)
    path = tmp_path / f"{pixels.sha256}.picture"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place])
        found = finish(PictureStore(tmp_path).read(PixelsRef.of(pixels)))
        assert found == (pixels if place >= len(whole) - CHECKSUM_BYTES else None)
        flipped = bytes((whole[place] ^ 0x10,))
        path.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        assert finish(PictureStore(tmp_path).read(PixelsRef.of(pixels))) in (None, pixels)


def test_the_oldest_go_when_there_is_no_room_but_favourites_stay(tmp_path: Path) -> None:
    """Until a favourite is none any more."""
    pictures = [noise(number) for number in range(4)]
    kept(tmp_path, *pictures)
    store = PictureStore(tmp_path)
    store.hold(pictures[0].sha256, on=True)
    store.shrink(3 * 5000)
    left = [finish(PictureStore(tmp_path).read(PixelsRef.of(p))) is not None for p in pictures]
    assert left == [True, False, True, True]
    store.hold(pictures[0].sha256, on=False)
    store.shrink(0)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_is_kept_again_is_young_again(tmp_path: Path) -> None:
    """And not written twice."""
    first, second = noise(1), noise(2)
    kept(tmp_path, first, second)
    finish(PictureStore(tmp_path).keep(first.sha256, first))
    PictureStore(tmp_path).shrink(5000)
    assert finish(PictureStore(tmp_path).read(PixelsRef.of(first))) == first
    assert finish(PictureStore(tmp_path).read(PixelsRef.of(second))) is None


def test_a_disk_that_takes_nothing_leaves_the_picture_in_memory(tmp_path: Path) -> None:
    """The folder's place is taken by a file."""
    (tmp_path / "taken").write_text("")
    store, pixels = PictureStore(tmp_path / "taken"), noise(1)
    with pytest.raises(OSError, match="taken"):
        finish(store.keep(pixels.sha256, pixels))
    assert finish(store.read(PixelsRef.of(pixels))) == pixels


def test_what_is_stopped_half_way_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    """Krita may end at any time."""
    monkeypatch.setattr(picture_store, "_PIECE_BYTES", 1000)
    pixels = noise(1)
    work = PictureStore(tmp_path).keep(pixels.sha256, pixels)
    run_on(work)
    work.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_krita_left_is_removed(tmp_path: Path, monkeypatch) -> None:
    """And not what another one is writing just now."""
    monkeypatch.setattr(picture_store, "_PIECE_BYTES", 1000)
    (tmp_path / ".aside-left").write_bytes(bytes(10_000))
    pixels, other = noise(1), noise(2)
    work = PictureStore(tmp_path).keep(pixels.sha256, pixels)
    run_on(work)
    kept(tmp_path, other)
    PictureStore(tmp_path).shrink(100_000)
    assert len(list(tmp_path.glob(".aside-*"))) == 1
    finish(work)
    names = {f"{each.sha256}.picture" for each in (pixels, other)}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_pictures_with_the_same_bytes_have_each_its_own_size(tmp_path: Path) -> None:
    """As those of one colour have, in memory and on disk."""
    wide, high = Pixels(4, 8, 4, bytes(128)), Pixels(8, 4, 4, bytes(128))
    store = PictureStore(tmp_path)
    for pixels in (wide, high):
        finish(store.keep(pixels.sha256, pixels))
    for each in (store, PictureStore(tmp_path)):
        assert [finish(each.read(PixelsRef.of(p))) for p in (wide, high)] == [wide, high]
    assert finish(store.read(PixelsRef(2, 2, 4, wide.sha256))) is None


def test_memory_holds_a_few_only(tmp_path: Path, monkeypatch) -> None:
    """The latest ones; the others are read from disk."""
    monkeypatch.setattr(picture_store, "_RECENT_BYTES", 10_000)
    store = PictureStore(tmp_path)
    pictures = [noise(number) for number in range(4)]
    for pixels in pictures:
        finish(store.keep(pixels.sha256, pixels))
    for path in tmp_path.iterdir():
        path.unlink()
    assert [finish(store.read(PixelsRef.of(p))) for p in pictures] == [None, None, *pictures[2:]]
    store.forget(pictures[3].sha256)
    assert finish(store.read(PixelsRef.of(pictures[3]))) is None


@pytest.mark.parametrize("damage", ["another byte", "cut", "another picture", "nothing"])
def test_a_damaged_picture_is_mended_when_it_is_kept_again(tmp_path: Path, damage: str) -> None:
    """Whatever its size says."""
    pixels, other = noise(1), noise(2)
    kept(tmp_path, pixels, other)
    path = tmp_path / f"{pixels.sha256}.picture"
    whole = path.read_bytes()
    path.write_bytes(
        {
            "another byte": whole[:999] + bytes((whole[999] ^ 1,)) + whole[1000:],
            "cut": whole[: len(whole) // 2],
            "another picture": (tmp_path / f"{other.sha256}.picture").read_bytes(),
            "nothing": b"",
        }[damage]
    )
    assert finish(PictureStore(tmp_path).read(PixelsRef.of(pixels))) is None
    finish(PictureStore(tmp_path).keep(pixels.sha256, pixels))
    assert finish(PictureStore(tmp_path).read(PixelsRef.of(pixels))) == pixels


def test_what_is_released_is_there_until_its_room_is_needed(tmp_path: Path) -> None:
    """Then it goes first, also if it was held."""
    first, second = noise(1), noise(2)
    kept(tmp_path, first, second)
    store = PictureStore(tmp_path)
    store.hold(second.sha256, on=True)
    store.release(second.sha256)
    store.release("0" * 64)
    assert finish(PictureStore(tmp_path).read(PixelsRef.of(second))) == second
    store.shrink(6000)
    left = [finish(PictureStore(tmp_path).read(PixelsRef.of(p))) for p in (first, second)]
    assert left == [first, None]
