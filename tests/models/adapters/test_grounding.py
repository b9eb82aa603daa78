"""GLIGEN: the regions' boxes, for one window diffusers' own numbers; each window its own part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.adapters.grounding import Box, Grounding, inside
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Expert, PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Pixels
from tests.models.adapters.conftest import CHANNELS, near
from tests.models.latents_of_run import latents_of_run
from tests.models.tiny_checkpoints import FACTOR, WINDOW, save_checkpoint

SIDE = WINDOW * FACTOR
STEPS = 4


@pytest.fixture(scope="module")
def grounded(tmp_path_factory) -> Path:
    """A checkpoint whose layers between the attentions are open for boxes."""
    folder = save_checkpoint(
        tmp_path_factory.mktemp("gligen") / "tiny", channels=CHANNELS, grounded=True
    )
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet")
    for name, parameter in unet.named_parameters():
        if name.endswith(("alpha_attn", "alpha_dense")):
            torch.nn.init.constant_(parameter, 0.7)
    unet.save_pretrained(folder / "unet")
    return folder


@pytest.fixture(scope="module")
def own_cache(grounded: Path) -> ModelCache:
    """A model cache that knows it."""
    return ModelCache(Catalogue([str(grounded)]))


def painted(model_cache: ModelCache, folder: Path, grounding: float = 0.0, **fields: Any) -> Tensor:
    """Two regions of one prompt whose boxes lie in the upper left and the lower right."""
    blobs, regions = {}, []
    for bounds in (Bounds(0, 0, 32, 24), Bounds(28, 20, 64, 64)):
        mask = Pixels(bounds.height, bounds.width, 1, b"\xff" * bounds.height * bounds.width)
        blobs[mask.sha256] = mask.data
        regions.append(Region("snow", bounds, PixelsRef.of(mask), fit="loose"))
    settings = {"height": SIDE, "width": SIDE, "prompt": "snow", "num_inference_steps": STEPS}
    settings |= {"regions": tuple(regions), "model": str(folder)}
    expert = Expert(bootstrapping=0.0, grounding=grounding)
    request = Request("generate", **{**settings, "expert": expert, **fields})
    return latents_of_run(request, blobs, model_cache)


def test_one_window_is_what_diffusers_paints(grounded: Path, own_cache: ModelCache) -> None:
    """The boxes in the first half of the steps; all regions of one prompt are one picture."""
    pipeline = diffusers.StableDiffusionGLIGENPipeline.from_pretrained(
        grounded, safety_checker=None
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "snow",
        gligen_phrases=["snow", "snow"],
        gligen_boxes=[[0, 0, 24 / 64, 32 / 64], [20 / 64, 28 / 64, 1, 1]],
        gligen_scheduled_sampling_beta=0.5,
        latents=canvas_noise(0, CHANNELS, Size(WINDOW, WINDOW)),
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        height=SIDE,
        width=SIDE,
        output_type="latent",
    ).images
    ours = painted(own_cache, grounded, grounding=0.5)

    near(ours, theirs)
    without = painted(own_cache, grounded)
    assert float((ours - without).abs().max()) > 0.01
    assert torch.equal(painted(own_cache, grounded, grounding=0.1), without), "less than a step"
    assert torch.equal(
        painted(own_cache, grounded, regions=(), grounding=1.0),
        painted(own_cache, grounded, regions=()),
    )


def test_a_canvas_of_many_windows_and_its_draft(grounded: Path, own_cache: ModelCache) -> None:
    """Boxes are cut where windows end, and shrink with the draft."""
    fields = {"height": 160, "width": 128}

    assert not torch.equal(
        painted(own_cache, grounded, grounding=1.0, **fields),
        painted(own_cache, grounded, **fields),
    )


def test_a_box_in_a_window() -> None:
    """In shares of the window: whole, cut, beyond the edge that wraps around, or not at all."""
    box = Box(2, 4, 6, 12)

    assert inside(box, Box(0, 0, 8, 16), 32) == Box(0.25, 0.25, 0.75, 0.75)
    assert inside(box, Box(4, 8, 12, 16), 32) == Box(0, 0, 0.25, 0.5)
    assert inside(box, Box(0, 28, 8, 44), 32) == Box(0.25, 0.5, 0.75, 1.0)
    assert inside(box, Box(0, 12, 8, 28), 32) is None
    assert inside(box, Box(6, 0, 14, 16), 32) is None


def test_a_row_is_told_of_what_it_sees_and_a_negative_one_of_nothing() -> None:
    """By a mask for each box."""
    phrases = torch.arange(2.0)[:, None].expand(2, 5)
    boxes = [Box(0, 0, 4, 4), Box(0, 8, 4, 12)]
    grounding = Grounding(None, phrases, boxes, 16)
    told = grounding._arguments([Box(0, 0, 8, 8), Box(0, 4, 8, 12), Box(0, 4, 8, 12)], [0, 0, 1])

    assert told["masks"][:, :2].tolist() == [[1, 0], [0, 1], [0, 0]]
    assert told["boxes"][1, 1].tolist() == [0.5, 0, 1, 0.5]
    assert told["positive_embeddings"][1, 1].tolist() == [1.0] * 5
    assert not told["masks"][:, 2:].any()


def test_a_model_that_reads_no_boxes_says_so(model_cache: ModelCache) -> None:
    """Here the bundled one."""
    with pytest.raises(TapestryError, match="The model “sample” takes no grounded boxes"):
        painted(model_cache, Path("sample"), grounding=0.3)
