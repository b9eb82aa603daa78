"""The step cache through whole tasks: what it spares, what it changes, and who has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapestry_backend.checkpoints.catalogue import BUNDLED, Catalogue
from tapestry_backend.engine.step_cache import RowMemory, StepCache
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.live import LivePasses
from tapestry_backend.tasks.plan import make_plan
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Edit, Expert, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins
from tests.models.tiny_checkpoints import FACTOR, WINDOW, save_3, save_flux
from tests.tasks.conftest import RequestBuilder
from tests.tasks.pictures import noise_picture, to_array

SIDE = WINDOW * FACTOR
STEPS = 8
ALWAYS, NEVER = 1.0, 1e-9

Painter = Callable[[Request], Finished]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ModelCache:
    """A tiny Stable Diffusion 3, guided in truth."""
    folder = save_3(tmp_path_factory.mktemp("models") / "sd3")
    return ModelCache(Catalogue([str(folder)]), "cpu")


@pytest.fixture
def request_(cache: ModelCache, scene: RequestBuilder) -> Request:
    """Two regions on a canvas of two windows."""
    (model,) = (each.id for each in cache.catalogue.models if each.id not in BUNDLED)
    width = SIDE * 3 // 2
    return Request(
        "generate",
        SIDE,
        width,
        prompt="sand",
        regions=(
            scene.region("lava", Bounds(0, 0, SIDE, width // 2)),
            scene.region("snow", Bounds(0, width // 2, SIDE, width)),
        ),
        num_inference_steps=STEPS,
        coherence=0.0,
        model=model,
    )


@pytest.fixture
def paint(cache: ModelCache, scene: RequestBuilder) -> Painter:
    """Run a request to its end."""

    def paint_it(request: Request) -> Finished:
        *_, finished = run(request, scene.blobs, cache, LivePasses())
        assert isinstance(finished, Finished)
        return finished

    return paint_it


def colours(finished: Finished) -> np.ndarray:
    """[H, W, 4], to reckon with."""
    return to_array(finished.pixels).astype(int)


def test_nothing_is_lost_where_everything_changes(paint: Painter, request_: Request) -> None:
    """To the bit; and the report counts."""
    plain = paint(request_)
    kept = paint(replace(request_, step_cache=NEVER))

    assert np.array_equal(colours(kept), colours(plain))
    assert kept.report["unet_evaluations"] == plain.report["unet_evaluations"] > 0
    assert kept.report["evaluations_left_out"] == 0
    assert kept.report["plan"]["step_cache"] == NEVER


def test_what_is_left_out_is_counted(paint: Painter, request_: Request) -> None:
    """All evaluations are counted, as made or as left out, and the picture stays near."""
    plain = paint(request_)
    some = paint(replace(request_, step_cache=0.3))
    most = paint(replace(request_, step_cache=ALWAYS))

    asked = plain.report["unet_evaluations"]
    for each in (some, most):
        counted = each.report["unet_evaluations"] + each.report["evaluations_left_out"]
        assert counted == asked
    assert 0 < some.report["evaluations_left_out"] < most.report["evaluations_left_out"]
    lost = [np.abs(colours(each) - colours(plain)).mean() for each in (some, most)]
    assert 0 < lost[0] < lost[1]


def test_regions_do_not_share_what_they_remember(
    paint: Painter, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One memory for all would paint another picture, further from the one without any."""
    plain, own = paint(request_), paint(replace(request_, step_cache=ALWAYS))
    only: dict[int, RowMemory] = {}

    def shared(self: StepCache, rows: Any) -> list[RowMemory]:
        return [only.setdefault(id(self), RowMemory(self))] * len(rows)

    monkeypatch.setattr(StepCache, "memories", shared)
    mixed = paint(replace(request_, step_cache=ALWAYS))

    lost, lost_by_mixing = (np.abs(colours(each) - colours(plain)).mean() for each in (own, mixed))
    assert lost < lost_by_mixing


