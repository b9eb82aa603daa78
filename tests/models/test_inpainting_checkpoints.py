"""Checkpoints made for inpainting: they are shown what is known, and where it ends."""

from __future__ import annotations

from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.engine.multidiffusion import MultiDiffusion, RegionPrompt
from tapestry_backend.engine.noise import canvas_noise, job_generator
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.sampling import sample
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import PixelsRef, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tests.models.tiny_checkpoints import FACTOR, WINDOW, save_checkpoint

CHANNELS = 4
STEPS = 3
SCALE = 4.0
SIDE = WINDOW * FACTOR


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny inpainting checkpoint: 4 channels of latents, 9 of input."""
    folder = tmp_path_factory.mktemp("checkpoint") / "inpainting"
    return save_checkpoint(folder, channels=CHANNELS, in_channels=2 * CHANNELS + 1)


@pytest.fixture(scope="module")
def inpainting_cache(checkpoint: Path) -> ModelCache:
    """A model cache that knows this checkpoint by its path."""
    return ModelCache(Catalogue([str(checkpoint)]))


@pytest.fixture(scope="module")
def inpainting_model(checkpoint: Path, inpainting_cache: ModelCache):
    """The checkpoint, loaded."""
    return inpainting_cache.load(str(checkpoint))


def a_picture(seed: int, height: int = SIDE, width: int = SIDE) -> Pixels:
    """Some opaque colours."""
    rgba = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    return Pixels(height, width, 4, rgba.tobytes())


def paint(model_cache: ModelCache, request: Request, *blobs: Pixels) -> np.ndarray:
    """The finished picture [H, W, 4]."""
    *_, finished = run(request, {blob.sha256: blob.data for blob in blobs}, model_cache)
    assert isinstance(finished, Finished)
    picture = np.frombuffer(finished.pixels.data, np.uint8)
    return picture.reshape(finished.pixels.height, finished.pixels.width, 4)


def test_an_inpainting_model_says_what_it_takes(inpainting_model, model) -> None:
    """Latents have the autoencoder's channels, whatever else the model wants to see."""
    assert (inpainting_model.channels, inpainting_model.inpaints) == (CHANNELS, True)
    assert not model.inpaints
    latents = torch.zeros(2, 2 * CHANNELS + 1, WINDOW, WINDOW)
    conditions = inpainting_model.encode_prompts(["snow", ""])
    output = inpainting_model.predict(latents, torch.tensor(5), conditions)

    assert output.shape == (2, CHANNELS, WINDOW, WINDOW)


def test_one_window_is_what_the_inpainting_pipeline_paints(
    checkpoint: Path, inpainting_model
) -> None:
    """Same noise, same mask, same masked picture: diffusers' own result."""
    mask = torch.zeros(1, 1, WINDOW, WINDOW)
    mask[..., 3:12, 5:] = 1
    pixels = mask.repeat_interleave(FACTOR, -1).repeat_interleave(FACTOR, -2)
    picture = torch.frombuffer(bytearray(a_picture(1).data), dtype=torch.uint8)
    image = picture.reshape(SIDE, SIDE, 4)[..., :3].permute(2, 0, 1)[None].float() / 255
    masked = inpainting_model.encode(torch.where(pixels > 0, 0.0, image * 2 - 1))
    noise = canvas_noise(3, CHANNELS, Size(WINDOW, WINDOW))
    pipeline = diffusers.StableDiffusionInpaintPipeline.from_pretrained(
        checkpoint, safety_checker=None, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "snow",
        image=image,
        mask_image=pixels,
        masked_image_latents=masked,
        latents=noise,
        height=SIDE,
        width=SIDE,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        output_type="latent",
    ).images

    window = Size(WINDOW, WINDOW)
    denoise = MultiDiffusion(
        inpainting_model.predict,
        ViewPlan(WindowLayout(window, window, window), torch.ones(1, *window)),
        [RegionPrompt(0, 1, SCALE)],
        inpainting_model.encode_prompts(["snow", ""]),
        16,
        extra=torch.cat([mask, masked], dim=1),
    )
    scheduler = inpainting_model.make_scheduler("checkpoint")
    *_, last = sample(denoise, scheduler, noise, STEPS, job_generator(3))

    torch.testing.assert_close(last.latents, theirs, atol=1e-4, rtol=0)


def test_every_window_sees_its_own_part_of_what_is_known() -> None:
    """Mask and masked picture are cropped as the latents are."""
    canvas, window = Size(8, 20), Size(8, 8)
    extra = torch.arange(20.0).expand(1, 5, 8, 20)
    seen = []

    def predict(latents: torch.Tensor, timestep: torch.Tensor, conditions: torch.Tensor, contexts):
        seen.extend(latents[:, 4:])
        return latents[:, :4]

    views = ViewPlan(WindowLayout(canvas, window, Size(4, 4)), torch.ones(1, *canvas))
    denoise = MultiDiffusion(
        predict, views, [RegionPrompt(0, 0, 1.0)], torch.zeros(1, 1, 1), 16, extra=extra
    )
    step = SamplingStep(0, 1, torch.tensor(999), 0.1, 0.9, "epsilon")
    denoise(torch.zeros(1, 4, *canvas), step)

    assert [(int(part.min()), int(part.max())) for part in seen] == [
        (0, 7),
        (4, 11),
        (8, 15),
        (12, 19),
    ]
    assert all(part.shape == (5, 8, 8) for part in seen)


@pytest.mark.parametrize("task", ["fill", "refine", "extend", "generate"])
def test_an_inpainting_model_serves_every_task(
    checkpoint: Path, inpainting_cache: ModelCache, task: str
) -> None:
    """What is known stays; what is new depends on it."""
    height, width = SIDE + 10, 2 * SIDE + 6
    selected = Pixels(20, 30, 1, bytes([255]) * 600)
    place = Selection(Bounds(8, 40, 28, 70), PixelsRef.of(selected))
    results = []
    for seed in (1, 2):
        picture = a_picture(seed, height, width)
        request = Request(
            task,
            height,
            width,
            "snow",
            image=None if task == "generate" else PixelsRef.of(picture),
            selection=place if task in {"fill", "refine"} else None,
            margins=Margins(right=20) if task == "extend" else Margins(),
            num_inference_steps=2,
            guidance_scale=2.0,
            model=str(checkpoint),
        )
        results.append(paint(inpainting_cache, request, picture, selected))
    new = np.zeros((height, width + 20 * (task == "extend")), bool)
    rows, columns = {
        "fill": (slice(8, 28), slice(40, 70)),
        "refine": (slice(8, 28), slice(40, 70)),
        "extend": (slice(None), slice(width, None)),
        "generate": (slice(None), slice(None)),
    }[task]
    new[rows, columns] = True

    assert (results[0][..., 3] == 255 * new).all()
    assert (task == "generate") == np.array_equal(results[0], results[1])


def test_a_model_that_takes_something_else_is_refused(tmp_path: Path) -> None:
    """By its configuration, when the backend starts and not at the first picture."""
    folder = save_checkpoint(tmp_path / "other", channels=4, in_channels=7)
    with pytest.raises(TapestryError, match="takes 7 channels, its autoencoder makes 4") as caught:
        Catalogue([str(folder)])

    assert caught.value.code is ErrorCode.MODEL_BROKEN
    assert "inpainting" in caught.value.advice
