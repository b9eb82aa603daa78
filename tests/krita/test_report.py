"""A run that ends early says how, and where; no Krita here."""

import signal
from pathlib import Path

import pytest

from tests.krita.krita_session import Report, how_it_ended

DONE = {"generate": {"error": None, "facts": {"layers": 3}}}


@pytest.mark.parametrize(
    ("status", "report", "sentence"),
    [
        (-signal.SIGSEGV, ("cancel", False), "Krita ended by SIGSEGV in the scenario cancel"),
        (None, ("cancel", False), "Krita was killed in the scenario cancel: its time was over"),
        (1, ("", False), "Krita ended with status 1 between scenarios"),
        (0, ("", True), "Krita ended with status 0 after all scenarios"),
    ],
)
def test_how_krita_ended_is_a_sentence(status, report, sentence: str) -> None:
    """With the signal, and with the scenario that was being played."""
    playing, finished = report
    found = {"scenarios": DONE, "playing": playing, "finished": finished}
    assert how_it_ended(status, found) == sentence


def test_krita_that_never_began() -> None:
    """As when its libraries are not there."""
    found = {"scenarios": {}, "playing": "", "finished": False}
    assert how_it_ended(127, found) == "Krita ended with status 127 before the first scenario"


def test_a_scenario_that_was_not_played_fails_with_that_sentence() -> None:
    """And with the end of the log, without what Qt says of every window."""
    noise = "QObject::connect: No such signal QQmlSizeValueType::destroyed(QObject *)\n"
    output = f"Fatal Python error: Segmentation fault\n{200 * noise}"
    report = Report(Path(), DONE, output, "Krita ended by SIGSEGV", backend_stopped=True)
    assert report.facts("generate") == {"layers": 3}
    with pytest.raises(AssertionError, match="SIGSEGV\nFatal Python error: Seg") as failure:
        report.facts("cancel")
    assert noise not in str(failure.value)
