"""The report that an artist sends when asking for help."""

import secrets
from pathlib import Path

from tapestry.backend.diagnostics import TAIL_BYTES, report, tail, without_secrets


def test_a_report_says_what_helps(tmp_path: Path) -> None:
    """Versions, facts, and the ends of the logs that are there."""
    log = tmp_path / "backend.log"
    log.write_text("first line\nlast line\n", encoding="utf-8")
    text = report("Krita 5.2", [("Backend", "ready")], [log, tmp_path / "plugin.log"], [])
    assert "Tapestry 0" in text
    assert "Krita 5.2, Python 3" in text
    assert "Backend: ready" in text
    assert "last line" in text
    assert "--- plugin.log ---" in text


def test_no_token_is_in_it(tmp_path: Path) -> None:
    """Neither ours nor another, however it came into a log."""
    ours, other = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    log = tmp_path / "backend.log"
    log.write_text(
        f'Authorization: Bearer {other}\n{{"token": "{ours}"}}\ntoken=short-one x{ours}x {other}',
        encoding="utf-8",
    )
    text = report("a fake", [("Address", f"localhost:1/{ours}")], [log], [ours])
    for secret in (ours, other, "short-one"):
        assert secret not in text


def test_no_login_of_a_mirror_is_in_it() -> None:
    """Whatever its password holds; the address itself helps."""
    for login in ("artist:geheim", "geheim", "a%40b:ge@heim"):
        told = without_secrets(f"Failed to fetch: `https://{login}@mirror/simple/` (os error 1)")
        assert told == "Failed to fetch: `https://mirror/simple/` (os error 1)"
    assert without_secrets("see a@b and https://mirror/x@2") == "see a@b and https://mirror/x@2"


def test_no_name_of_a_person_is_in_it() -> None:
    """Paths begin at the home folder."""
    assert without_secrets(f"{Path.home()}/pictures") == "~/pictures"


def test_of_a_long_log_only_whole_last_lines_are_read(tmp_path: Path) -> None:
    """Whatever their encoding."""
    log = tmp_path / "backend.log"
    log.write_bytes(b"x" * 100 + b"\n" + b"\xff line\n" * 5000)
    text = tail(log)
    assert len(text) <= TAIL_BYTES
    assert set(text.splitlines()) == {"\ufffd line"}
