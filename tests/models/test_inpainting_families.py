"""Inpainting checkpoints of the other families: one window is what their own pipelines paint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import pytest
import torch
from diffusers.pipelines.flux import pipeline_flux_fill
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import Catalogue, read_checkpoint_at
from tapestry_backend.engine.multidiffusion import MultiDiffusion, RegionPrompt
from tapestry_backend.engine.noise import canvas_noise, job_generator
from tapestry_backend.engine.sampling import sample
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.run import run
from tapestry_protocol.messages import PixelsRef, Request
from tapestry_protocol.pixels import Margins, Pixels
from tests.models.tiny_checkpoints import FACTOR, WINDOW, save_3, save_flux, save_xl

STEPS, SCALE, SEED = 3, 4.0, 5
SIDE = WINDOW * FACTOR
WHOLE = Size(WINDOW, WINDOW)

KINDS: dict[str, Callable[[Path], Path]] = {
    "sdxl": lambda folder: save_xl(folder, in_channels=9),
    "sd3": lambda folder: save_3(folder, channels=16, in_channels=33),
    "flux": lambda folder: save_flux(folder, fills=True),
}


class Case(NamedTuple):
    """A checkpoint, and what is known of a picture: pixels, mask, and masked latents."""

    family: str
    folder: Path
    model_cache: ModelCache
    model: Any
    image: Tensor
    mask: Tensor
    masked: Tensor


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A tiny checkpoint of each family that sees what is known."""
    folder = KINDS[request.param](tmp_path_factory.mktemp("inpaint") / "checkpoint")
    model_cache = ModelCache(Catalogue([str(folder)]), "cpu")
    model = model_cache.load(str(folder))
    mask = torch.zeros(1, 1, WINDOW, WINDOW)
    mask[..., 3:12, 5:] = 1
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    masked = model.encode(torch.where(pixels_of(mask) > 0, 0.0, image * 2 - 1))
    return Case(request.param, folder, model_cache, model, image, mask, masked)


def pixels_of(mask: Tensor) -> Tensor:
    """A mask in cells for each of their pixels."""
    return mask.repeat_interleave(FACTOR, -1).repeat_interleave(FACTOR, -2)


def their_latents(case: Case) -> Tensor:
    """What the family's own pipeline paints."""
    kind = {
        "sdxl": diffusers.StableDiffusionXLInpaintPipeline,
        "sd3": diffusers.StableDiffusion3InpaintPipeline,
        "flux": diffusers.FluxFillPipeline,
    }[case.family]
    pipeline = kind.from_pretrained(case.folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    noise = canvas_noise(SEED, case.model.channels, WHOLE)
    config = pipeline.vae.config
    asked = {
        "image": case.image,
        "mask_image": pixels_of(case.mask),
        "latents": noise,
        "masked_image_latents": case.masked,
        "strength": 1.0,
    }
    if case.family == "sdxl":
        asked["negative_prompt"] = "snow"
    if case.family == "sd3":  # which scales them itself
        asked["masked_image_latents"] = case.masked / config.scaling_factor + config.shift_factor
    if case.family == "flux":  # which takes the picture itself, or everything in its own order
        asked["latents"] = pipeline._pack_latents(noise, *noise.shape)
        del asked["masked_image_latents"]
    found = pipeline(
        "lava",
        height=SIDE,
        width=SIDE,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        output_type="latent",
        **asked,
    ).images
    return pipeline._unpack_latents(found, SIDE, SIDE, FACTOR) if case.family == "flux" else found


def test_one_window_is_what_its_pipeline_paints(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same noise, same mask, same masked picture."""
    monkeypatch.setattr(  # the mode of what is encoded, as we take it, instead of a sample
        pipeline_flux_fill, "retrieve_latents", lambda encoded, **_: encoded.latent_dist.mode()
    )
    model = case.model
    told, scale = (SCALE, 1.0) if model.distilled else (1.0, SCALE)
    denoise = MultiDiffusion(
        model.predict,
        ViewPlan(WindowLayout(WHOLE, WHOLE, WHOLE), torch.ones(1, *WHOLE)),
        [RegionPrompt(0, 1, scale)],
        model.encode_prompts(["lava", "snow" if case.family == "sdxl" else ""], [told, told]),
        16,
        extra=torch.cat([case.mask, case.masked], dim=1),
    )
    noise = canvas_noise(SEED, model.channels, WHOLE)
    *_, last = sample(denoise, model.make_scheduler(), noise, STEPS, job_generator(3))

    assert read_checkpoint_at("x", case.folder).variant == "inpaint"
    torch.testing.assert_close(last.latents, their_latents(case), atol=1e-4, rtol=0)


def test_an_inpainting_family_extends_a_picture_of_any_size(case: Case) -> None:
    """From the request to the pixels, over several windows."""
    data = (torch.rand(SIDE + 6, SIDE + 10, 4) * 255).byte()
    data[..., 3] = 255
    picture = Pixels(SIDE + 6, SIDE + 10, 4, data.numpy().tobytes())
    request = Request(
        "extend",
        SIDE + 6,
        SIDE + 10,
        "lava",
        margins=Margins(right=20),
        image=PixelsRef.of(picture),
        num_inference_steps=2,
        model=str(case.folder),
    )
    *_, finished = run(request, {picture.sha256: picture.data}, case.model_cache)

    assert isinstance(finished, Finished)
    assert (finished.pixels.height, finished.pixels.width) == (SIDE + 6, SIDE + 30)
