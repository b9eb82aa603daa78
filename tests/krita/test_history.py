"""Pictures, their history, and documents that change, in a real Krita with the real backend."""

from __future__ import annotations

from typing import Any

import pytest

from tests.krita.krita_session import Report, longest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(6000)]

PAINTED = ["sunset sky", "green grass", "Background"]
NAME = "Tapestry: sunset sky, green grass (seed 42)"
PREVIEW = "Tapestry: preview (not saved)"


@pytest.mark.promise("R16")
@pytest.mark.parametrize("change", ["resized", "flattened", "gray", "16 bits", "layer deleted"])
def test_a_document_that_changes_gets_its_picture_when_it_is_asked(
    jobs: Report, change: str, measured
) -> None:
    """A notice says so, the picture waits in the history, and Apply puts it into the document."""
    facts = jobs.facts("documents_that_change")[change]
    assert "has changed" in facts["notice"][0]
    assert facts["new"] == 1
    assert NAME not in facts["before"]
    assert facts["after"][0] == NAME
    assert facts["colors"][2] > 60
    measured(f"{change}: kept, and inserted when asked")


@pytest.mark.parametrize(
    ("change", "space"), [("gray", ["GRAYA", "U8"]), ("16 bits", ["RGBA", "U16"])]
)
def test_a_picture_takes_the_colours_of_its_document(jobs: Report, change: str, space) -> None:
    """Whatever it was converted to meanwhile."""
    assert jobs.facts("documents_that_change")[change]["colors"][:2] == space


@pytest.mark.promise("R16")
def test_a_closed_documents_picture_goes_to_a_new_one(jobs: Report) -> None:
    """When Apply is pressed."""
    facts = jobs.facts("documents_that_change")["closed"]
    assert "was closed" in facts["notice"][0]
    assert (facts["before"], facts["new"]) == ([], 1)
    assert facts["after"] == [NAME, "Background"]


@pytest.mark.promise("R16")
def test_a_renamed_layer_is_no_change(jobs: Report) -> None:
    """The picture is inserted at once."""
    facts = jobs.facts("documents_that_change")["renamed"]
    assert facts["notice"] == ["", ""]
    assert facts["after"] == [NAME, "night", *PAINTED[1:]]


@pytest.mark.promise("R16")
def test_a_document_behind_gets_its_picture(jobs: Report) -> None:
    """Another document came to the front."""
    facts = jobs.facts("documents_that_change")["switched"]
    assert facts["notice"] == ["", ""]
    assert facts["its own"] == [NAME, *PAINTED]
    assert facts["before"] == ["Background"]


@pytest.fixture(scope="module")
def survived(jobs: Report) -> dict[str, Any]:
    """What was seen of a document that was saved, closed and opened."""
    return jobs.facts("history_survives")


def test_a_history_survives_save_close_and_reopen(survived: dict[str, Any]) -> None:
    """With thumbnails, settings and favourites; within 5 MB."""
    assert "Seed 42, 4 steps" in survived["tooltip"]
    assert survived["favourite"]
    assert 0 < survived["note"] < 5_000_000


def test_a_picture_can_be_taken_back_and_applied_after_reopening(survived: dict[str, Any]) -> None:
    """The layer is known by its id, the pixels by their hash."""
    assert survived["taken back"] == PAINTED
    assert survived["applied"] == [NAME, *PAINTED]


def test_a_history_is_searched_by_prompt(survived: dict[str, Any]) -> None:
    """By all of the words, among those of closed documents, too."""
    assert survived["found"] == survived["without a document"] + 1
    assert survived["found nothing"] == 0


def test_a_preview_is_seen_and_never_saved(jobs: Report) -> None:
    """Saved by Krita's action, and by a script: the file has the regions and no preview."""
    facts = jobs.facts("previews_are_not_saved")
    layers, is_colourful = facts["shown"]
    assert layers == [PREVIEW, *PAINTED]
    assert is_colourful
    assert facts["saved by the action"] == [False, True]
    assert facts["saved by a script"] == [False, True]


def test_a_preview_is_no_modification(jobs: Report) -> None:
    """Neither when it is shown nor when it has gone; one that becomes a layer is one."""
    facts = jobs.facts("previews_are_not_saved")
    assert facts["modified"] == [False, False, True]


def test_a_preview_becomes_the_layer_and_one_undo_takes_it_back(jobs: Report) -> None:
    """As a layer that was never a preview."""
    facts = jobs.facts("previews_are_not_saved")
    assert facts["applied"] == [NAME, *PAINTED]
    assert facts["undone"] == PAINTED


@pytest.fixture(scope="module")
def ways(jobs: Report) -> dict[str, Any]:
    """What was seen of all ways to apply a picture."""
    return jobs.facts("ways_to_apply")


def test_regions_become_layers_of_a_group(ways: dict[str, Any]) -> None:
    """Cut by their masks, no regions themselves, and one undo takes the group back."""
    assert ways["group"] == [
        "Tapestry: sunset sky",
        "Tapestry: green grass",
        "Tapestry: everything else",
    ]
    assert ways["boxes"] == [[0, 0, 128, 64], [0, 64, 128, 64], [0, 0, 128, 128]]
    assert ways["regions"] == PAINTED[:2]
    assert ways["group undone"] == PAINTED


