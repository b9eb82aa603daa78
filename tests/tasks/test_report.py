"""The stopwatch: seconds add up per stage, also when a stage is entered many times or fails."""

import pytest

from tapestry_backend.tasks.report import Stopwatch


def test_stages_add_up() -> None:
    """Each entry counts towards its stage; the total covers all of them."""
    watch = Stopwatch()
    for _ in range(2):
        with watch.stage("denoise"):
            sum(range(1000))
    seconds = watch.seconds

    assert seconds["denoise"] > 0
    assert seconds["load"] == 0
    assert seconds["total"] >= seconds["denoise"]


def test_a_stage_that_fails_is_counted() -> None:
    """An error on the way does not lose the time spent."""
    watch = Stopwatch()
    with pytest.raises(KeyError), watch.stage("decode"):
        raise KeyError

    assert watch.seconds["decode"] > 0
