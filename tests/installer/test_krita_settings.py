"""kritarc: our one line goes in and out, every other byte stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.krita import disable, enable, enabled, krita_folders

FULL = (
    b"[AdvancedColorSelector]\r\nlabel=a[b]=c\r\n\r\n[python]\r\nenable_comics=false\r\n"
    b"enable_tapestry_other=true\r\n\r\n[theme]\r\nTheme=Krita dark\r\n"
)


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"[theme]\nTheme=dark\n",
        b"[theme]\nTheme=dark",
        b"[python]\nenable_comics=true\n",
        b"[python]",
        FULL,
        b"\xff\xfe[not text]\n",
    ],
)
def test_switching_on_adds_one_line_to_its_section(before: bytes) -> None:
    """Whatever was there is there afterwards, and the plugin is on."""
    after = enable(before)
    assert enabled(after)
    kept = after.splitlines()
    for line in before.splitlines():
        kept.remove(line)
    assert set(kept) <= {b"enable_tapestry=true", b"[python]", b""}
    assert enable(after) == after


def test_a_plugin_that_was_switched_off_is_switched_on() -> None:
    """The line is changed where it stands."""
    before = b"[python]\nenable_tapestry=false\nenable_comics=true\n[theme]\n"
    assert not enabled(before)
    assert enable(before) == before.replace(b"tapestry=false", b"tapestry=true")


def test_the_same_key_elsewhere_is_not_ours() -> None:
    """Only the [python] section counts."""
    assert not enabled(b"[other]\nenable_tapestry=true\n")
    assert disable(b"[other]\nenable_tapestry=true\n") == b"[other]\nenable_tapestry=true\n"


_LINES = st.sampled_from(
    [b"[theme]", b"[python]", b"Theme=dark", b"enable_comics=true", b"# a [python] line", b""]
)


@given(st.lists(_LINES, max_size=8), st.sampled_from([b"\n", b"\r\n"]))
def test_switching_off_gives_back_what_was_there(lines: list[bytes], newline: bytes) -> None:
    """Byte for byte, but for an empty [python] section, which Krita itself would drop."""
    before = b"".join(line + newline for line in lines)
    after = disable(enable(before))
    assert not enabled(after)
    if b"enable_comics=true" in after or b"[python]" not in lines:
        changed = [line for line in before.splitlines() if line not in after.splitlines()]
        assert set(changed) <= {b"[python]", b""}
    if b"[python]" not in lines:
        assert after == before


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of other systems differ")
def test_folders_follow_the_users_environment() -> None:
    """XDG variables where they are set, the usual places in HOME otherwise."""
    plain = krita_folders({"HOME": "/home/ada"})
    assert plain.pykrita == Path("/home/ada/.local/share/krita/pykrita")
    assert plain.kritarc == Path("/home/ada/.config/kritarc")
    moved = krita_folders({"HOME": "/h", "XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "/c"})
    assert moved.pykrita == Path("/d/krita/pykrita")
    assert moved.kritarc == Path("/c/kritarc")
