"""A picture as a group of regions in a real Krita: flat the same, and open to other outlines."""

from __future__ import annotations

import numpy as np
import pytest

from tests.krita.krita_session import Report

pytestmark = [pytest.mark.krita, pytest.mark.timeout(6000)]


def test_a_group_of_regions_is_the_picture_and_its_outline_can_be_painted(jobs: Report) -> None:
    """Each region's own picture under a mask; painted over, the mask shows more of it, no hole."""
    facts = jobs.facts("group_of_regions")

    def pixels(name: str) -> np.ndarray:
        data = (jobs.folder / f"{name}.bgra").read_bytes()
        return np.frombuffer(data, np.uint8).reshape(-1, 4).astype(int)

    name, masks = facts["group"]
    assert name.startswith("Tapestry: lava, sunset sky, green grass")
    assert masks == {
        "Tapestry: everything else": [],
        "Tapestry: green grass": ["transparencymask"],
        "Tapestry: sunset sky": ["transparencymask"],
        "Tapestry: lava": ["transparencymask"],
    }
    assert facts["notice"] == ["", ""]
    assert np.abs(pixels("as a group") - pixels("flat")).max() <= 2
    assert (facts["undo"], facts["redo"]) == (4, 5)
    assert (pixels("redone") == pixels("as a group")).all()
    own, more = pixels("own"), pixels("more")
    assert (own[:, 3] == 255).all()
    assert np.abs(more - own).max() <= 1
    assert np.abs(more - pixels("before")).mean() > 5
