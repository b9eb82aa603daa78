"""A word is taught from layers in a real Krita, and painted with."""

from __future__ import annotations

from tests.krita.krita_session import Report


def test_a_word_is_taught_from_layers(jobs: Report) -> None:
    """No layer comes of it; cancelled, what was learned can be kept."""
    facts = jobs.facts("teach_a_word")
    layers = ["example 3", "example 2", "example 1", "Background"]
    assert facts["cancelled"] == layers
    assert facts["names"] == layers
    assert "my stripes" in facts["told"][0]


def test_without_a_word_nothing_is_taught(jobs: Report) -> None:
    """And that is said."""
    assert "word" in jobs.facts("teach_a_word")["without a word"][0]