def test_a_picture_goes_into_the_active_layer_and_back(ways: dict[str, Any]) -> None:
    """The layer keeps its name."""
    assert ways["active"] == [PAINTED, [0, 0, 128, 128]]
    assert ways["active taken back"] == [PAINTED, [0, 0, 128, 64]]


def test_an_extension_is_taken_back_as_a_whole(ways: dict[str, Any]) -> None:
    """With one click."""
    assert ways["extended"] == [256, 4]
    assert ways["extension taken back"] == [128, PAINTED]


@pytest.fixture(scope="module")
def many(jobs: Report) -> dict[str, Any]:
    """What was seen of several jobs at once."""
    return jobs.facts("many_jobs")


def test_a_batch_waits_in_the_history(many: dict[str, Any]) -> None:
    """Only the requested picture is inserted; all are in the history, newest first."""
    assert many["queue"]
    assert many["layers of the batch"] == PAINTED
    assert many["layers"] == [NAME, *PAINTED]
    seeds = [name.rpartition("(")[2] for name in many["history"][:3]]
    assert seeds == ["seed 42)", "seed 43)", "seed 42)"]


def test_a_live_preview_is_no_region_and_costs_no_undo(many: dict[str, Any]) -> None:
    """It becomes the layer."""
    assert many["regions meanwhile"] == PAINTED[:2]
    assert many["undone"] == PAINTED


def test_all_jobs_can_be_cancelled_at_once(many: dict[str, Any]) -> None:
    """And leave nothing, not even a preview."""
    layers, count, notice = many["cancelled"]
    assert (layers, count) == (PAINTED, len(many["history"]))
    assert notice == ["Cancelled.", ""]


@pytest.mark.promise("R13")
def test_a_large_picture_leaves_krita_usable(jobs: Report, measured, limit_of_processor_s) -> None:
    """Kept, inserted, and shown, in pieces of less than 50 ms of Krita's time."""
    facts = jobs.facts("a_large_picture_stays_usable")
    assert facts["layers"] == ["Tapestry: sea (seed 0)", "moon", "sky", "sea", "Background"]
    own, drawing = longest(facts["longest"])
    measured(
        f"keeping, inserting, showing and hiding a large picture: {1000 * own:.0f} ms of Krita's "
        f"UI at most, {1000 * drawing:.0f} ms with what Krita draws meanwhile"
    )
    assert own < limit_of_processor_s(0.05), facts


OTHER_WAYS = {
    "regions": "a large picture as a group of regions",
    "active": "a large picture into the active layer",
    "layer": "a large picture into a new document",
}
OPENING = "insertion_into_new_document"


@pytest.mark.promise("R13")
@pytest.mark.parametrize("way", OTHER_WAYS)
def test_other_ways_to_insert_a_large_picture(
    jobs: Report, way: str, measured, limit_of_processor_s
) -> None:
    """In pieces of less than 50 ms of Krita's time, but for the opening of a new document."""
    facts = jobs.facts("large_pictures_in_other_ways")[way]
    own, drawing = longest(facts["longest"])
    opening = [own for own, _, where in facts["pieces"] if where.startswith(OPENING)]
    if opening:
        own, drawing, *_ = max(p for p in facts["pieces"] if not p[-1].startswith(OPENING))
        measured(f"opening a document for a picture is Krita's own: {1000 * max(opening):.0f} ms")
    measured(
        f"{OTHER_WAYS[way]}: {1000 * own:.0f} ms of Krita's UI at most, "
        f"{1000 * drawing:.0f} ms with what Krita draws meanwhile"
    )
    assert bool(opening) == (way == "layer")
    assert own < limit_of_processor_s(0.05), facts["pieces"]


def test_a_large_group_of_regions_is_one_step_of_undo(jobs: Report) -> None:
    """Each layer is cut by its mask; the step before is the artist's own."""
    facts = jobs.facts("large_pictures_in_other_ways")["regions"]
    parts = [[0, top, 4096, 800] for top in (1200, 600, 0)]
    assert facts["boxes"] == [*parts, [0, 0, 4096, 2048]]
    assert facts["undone"] == [["moon", "sky", "sea", "Background"], ["sky", "sea", "Background"]]


def test_a_large_picture_in_the_active_layer_is_two_steps_of_undo(jobs: Report) -> None:
    """The layer keeps its name, and is what it was afterwards."""
    facts = jobs.facts("large_pictures_in_other_ways")["active"]
    assert facts["box"] == [0, 0, 4096, 2048]
    assert facts["undone"] == [["moon", "sky", "sea", "Background"], [0, 1200, 4096, 800]]


def test_a_large_picture_of_a_closed_document_goes_to_a_new_one(jobs: Report) -> None:
    """When Apply is pressed."""
    facts = jobs.facts("large_pictures_in_other_ways")["layer"]
    assert facts["layers"] == ["Tapestry: sea (seed 0)", "Background"]
