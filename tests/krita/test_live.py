"""Painting live in a real Krita with the real backend."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.krita.krita_session import Report

pytestmark = [pytest.mark.krita, pytest.mark.timeout(2700)]

WIDTH, HEIGHT = 384, 256


def _picture(jobs: Report, name: str) -> np.ndarray:
    """What was seen of the document: [H, W, 3] of int."""
    raw = (jobs.folder / jobs.facts("paint_live")[name]).read_bytes()
    return np.frombuffer(raw, np.uint8).reshape(HEIGHT, WIDTH, 4)[..., :3].astype(int)


@pytest.mark.parametrize(
    ("before", "after", "box"),
    [
        ("first", "stroke", (60, 90, 72, 150)),
        ("stroke", "renamed", (40, 150, 120, 190)),
        ("renamed", "hidden", (40, 150, 120, 190)),
    ],
)
def test_a_change_is_painted_and_the_rest_stays(
    jobs: Report, before: str, after: str, box: tuple[int, int, int, int]
) -> None:
    """A stroke, a new name, a hidden layer; what is far from it does not flicker."""
    left, top, right, bottom = box
    change = np.abs(_picture(jobs, after) - _picture(jobs, before)).max(axis=-1)
    assert (change[top:bottom, left:right] > 8).mean() > 0.3
    assert (change[:, 230:] > 2).mean() == 0


def test_the_line_says_what_was_kept(jobs: Report) -> None:
    """Of the first picture nothing; a stroke takes at most 0.35 of its evaluations."""
    lines = [
        re.fullmatch(r"(\d+) evaluations, \d+ ms, (\d+) % kept", line)
        for line in jobs.facts("paint_live")["lines"]
    ]
    whole, stroke = lines[:2]
    assert whole is not None
    assert stroke is not None
    assert int(whole[2]) == 0
    assert int(stroke[2]) > 50
    assert int(stroke[1]) <= 0.35 * int(whole[1])


def test_the_document_is_not_marked_and_nothing_is_left(jobs: Report) -> None:
    """But for the layer that was kept."""
    facts = jobs.facts("paint_live")
    assert facts["modified"] is False
    assert [name.split(":")[0] for name in facts["layers"]].count("Tapestry") == 1
    assert len(facts["layers"]) == 6
    assert not facts["line is seen"]


def test_live_belongs_to_the_document_in_front(jobs: Report) -> None:
    """Its switch, its line and its preview: in another document none of them is there."""
    facts = jobs.facts("live_belongs_to_its_document")
    assert facts["in front"] == [True, True, True]
    assert facts["other in front"] == [False, False, False]
    assert facts["in front again"] == [True, True, True]


def test_a_saved_png_holds_no_live_picture(jobs: Report) -> None:
    """It is written again, with the layer's flat paint alone; then the picture comes back."""
    facts = jobs.facts("live_belongs_to_its_document")
    assert np.abs(np.array(facts["saved"]) - (60, 140, 60)).max() <= 2
    assert facts["after saving"] == [True, True, True]


def test_no_live_picture_stays_when_there_is_nothing_to_paint_or_another_mode(
    jobs: Report,
) -> None:
    """The line, or the notice, says so."""
    facts = jobs.facts("live_belongs_to_its_document")
    assert "nothing to paint" in facts["nothing to paint"]
    notice, is_on, _, is_shown = facts["another mode"]
    assert "belongs to Generate" in notice
    assert not is_on
    assert not is_shown


@pytest.mark.promise("R13")
def test_nothing_is_held_up_while_one_paints_live(
    jobs: Report, measured, limit_of_processor_s
) -> None:
    """Reading the document ten times a second, and showing what comes."""
    longest = jobs.facts("paint_live")["longest"]
    own = max(times[0] for times in longest.values())
    measured(f"painting live: {1000 * own:.0f} ms of Krita's UI at most")
    assert own < limit_of_processor_s(0.05)
