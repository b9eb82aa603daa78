"""What the bundled model became when it was taught to follow instructions."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.bundled import SAMPLE, SAMPLE_EDIT, instructed
from training.edits import canonical
from training.evaluate_edits import edited, is_nearer, pairs


def test_an_instruction_goes_to_what_the_bundled_model_became() -> None:
    """Any other model that is chosen stays; without the file, so does the bundled one."""
    assert instructed(SAMPLE, [SAMPLE, SAMPLE_EDIT]) == SAMPLE_EDIT
    assert instructed(SAMPLE, [SAMPLE]) == SAMPLE
    assert instructed("mine", ["mine", SAMPLE, SAMPLE_EDIT]) == "mine"


@pytest.mark.parametrize("kind", ["time", "season", "region"])
def test_the_bundled_one_does_what_it_is_told(model_cache: ModelCache, kind: str) -> None:
    """Of unseen drawings, what should change is more like the drawing after than before it.

    Another instruction leads elsewhere.
    """
    nearer = []
    for number, pair in enumerate(islice(pairs(kind, 21), 3)):
        made = edited(model_cache, pair.before, canonical(pair.change), number, 5.0, 1.2)
        nearer.append(is_nearer(made, pair))
        if number == 0:
            other = edited(model_cache, pair.before, "add a red boat", number, 5.0, 1.2)
            assert not np.array_equal(made, other)
    assert sum(nearer) >= 2
