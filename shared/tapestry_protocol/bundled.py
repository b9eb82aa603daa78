"""The models that come with Tapestry, by their ids."""

from __future__ import annotations

from collections.abc import Collection

SAMPLE = "sample"
"""The one that paints from words."""

SAMPLE_EDIT = "sample-edit"
"""What it became when it was taught to follow instructions."""


def instructed(chosen: str, known: Collection[str]) -> str:
    """The id of the model that an instruction is for: the chosen one, but for the bundled one.

    known: the ids of the models that there are
    """
    return SAMPLE_EDIT if chosen == SAMPLE and SAMPLE_EDIT in known else chosen