def test_it_works_for_every_way_of_painting(
    paint: Painter, request_: Request, scene: RequestBuilder
) -> None:
    """Extend, refine and fill, which still paint nothing where the picture stays."""
    image = scene.add(noise_picture(request_.height, request_.width))
    half = Bounds(0, 0, SIDE, request_.width // 2)
    selection = Selection(half, scene.region("", half).mask)
    plain = replace(request_, regions=(), image=image, step_cache=ALWAYS)
    for request in (
        replace(plain, task="extend", margins=Margins(0, 0, 0, SIDE // 2), composition=0.0),
        replace(plain, task="refine", selection=selection, strength=0.8),
        replace(plain, task="fill", selection=selection),
    ):
        finished = paint(request)
        assert finished.report["evaluations_left_out"] > 0
        stays = slice(half.right, None) if request.selection else slice(request.width // 2)
        assert not to_array(finished.pixels)[:, stays, 3].any()
        assert to_array(finished.pixels)[..., 3].any()


def test_it_works_live(cache: ModelCache, request_: Request, scene: RequestBuilder) -> None:
    """Each pass over a document remembers anew."""
    passes, left_out = LivePasses(), []
    first = replace(request_, live="document", step_cache=ALWAYS)
    second = replace(first, regions=(replace(first.regions[0], prompt="moss"), first.regions[1]))
    for request in (first, second):
        *_, finished = run(request, scene.blobs, cache, passes)
        left_out.append(finished.report["evaluations_left_out"])

    assert 0 < left_out[1] < left_out[0]


def test_a_model_that_follows_instructions_remembers(tmp_path: Path, scene: RequestBuilder) -> None:
    """Kontext is a transformer."""
    folder = save_flux(tmp_path / "kontext", edits=True)
    cache = ModelCache(Catalogue([str(folder)]), "cpu")
    request = Request(
        "edit",
        SIDE,
        SIDE,
        prompt="make it snow",
        image=scene.picture(SIDE, SIDE),
        edit=Edit("instruct"),
        num_inference_steps=STEPS,
        strength=1.0,
        model=str(folder),
        step_cache=ALWAYS,
    )
    *_, finished = run(request, scene.blobs, cache)

    assert finished.report["evaluations_left_out"] == STEPS - 1
    assert finished.report["unet_evaluations"] == 1


class AloneTeam:
    """Would take a share."""

    def begin(self, conditions: Any) -> None:
        raise AssertionError("memories do not travel")

    share = begin


def test_a_picture_is_not_shared_with_helpers(
    cache: ModelCache, request_: Request, scene: RequestBuilder
) -> None:
    """What is remembered lies on the worker that evaluated it."""
    request = replace(request_, step_cache=ALWAYS)
    *_, finished = run(request, scene.blobs, cache, team=AloneTeam())

    assert finished.report["evaluations_left_out"] > 0


def test_the_fast_speed_keeps_its_windows(cache: ModelCache, request_: Request) -> None:
    """Of windows that move nothing could be remembered."""
    model = cache.load(request_.model)
    fast = replace(request_, regions=(), speed="fast")

    assert make_plan(fast, model).windows == "shift"
    assert make_plan(replace(fast, step_cache=0.1), model).windows == "overlap"


def test_a_u_net_is_refused(model_cache: ModelCache, scene: RequestBuilder) -> None:
    """In a sentence that names it."""
    request = Request("generate", 128, 128, prompt="sand", step_cache=0.1)
    with pytest.raises(TapestryError, match="“sample” has no step cache") as raised:
        list(run(request, scene.blobs, model_cache))
    assert 'Set "Step cache" to 0' in str(raised.value.advice)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expert": Expert(windows="shift")}, "Windows that move"),
        ({"task": "upscale"}, "step cache is for"),
        ({"task": "edit", "edit": Edit("diffedit", source_prompt="sand")}, "step cache is for"),
    ],
)
def test_what_cannot_use_it_says_so(
    changes: dict[str, Any], said: str, paint: Painter, request_: Request, scene: RequestBuilder
) -> None:
    """Before anything is painted."""
    image = None if "expert" in changes else scene.picture(request_.height, request_.width)
    request = replace(request_, image=image, step_cache=0.1, **changes)
    with pytest.raises(TapestryError, match=said):
        paint(request)
