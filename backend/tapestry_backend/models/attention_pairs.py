"""Which rows of a batch take over the shapes of which others, and by what."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class TokenMap(NamedTuple):
    """What attention to the tokens of one prompt means for those of another.

    moved    [T, U]: how the attention to each of T tokens is spread over U others
    own      [U] bool: tokens of words that are new, which keep the attention of their own
    """

    moved: Tensor
    own: Tensor


class AttentionPair(NamedTuple):
    """The row that attends by itself, the one that takes its attention over, and their words."""

    source: int
    target: int
    tokens: TokenMap


class Taken(NamedTuple):
    """What shapes are taken over by.

    words       attention to the prompt
    parts       attention of the picture to itself
    features    what a coarse layer finds
    """

    words: bool = False
    parts: bool = False
    features: bool = False
