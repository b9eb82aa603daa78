"""What the docker finds in real documents, and what it says; no backend anywhere."""

import pytest

from tests.krita.krita_session import Report, longest
from tests.krita_plugin.canvas_contract import clauses

pytestmark = [pytest.mark.krita, pytest.mark.timeout(2700)]


@pytest.mark.parametrize("clause", clauses())
def test_krita_keeps_the_canvas_contract(documents: Report, clause: str) -> None:
    """The same clauses that the fake keeps."""
    assert documents.facts("canvas_contract")[clause] == "kept"


def test_no_document(documents: Report) -> None:
    """The docker is seen on Krita's start page: a sentence, and what to do."""
    facts = documents.facts("no_document")
    assert facts["seen"]
    assert facts["remarks"] == "No document is open."
    assert facts["notice"][0] == "No document is open."
    assert "File > New" in facts["notice"][1]


def test_no_backend(documents: Report) -> None:
    """Told when a document is opened, and again when a button is pressed."""
    facts = documents.facts("no_backend")
    assert facts["opened"] == facts["pressed"]
    assert "not installed" in facts["opened"][0]
    assert "python3 installer plugin" in facts["opened"][1]
    assert facts["status"] == "Backend: not there"


def test_empty_document(documents: Report) -> None:
    """Krita's first layer, Background, is no region."""
    facts = documents.facts("empty_document")
    assert "paint on a layer" in facts["remarks"]
    assert facts["notice"][0] == "There is nothing to paint."
    assert facts["layers"] == ["Background"]


@pytest.mark.parametrize(
    ("case", "word"),
    [("crowd", "40 regions"), ("verbose", "9999 characters"), ("huge", "20000 x 20000")],
)
def test_bad_input_is_a_sentence_with_advice(documents: Report, case: str, word: str) -> None:
    """Never a traceback in the artist's face."""
    message, advice = documents.facts("bad_input")[case]
    assert word in message
    assert advice.endswith(".")


@pytest.mark.promise("R13")
def test_krita_stays_usable(documents: Report, measured, limit_of_processor_s) -> None:
    """Looking at, and reading, a large document takes less than 50 ms of Krita's time at once."""
    facts = documents.facts("stays_usable")
    own, _ = longest(facts["longest"])
    tinted, drawing = longest(facts["longest in colours"])
    measured(f"looking at and reading a large document: {1000 * own:.0f} ms of Krita's UI at most")
    measured(
        f"a large layer in colours: {1000 * tinted:.0f} ms of Krita's UI at most, "
        f"{1000 * drawing:.0f} ms with what Krita draws meanwhile"
    )
    added, drawing = longest(facts["longest of a new region"])
    measured(
        f"a new region of a large document: {1000 * added:.0f} ms of Krita's UI at most, "
        f"{1000 * drawing:.0f} ms with what Krita draws meanwhile"
    )
    assert own < limit_of_processor_s(0.05), facts["longest"]
    assert added < limit_of_processor_s(0.05), facts["longest of a new region"]
    assert tinted < limit_of_processor_s(0.05), facts["pieces in colours"]
    assert "not installed" in facts["notice"][0]


def test_layer_without_a_name(documents: Report) -> None:
    """Left out, and the docker says so."""
    assert "without a name" in documents.facts("bad_input")["nameless"]


def test_all_kinds_of_layers_are_regions(documents: Report) -> None:
    """Paint, fill, vector and group layers; not what is hidden, empty, transparent or ours."""
    regions = documents.facts("all_kinds_of_layers")["regions"]
    assert regions == [
        "half there",
        "masked hill",
        "filled lake",
        "vector house",
        "group of trees",
    ]


@pytest.mark.parametrize(
    ("layer", "pixels"),
    [
        ("half there", 10 * 10),
        ("masked hill", 50 * 100),
        ("filled lake", 60 * 60),
        ("vector house", 100 * 80),
        ("group of trees", 50 * 50),
    ],
)
def test_masks_are_what_one_sees(documents: Report, layer: str, pixels: int) -> None:
    """A transparency mask hides half of the hill, and hidden trees are not in the group."""
    assert documents.facts("all_kinds_of_layers")["alpha"][layer] == pixels
