"""What a worker says of its jobs, without a process."""

import json

from tapestry_backend.workers.job_runner import report_text
from tapestry_protocol.limits import MAX_REPORT_CHARACTERS


def test_a_report_travels_as_it_is() -> None:
    """An ordinary report arrives whole."""
    report = {"plan": {"windows": [[0, 0, 64, 64]]}, "seed": 7, "seconds": {"total": 1.5}}
    assert json.loads(report_text(report)) == report


def test_a_report_that_is_too_long_loses_its_longest_parts() -> None:
    """Rather a shorter report than a lost picture: small entries stay, and it says what is not."""
    report = {"plan": [0] * MAX_REPORT_CHARACTERS, "seed": 7}
    text = report_text(report)
    assert len(text) <= MAX_REPORT_CHARACTERS
    assert json.loads(text) == {"seed": 7, "left_out": ["plan"]}
