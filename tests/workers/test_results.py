"""A finished picture as a message: what travels, and what is made of it."""

import json

from tapestry_backend.tasks.events import Finished, LayeredPicture, RegionPicture
from tapestry_backend.workers.results import finished_of, report_text, result_of
from tapestry_protocol.limits import MAX_REPORT_CHARACTERS
from tapestry_protocol.messages import Request, Result
from tapestry_protocol.pixels import Bounds, Pixels
from tapestry_protocol.sentences import Sentence


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


def test_of_a_plan_that_is_too_long_the_rest_stays() -> None:
    """Of many regions with long prompts; where they lie is still told."""
    report = {"plan": {"regions": ["x" * MAX_REPORT_CHARACTERS], "cell_px": 8}, "seed": 7}
    assert json.loads(report_text(report)) == {
        "plan": {"cell_px": 8},
        "seed": 7,
        "left_out": ["plan.regions"],
    }


def test_a_result_is_the_same_at_the_other_end() -> None:
    """Pixels, bounds, layers, notices and all."""
    base, own = Pixels(4, 4, 4, bytes(range(64))), Pixels(2, 2, 4, b"\x07" * 16)
    layer = RegionPicture(1, Bounds(1, 1, 3, 3), own, Pixels(2, 2, 1, b"\xff" * 4))
    notice = Sentence("The region {name} is small.", name="sand")
    finished = Finished(
        base, Bounds(0, 0, 4, 4), {"notices": [notice]}, LayeredPicture(base, (layer,))
    )
    sent = result_of("a", Request("generate", 4, 4, prompt="sand"), finished)
    assert isinstance(sent.message, Result)
    found = finished_of(sent.message, sent.blobs)
    assert found == finished
    assert found.report["notices"][0].values == {"name": "sand"}
