"""Checkpoints unlike the bundled one: other autoencoders, factors, channels and predictions."""

from __future__ import annotations

from pathlib import Path

import diffusers
import numpy as np
import pytest

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.run import run
from tapestry_protocol.messages import PixelsRef, Request
from tapestry_protocol.pixels import Margins, Pixels
from tests.models.tiny_checkpoints import FACTOR, WINDOW, save_checkpoint

CHANNELS = 3


@pytest.fixture(scope="module", params=["epsilon", "v_prediction", "sample"])
def checkpoint(request, tmp_path_factory) -> Path:
    """A tiny checkpoint with an AutoencoderKL of factor 4 and 3 channels, and random weights."""
    folder = tmp_path_factory.mktemp("checkpoint") / request.param
    return save_checkpoint(folder, prediction_type=request.param, channels=CHANNELS)


@pytest.fixture(scope="module")
def other_cache(checkpoint: Path) -> ModelCache:
    """A model cache that knows this checkpoint by its path."""
    return ModelCache(Catalogue([str(checkpoint)]))


def paint(model_cache: ModelCache, request: Request, blobs: dict[str, bytes]) -> np.ndarray:
    """The finished picture [H, W, 4]."""
    *_, finished = run(request, blobs, model_cache)
    picture = np.frombuffer(finished.pixels.data, np.uint8)
    return picture.reshape(finished.pixels.height, finished.pixels.width, 4)


def test_a_checkpoints_picture_is_the_plain_pipelines(
    checkpoint: Path, other_cache: ModelCache
) -> None:
    """One window of any such checkpoint: what diffusers' own pipeline makes, bit for bit."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        checkpoint, safety_checker=None, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    side = WINDOW * FACTOR
    plain = pipeline(
        "red bricks",
        height=side,
        width=side,
        latents=canvas_noise(1, CHANNELS, Size(WINDOW, WINDOW)),
        num_inference_steps=3,
        guidance_scale=4.0,
    ).images[0]
    request = Request(
        "generate",
        side,
        side,
        "red bricks",
        seed=1,
        num_inference_steps=3,
        guidance_scale=4.0,
        model=str(checkpoint),
    )

    assert np.array_equal(paint(other_cache, request, {})[..., :3], np.asarray(plain))


def test_a_checkpoint_paints_and_extends_canvases_of_any_size(
    checkpoint: Path, other_cache: ModelCache
) -> None:
    """Window and cells follow the checkpoint's own sizes, also for an extension to odd sizes."""
    request = Request("generate", 70, 150, "snow", num_inference_steps=2, model=str(checkpoint))
    picture = paint(other_cache, request, {})
    assert picture.shape == (70, 150, 4)

    image = Pixels(70, 150, 4, picture.tobytes())
    grown = Request(
        "extend",
        70,
        150,
        "snow",
        margins=Margins(left=13, bottom=30),
        image=PixelsRef.of(image),
        num_inference_steps=2,
        model=str(checkpoint),
    )
    extended = paint(other_cache, grown, {image.sha256: image.data})
    assert extended.shape == (100, 163, 4)
    assert not extended[:70, 13:, 3].any()
    assert (extended[:, :13, 3] == 255).all()
    assert (extended[70:, :, 3] == 255).all()
