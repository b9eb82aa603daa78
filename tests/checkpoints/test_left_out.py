"""What was found and cannot be used."""

from __future__ import annotations

import pytest

from tapestry_backend.checkpoints.left_out import listed
from tapestry_protocol.sentences import Sentence


@pytest.mark.parametrize("count", range(5))
def test_parts_of_a_sentence_become_a_list(count: int) -> None:
    """One level deep, so that the list may stand inside a sentence."""
    found = listed([Sentence("the {name}", name=name) for name in "abcd"[:count]])
    lists = ("the a", "the a and the b", "the a, the b and the c", "the a, the b, the c and the d")
    assert found == (None, *lists)[count]
    sentence = Sentence("It lacks {parts}.", parts=found or "nothing")
    assert sentence == f"It lacks {found or 'nothing'}."
