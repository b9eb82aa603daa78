"""The measure of collages: what a pasted box is, and what a melted one would be."""

import numpy as np
import pytest

from tapestry_backend.bench.common.goals import GOALS
from tapestry_backend.bench.quality import melting


@pytest.fixture(scope="module")
def collage(bench) -> melting._Collage:
    """A house on a meadow."""
    return melting._Collage(bench, ("a red house", "green grass", "blue sky"), 58_000)


def test_squares_around_a_mask() -> None:
    """On all sides, and not beyond the edge."""
    mask = np.zeros((6, 7), bool)
    mask[0, 3] = True
    grown = melting._dilated(mask, 2)
    assert grown[:3, 1:6].all()
    assert grown.sum() == 15


def test_a_collage_is_itself_and_its_box_shows(collage: melting._Collage) -> None:
    """Everything has its own colours, all edges are there, and the outline stands out."""
    figures = collage.judged(collage.picture)
    assert figures["adherence"] > 0.98
    assert figures["structure"] == pytest.approx(1)
    assert figures["outline"] > GOALS["melting"]["melted_outline"].at_most


def test_without_the_box_there_is_no_outline(collage: melting._Collage, bench) -> None:
    """Nor any of its edges; and upside down nothing is where it should be."""
    sky = bench.painter.plain("blue sky", 58_002)
    figures = collage.judged(sky)
    assert figures["structure"] < 0.5
    assert figures["outline"] < 2
    assert collage.judged(collage.picture[::-1])["adherence"] < 0.5


def test_layers_start_from_what_was_pasted(collage: melting._Collage) -> None:
    """Melted together, ground and sky are where they were."""
    assert collage.judged(collage.painted(0.5))["adherence"] > 0.9
