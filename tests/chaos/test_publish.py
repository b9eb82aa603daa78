"""The published page, from rows that a run might have found."""

from tests.chaos import public_reports
from tests.chaos.publish import PAGE, RELIABILITY, ROOT, SECURITY, page_of


def row(promise: str, *measured: str, passed: bool = True, test: str = "tests/a.py::test") -> dict:
    """What a test reports."""
    return {"promise": promise, "test": test, "passed": passed, "measured": list(measured)}


def line_of(page: str, promise: str) -> str:
    """The line of a promise."""
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {promise} |"))
    return line


def test_every_promise_has_a_line() -> None:
    """Also one that no test shows, which is said."""
    page = page_of([])
    for promise in (*RELIABILITY, *SECURITY):
        assert "no test is marked with it" in line_of(page, promise)


def test_a_promise_is_kept_when_all_its_tests_pass() -> None:
    """With their figures, and where they are."""
    rows = [
        row("R1", "50 of 50"),
        row("R1", "also this", test="tests/b.py::test"),
        row("S1", passed=False),
        row("S1"),
    ]
    page = page_of(rows)
    kept, broken = line_of(page, "R1"), line_of(page, "S1")
    assert "50 of 50<br>also this<br>2 tests in `tests/a.py` and `tests/b.py`" in kept
    assert kept.endswith("| kept |")
    assert broken.endswith("| **broken** |")


def test_public_reports_are_on_the_page_and_their_tests_are_there() -> None:
    """As they are listed now."""
    assert public_reports.section() in PAGE.read_text(encoding="utf-8")
    assert public_reports.section() in page_of([])
    for kind, files in public_reports.REPORTS.items():
        assert files, kind
        for file in files:
            assert (ROOT / file).is_file(), file
