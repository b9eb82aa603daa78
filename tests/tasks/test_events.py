"""The end of a run is waited for, and a run that is left is closed."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tapestry_backend.tasks.events import Finished, Progressed, last_of
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Bounds, Pixels

END = Finished(Pixels(1, 1, 4, b"1234"), Bounds(0, 0, 1, 1), {})


class Run:
    """Two steps and an end, which knows whether it was closed."""

    def __init__(self, *last: Finished) -> None:
        self.last = last
        self.is_closed = False

    def events(self) -> Generator[Progressed | Finished]:
        """As a task gives them."""
        try:
            yield Progressed("denoising", 1, 2)
            yield Progressed("denoising", 2, 2)
            yield from self.last
        finally:
            self.is_closed = True


def test_the_end_comes_after_what_is_shown() -> None:
    """Each step, in order."""
    steps: list[int] = []
    assert last_of(Run(END).events(), lambda event: steps.append(event.step)) is END
    assert steps == [1, 2]


def test_a_run_that_is_left_is_closed_at_once() -> None:
    """While the error is on its way, and not when somebody tidies up."""
    run = Run(END)
    with pytest.raises(KeyboardInterrupt):
        last_of(run.events(), _interrupt)
    assert run.is_closed


def test_a_run_without_an_end_is_an_error() -> None:
    """A sentence, where a programmer has slipped."""
    with pytest.raises(TapestryError, match="was not finished"):
        last_of(Run().events(), lambda _: None)


def _interrupt(_event: Progressed) -> None:
    raise KeyboardInterrupt
