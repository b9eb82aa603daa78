"""The measure of edits: the place that is found, and what is lost on the way to noise and back."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from tapestry_backend.bench.common.goals import GOALS
from tapestry_backend.bench.common.layouts import RegionLayout
from tapestry_backend.bench.quality import editing
from tapestry_backend.bench.quality.run import open_workbench
from tapestry_backend.bench.quality.workbench import Scope, Workbench


@pytest.fixture
def bench() -> Workbench:
    """A quick one."""
    return open_workbench(scope=Scope(quick=True))


def test_the_overlap_of_masks() -> None:
    """All, a part, and nothing of it."""
    left, right = np.zeros((2, 4, 8), bool)
    left[:, :4], right[:, 4:] = True, True
    assert editing._iou(left, left) == 1
    assert editing._iou(left, left | right) == 0.5
    assert editing._iou(left, right) == 0


def test_layouts_of_two_and_three_materials(bench: Workbench) -> None:
    """What is looked for is one of them, and no two are of one name."""
    for number, layout in enumerate(islice(editing._layouts(bench), 24)):
        assert len(layout.prompts) == 1 + number % 2
        assert len({*layout.prompts, layout.background}) == len(layout.prompts) + 1
        assert 0.1 < layout.masks[0].mean() < 0.6
        assert not any((layout.masks[0] & other).any() for other in layout.masks[1:])


def test_a_place_is_found_and_shown(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside DiffEdit's own map of it."""
    one = next(editing._layouts(bench))

    def layouts(_: Workbench) -> Iterator[RegionLayout]:
        yield one

    monkeypatch.setattr(editing, "_layouts", layouts)
    values, rows = editing._masks(bench)
    assert set(values) <= set(GOALS["editing"])
    assert values["iou"][0] > 0.8
    assert 0 <= values["diffedit_iou"][0] < values["iou"][0]
    assert [picture.pixels.shape for picture in rows[0]] == [(128, 128, 3)] * 3


def test_hardly_anything_is_lost_there_and_back(bench: Workbench) -> None:
    """Over four windows as in one."""
    values, _ = editing._round_trips(bench)
    assert set(values) <= set(GOALS["editing"])
    assert max(value for each in values.values() for value in each) < 1
