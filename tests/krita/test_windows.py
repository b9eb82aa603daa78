"""Two windows of Krita, and two views of one document, with the real backend."""

import pytest

from tests.krita.krita_session import Report

pytestmark = [pytest.mark.krita, pytest.mark.timeout(6000)]

PAINTED = ["sunset sky", "green grass", "Background"]
NAME = "Tapestry: sunset sky, green grass (seed 42)"


def test_two_windows(jobs: Report) -> None:
    """A docker in each, which shows the document in front; a picture goes to its own document."""
    facts = jobs.facts("two_windows")
    assert facts["dockers"] == 2
    assert facts["second"] == ["Tapestry: red bricks (seed 42)", "red bricks", "Background"]
    assert facts["first"] == PAINTED
    assert facts["first afterwards"] == [NAME, *PAINTED]
    assert facts["dockers afterwards"] == 1


def test_views_may_be_closed_while_their_document_is_drawn(jobs: Report) -> None:
    """Krita 5.1 would end itself; with it, the artist's other documents."""
    facts = jobs.facts("views_are_closed_while_layers_come")
    assert facts["views"] == [4, 3, 2, 1]
    assert facts["layers"] == [NAME, NAME, NAME, *PAINTED]


def test_two_views_are_one_document(jobs: Report) -> None:
    """One picture for both of them; the next one comes when one of them has been closed."""
    facts = jobs.facts("two_views")
    assert (facts["views"], facts["views afterwards"]) == (2, 1)
    assert facts["regions"] == PAINTED[:2]
    assert facts["generated"] == [NAME, *PAINTED]
    assert facts["afterwards"] == [NAME, NAME, *PAINTED]
