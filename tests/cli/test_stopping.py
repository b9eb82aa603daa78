"""Signals that end a command, and those that may not."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from tapestry_backend.cli.stopping import stoppable, undisturbed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_is_taken_as_ctrl_c(name: str) -> None:
    """With the status that shells know; afterwards it is what it was."""
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt) as stopped, stoppable():
            signal.raise_signal(number)
        assert stopped.value.args == (128 + number,)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored() -> None:
    """As nohup wants it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_disturbs_what_must_be_kept() -> None:
    """A closed terminal sends its signal twice, and people press Ctrl-C again."""
    with stoppable(), undisturbed():
        for name in ("SIGTERM", "SIGHUP", "SIGINT"):
            signal.raise_signal(getattr(signal, name))


def test_other_threads_leave_signals_alone() -> None:
    """In Python only the main thread sets what becomes of them."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with stoppable(), undisturbed():
                pass
        except ValueError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == []
