"""One picture whose batches are shared with helpers: the same as a worker's alone, to the bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.run import run
from tapestry_backend.tasks.sharing import Helper
from tapestry_protocol.adapters import Lora
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Pixels

MOST_ROWS = 2
MASK = Pixels(64, 64, 1, np.full((64, 64), 255, np.uint8).tobytes())
BLOBS = {MASK.sha256: MASK.data}
PANORAMA = Request(
    "generate",
    64,
    160,
    prompt="sand",
    seed=3,
    num_inference_steps=4,
    regions=(Region("water", Bounds(0, 0, 64, 64), PixelsRef.of(MASK)),),
)


class TeamHere:
    """Helpers in this process; the one of this number is lost at its second step."""

    def __init__(self, helpers: list[Helper], lost: int | None = None) -> None:
        self._helpers = list(helpers)
        self._lost = lost
        self.steps = 0
        self.rows = [0] * (1 + len(helpers))

    def begin(self, conditions: torch.Tensor) -> None:
        self._conditions = conditions.clone()

    def share(self, batches, here):
        self.steps += 1
        assert all(len(batch.inputs) <= MOST_ROWS for batch in batches)
        found = []
        for number, batch in enumerate(batches):
            helper = number % (len(self._helpers) + 1) - 1
            is_lost = helper == self._lost and self.steps > 1
            if helper < 0 or is_lost:
                found.append(here(number))
                self.rows[0] += len(batch.inputs)
            else:
                found.append(list(self._helpers[helper].evaluate(batch, self._conditions)))
                self.rows[1 + helper] += len(batch.inputs)
        return found


def picture(request: Request, model_cache, team=None) -> bytes:
    """The pixels of a request, painted with small batches; the report tells who took which rows."""
    *_, end = run(request, BLOBS, model_cache, team=team, most_rows=MOST_ROWS)
    assert isinstance(end, Finished)
    if team is None or request.live:
        assert "rows_by_worker" not in end.report
    else:
        assert end.report["rows_by_worker"] == team.rows
        assert sum(team.rows) == end.report["unet_evaluations"]
    return end.pixels.data


@pytest.fixture
def lora(model_cache) -> Lora:
    """A bundled one."""
    adapters = model_cache.catalogue.adapters.all
    return Lora(next(each.id for each in adapters if each.kind == "lora"))


@pytest.mark.parametrize(
    "changes",
    [{}, {"melt": 0.5}, {"wrap": True}, {"scheduler": "euler"}],
    ids=["plain", "melt", "wrap", "another scheduler"],
)
@pytest.mark.parametrize("helpers", [1, 3])
def test_a_shared_picture_is_the_same_to_the_bit(model_cache, helpers: int, changes) -> None:
    """However many share it; every step is shared, the draft's too."""
    request = replace(PANORAMA, **changes)
    alone = picture(request, model_cache)
    team = TeamHere([Helper(request, BLOBS, model_cache) for _ in range(helpers)])
    assert picture(request, model_cache, team) == alone
    assert team.steps >= request.num_inference_steps
    # A melted one is one batch, and is not divided.
    assert sum(team.rows[1:]) > 0 or request.melt


def test_adapters_go_along(model_cache, lora: Lora) -> None:
    """Each helper has them from the request."""
    request = replace(PANORAMA, loras=(lora,))
    alone = picture(request, model_cache)
    assert alone != picture(PANORAMA, model_cache)
    assert picture(request, model_cache, TeamHere([Helper(request, BLOBS, model_cache)])) == alone


def test_a_lost_helper_costs_time_and_nothing_else(model_cache) -> None:
    """Whoever leads evaluates its part."""
    team = TeamHere([Helper(PANORAMA, BLOBS, model_cache) for _ in range(2)], lost=0)
    assert picture(PANORAMA, model_cache, team) == picture(PANORAMA, model_cache)


def test_live_painting_is_not_shared(model_cache) -> None:
    """It is a few windows, and wanted at once."""
    team = TeamHere([])
    request = replace(PANORAMA, regions=(), live="here")
    picture(request, model_cache, team)
    assert team.steps == 0
