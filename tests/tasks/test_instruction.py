"""Checkpoints that follow instructions: they are shown the picture, and guided twice."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.engine.instructed import InstructedDiffusion
from tapestry_backend.engine.multidiffusion import RegionPrompt
from tapestry_backend.engine.noise import canvas_noise, job_generator
from tapestry_backend.engine.sampling import sample
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Edit, Request, Selection
from tapestry_protocol.pixels import Bounds, Pixels
from tests.models.tiny_checkpoints import FACTOR, WINDOW, save_checkpoint, save_xl

CHANNELS = 4
STEPS = 3
SIDE = WINDOW * FACTOR
SAVE: dict[str, Callable[[Path], Path]] = {
    "sd1": partial(save_checkpoint, channels=CHANNELS, in_channels=2 * CHANNELS),
    "sdxl": partial(save_xl, in_channels=2 * CHANNELS),
}
PIPELINES = {
    "sd1": "StableDiffusionInstructPix2PixPipeline",
    "sdxl": "StableDiffusionXLInstructPix2PixPipeline",
}


@pytest.fixture(scope="module", params=list(SAVE))
def checkpoint(request, tmp_path_factory) -> tuple[str, Path]:
    """A tiny checkpoint of each family: its name, and its folder."""
    folder = tmp_path_factory.mktemp("instructed") / request.param
    return request.param, SAVE[request.param](folder)


@pytest.fixture(scope="module")
def models(checkpoint: tuple[str, Path]) -> ModelCache:
    """A model cache that knows this checkpoint by its path."""
    return ModelCache(Catalogue([str(checkpoint[1])]))


def picture(height: int = SIDE, width: int = SIDE) -> Pixels:
    """Some opaque colours."""
    rgba = np.random.default_rng(1).integers(0, 256, (height, width, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    return Pixels(height, width, 4, rgba.tobytes())


def edit(models: ModelCache, scene, folder: Path, **settings: Any) -> tuple[np.ndarray, dict]:
    """The result [H, W, 4] of an instruction, and the report."""
    shown = picture(*settings.pop("size", (SIDE, SIDE)))
    words = Edit("instruct", picture_scale=settings.pop("picture_scale", 1.5))
    request = Request(
        "edit",
        shown.height,
        shown.width,
        model=str(folder),
        image=scene.add(shown),
        edit=words,
        strength=1.0,
        **{"prompt": "make it snow", "num_inference_steps": STEPS} | settings,
    )
    *_, finished = run(request, scene.blobs, models)
    data = np.frombuffer(finished.pixels.data, np.uint8)
    return data.reshape(shown.height, shown.width, 4), dict(finished.report)


def test_it_is_listed_as_what_it_is(checkpoint, models: ModelCache) -> None:
    """Twice the channels: a picture beside the latents."""
    assert models.variant_of(str(checkpoint[1])) == "instruct"
    told = {info.id: info.follows_instructions for info in models.catalogue.models}
    assert told == {"sample": False, "sample-edit": True, str(checkpoint[1]): True}
    model = models.load(str(checkpoint[1]))
    assert model.channels == CHANNELS
    assert not model.inpaints


@pytest.mark.parametrize("scales", [(4.0, 1.5), (4.0, 1.0)])
def test_one_window_is_what_diffusers_pipeline_paints(
    checkpoint, models: ModelCache, scales: tuple[float, float]
) -> None:
    """Same noise, same picture, same instruction: its own result."""
    name, folder = checkpoint
    text_scale, picture_scale = scales
    model = models.load(str(folder))
    shown = np.frombuffer(picture().data, np.uint8).reshape(SIDE, SIDE, 4)[..., :3]
    image = torch.from_numpy(shown.copy()).permute(2, 0, 1)[None].float() / 255
    noise = canvas_noise(3, CHANNELS, Size(WINDOW, WINDOW))
    options = {"safety_checker": None} if name == "sd1" else {"add_watermarker": False}
    pipeline = getattr(diffusers, PIPELINES[name]).from_pretrained(
        folder, local_files_only=True, **options
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "make it snow",
        image=image,
        latents=noise * pipeline.scheduler.init_noise_sigma if name == "sd1" else noise,
        num_inference_steps=STEPS,
        guidance_scale=text_scale,
        image_guidance_scale=picture_scale,
        output_type="latent",
        **({"height": SIDE, "width": SIDE} if name == "sdxl" else {}),
    ).images

    window = Size(WINDOW, WINDOW)
    denoise = InstructedDiffusion(
        lambda inputs, step, given, contexts, _: model.predict(
            inputs, step.timestep, given, contexts
        ),
        ViewPlan(WindowLayout(window, window, window), torch.ones(1, *window)),
        [RegionPrompt(0, 1, text_scale)],
        model.encode_prompts(["make it snow", ""]),
        model.shown_picture(image * 2 - 1),
        picture_scale,
        3,
    )
    scheduler = model.make_scheduler("checkpoint")
    *_, last = sample(denoise, scheduler, noise, STEPS, job_generator(3))

    torch.testing.assert_close(last.latents, theirs, atol=1e-4, rtol=0)


def test_an_instruction_over_several_windows(checkpoint, models: ModelCache, scene) -> None:
    """Three rows for each window and step; one, where nothing is guided."""
    folder = checkpoint[1]
    result, report = edit(models, scene, folder, size=(SIDE, 2 * SIDE))
    assert (result[..., 3] == 255).all()
    assert report["unet_evaluations"] == 3 * STEPS * report["windows"] > 3 * STEPS
    assert report["edit"] == {"method": "instruct", "changed": 1.0, "references": 0}
    _, report = edit(models, scene, folder, guidance_scale=1.0)
    assert report["unet_evaluations"] == STEPS


def test_an_instruction_stays_in_the_selection(checkpoint, models: ModelCache, scene) -> None:
    """Transparent everywhere else."""
    mask = scene.add(Pixels(16, 24, 1, b"\xff" * 16 * 24))
    selection = Selection(Bounds(8, 12, 24, 36), mask)
    result, _ = edit(models, scene, checkpoint[1], selection=selection)
    inside = np.zeros((SIDE, SIDE), bool)
    inside[8:24, 12:36] = True
    assert np.array_equal(result[..., 3] > 0, inside)


def test_the_scales_make_a_difference(checkpoint, models: ModelCache, scene) -> None:
    """That of the picture, that of the text, and the instruction itself."""
    ask = partial(edit, models, scene, checkpoint[1])
    changes: list[dict[str, Any]] = [
        {},
        {"picture_scale": 3.0},
        {"guidance_scale": 9.0},
        {"prompt": "make it night"},
    ]
    results = [ask(**change)[0].tobytes() for change in changes]
    assert len(set(results)) == len(results)


def test_it_paints_nothing_without_an_instruction(checkpoint, models: ModelCache, scene) -> None:
    """Any other task says what to choose; and another model follows no instruction."""
    folder = str(checkpoint[1])
    request = Request("generate", SIDE, SIDE, prompt="snow", model=folder)
    with pytest.raises(TapestryError, match="only follows instructions"):
        list(run(request, {}, models))
    image = scene.add(picture())
    words = Edit("instruct")
    request = Request("edit", SIDE, SIDE, prompt="make it snow", image=image, edit=words)
    with pytest.raises(TapestryError, match="follows no instructions"):
        list(run(request, scene.blobs, models))


def test_an_instruction_of_a_region_changes_that_alone(
    checkpoint, models: ModelCache, scene
) -> None:
    """Where nothing is said, the picture stays."""
    region = scene.region("make it snow", Bounds(0, 0, SIDE, SIDE // 4))
    result, report = edit(models, scene, checkpoint[1], prompt="", regions=(region,))
    # A loose outline is as soft as an eighth of a window.
    assert (result[:, : SIDE // 8, 3] == 255).all()
    assert (result[:, SIDE // 2 :, 3] == 0).all()
    assert 0 < report["edit"]["changed"] < 0.5
