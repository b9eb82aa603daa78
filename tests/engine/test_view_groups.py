"""Views whose rows go through the model together: what is alike, and what fits into the memory."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tapestry_backend.engine import out_of_memory
from tapestry_backend.engine.multidiffusion import RegionPrompt
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.view_groups import ViewGroups
from tapestry_backend.engine.views import View, ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size

CANVAS, WINDOW = Size(8, 20), Size(8, 8)
STEP = SamplingStep(0, 4, torch.tensor(500), 0.6, 0.8, "epsilon")


def groups(batch_size: int, adapter_sets: Sequence[int | None] = (None, None)) -> ViewGroups:
    """Two regions, left and right, over several windows, with three rows a view."""
    weights = torch.zeros(2, *CANVAS)
    weights[0, :, :9], weights[1, :, 9:] = 1, 1
    views = ViewPlan(WindowLayout(CANVAS, WINDOW, Size(8, 6)), weights)
    prompts = [RegionPrompt(0, 1, 4.0, adapter_set) for adapter_set in adapter_sets]
    return ViewGroups(views, prompts, batch_size, 3)


def region_number(views: Sequence[View]) -> list[Tensor]:
    """A prediction that is the number of its region everywhere."""
    return [torch.full((1, *WINDOW), float(view.region)) for view in views]


@pytest.mark.parametrize("batch_size", [1, 6, 16])
def test_every_region_is_fused_where_it_lies(batch_size: int) -> None:
    """However many views go together."""
    fused = groups(batch_size).fused(STEP, CANVAS, region_number)
    assert not fused[..., :9].any()
    assert (fused[..., 9:] == 1).all()


def test_views_with_other_adapters_are_evaluated_apart() -> None:
    """Those of one adapter set go together."""
    asked = []

    def predict(views: Sequence[View]) -> list[Tensor]:
        asked.append({view.region for view in views})
        return region_number(views)

    groups(16, (None, 0)).fused(STEP, CANVAS, predict)
    assert sorted(asked, key=min) == [{0}, {1}]


def test_less_memory_takes_fewer_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit, from then on."""
    monkeypatch.setattr(out_of_memory, "is_out_of_memory", lambda error: error.args == ("full",))
    asked = []

    def predict(views: Sequence[View]) -> list[Tensor]:
        asked.append(len(views))
        if len(views) > 1:
            raise RuntimeError("full")
        return region_number(views)

    some = groups(16)
    assert torch.equal(
        some.fused(STEP, CANVAS, predict), groups(16).fused(STEP, CANVAS, region_number)
    )
    assert some.batch_size == 3
    assert asked[0] > 1
    assert asked[-1] == 1
