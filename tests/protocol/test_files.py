"""Files that are written keep what they are."""

import os
import sys
from pathlib import Path

import pytest

from tapestry_protocol.files import open_file, refuse_unwritable, write_whole

posix = pytest.mark.skipif(sys.platform == "win32", reason="rights and links of POSIX")


def names(folder: Path) -> list[str]:
    """What lies in a folder; nothing else may be left there."""
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_is_whole_and_for_whom_the_user_wants(tmp_path: Path) -> None:
    """By the umask, unless it is private."""
    write_whole(tmp_path / "a", [b"one", b"two"])
    write_whole(tmp_path / "b", [b"secret"], 0o600)
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert names(tmp_path) == ["a", "b"]
    if sys.platform != "win32":
        umask = os.umask(0)
        os.umask(umask)
        modes = [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"]
        assert modes == [0o666 & ~umask, 0o600 & ~umask]


@posix
@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to none yet"])
def test_links_are_written_through(tmp_path: Path, *, there: bool) -> None:
    """Also a link to a link, into another folder."""
    (tmp_path / "far").mkdir()
    file, link, second = tmp_path / "far" / "file", tmp_path / "link", tmp_path / "second"
    if there:
        file.write_bytes(b"old")
    link.symlink_to("far/file")
    second.symlink_to(link)
    refuse_unwritable(second)
    write_whole(second, [b"new"])
    assert file.read_bytes() == b"new"
    assert link.is_symlink()
    assert second.is_symlink()
    assert names(tmp_path / "far") == ["file"]


@posix
def test_a_named_pipe_is_refused_and_one_of_a_shell_is_written(tmp_path: Path) -> None:
    """Writing into the first one waits for a reader."""
    named = tmp_path / "pipe"
    os.mkfifo(named)
    for write in (lambda: refuse_unwritable(named), lambda: write_whole(named, [b"x"])):
        with pytest.raises(PermissionError, match="it is a pipe"):
            write()
    reading, writing = os.pipe()
    try:
        own = Path(f"/dev/fd/{writing}")
        refuse_unwritable(own)
        write_whole(own, [b"new"])
        assert os.read(reading, 10) == b"new"
    finally:
        os.close(reading)
        os.close(writing)


@posix
def test_a_named_pipe_is_not_read_and_one_of_a_shell_is(tmp_path: Path) -> None:
    """Reading from the first one waits for a writer."""
    named, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(named)
    link.symlink_to(named)
    for path in (named, link):
        with pytest.raises(PermissionError, match="it is a named pipe"):
            open_file(path)
    reading, writing = os.pipe()
    os.write(writing, b"new")
    os.close(writing)
    with open_file(Path(f"/dev/fd/{reading}")) as file:
        assert file.read() == b"new"
    os.close(reading)


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_rights_stay(tmp_path: Path, mode: int) -> None:
    """Whatever a new file would have."""
    file = tmp_path / "a"
    file.write_bytes(b"old")
    file.chmod(mode)
    write_whole(file, [b"new"])
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", mode)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="for root alone")
def test_the_owner_stays(tmp_path: Path) -> None:
    """When an administrator writes."""
    file = tmp_path / "a"
    file.write_bytes(b"old")
    os.chown(file, 65534, 65534)
    write_whole(file, [b"new"])
    status = file.stat()
    assert (status.st_uid, status.st_gid, file.read_bytes()) == (65534, 65534, b"new")


@posix
def test_all_names_of_a_file_stay_names_of_it(tmp_path: Path) -> None:
    """A shorter content leaves nothing of the longer one."""
    (tmp_path / "a").write_bytes(b"long old content")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    write_whole(tmp_path / "a", [b"new"])
    assert (tmp_path / "b").read_bytes() == b"new"
    assert names(tmp_path) == ["a", "b"]


@posix
def test_what_is_protected_is_refused_before_and_after(tmp_path: Path) -> None:
    """Also behind a link, also for an administrator."""
    file, link = tmp_path / "a", tmp_path / "link"
    file.write_bytes(b"old")
    file.chmod(0o444)
    link.symlink_to(file)
    for path in (file, link):
        with pytest.raises(PermissionError, match="protected"):
            refuse_unwritable(path)
        with pytest.raises(PermissionError, match="protected"):
            write_whole(path, [b"new"])
    assert (file.read_bytes(), names(tmp_path)) == (b"old", ["a", "link"])


@pytest.mark.parametrize("path", [".", "missing/a", "a-file/b", "x" * 300])
def test_what_cannot_be_written_is_known_before(tmp_path: Path, path: str) -> None:
    """A folder, a folder that is missing, one that is a file, a name that is too long."""
    (tmp_path / "a-file").write_bytes(b"")
    with pytest.raises(OSError, match=r"."):
        refuse_unwritable(tmp_path / path)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc of Linux")
def test_a_folder_that_takes_no_files_is_known_before() -> None:
    """Also by an administrator, who may do anything there but this."""
    with pytest.raises(OSError, match=r"may not be written|no file can be made"):
        refuse_unwritable(Path("/proc/picture.png"))


def test_asking_leaves_nothing(tmp_path: Path) -> None:
    """Whether there is a file already or not."""
    (tmp_path / "old").write_bytes(b"old")
    refuse_unwritable(tmp_path / "old")
    refuse_unwritable(tmp_path / "new")
    assert (names(tmp_path), (tmp_path / "old").read_bytes()) == (["old"], b"old")


@posix
def test_links_in_circles_are_refused(tmp_path: Path) -> None:
    """Nothing is behind them."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=r"."):
        refuse_unwritable(tmp_path / "a")


@posix
def test_a_device_is_written_to(tmp_path: Path) -> None:
    """And is one afterwards."""
    (tmp_path / "nothing").symlink_to(os.devnull)
    refuse_unwritable(tmp_path / "nothing")
    write_whole(tmp_path / "nothing", [b"new"])
    assert Path(os.devnull).is_char_device()
