"""Classifier-free guidance: what it may be kept from, and where a checkpoint asks for that."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tapestry_backend.engine.multidiffusion import MultiDiffusion, RegionPrompt, guide
from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.messages import Request
from tests.models.latents_of_run import latents_of_run
from tests.models.velocity_checkpoint import VELOCITY, ZERO_SNR, save_velocity_checkpoint

STEP = SamplingStep(0, 4, torch.tensor(1), 0.6, 0.8, "epsilon")


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_guidance_may_keep_the_spread_of_the_prediction(share: float) -> None:
    """Of one window, as diffusers' own function computes it; without a share, bit for bit."""
    torch.manual_seed(3)
    away, own = torch.randn(2, 4, 16, 16) * torch.tensor([0.5, 1.0])[:, None, None, None]
    answers = {0: away, 1: own}

    def predict(latents, _timestep, conditions, _places=()):
        return torch.stack([answers[int(row)] for row in conditions[:, 0, 0]]).to(latents)

    canvas = Size(16, 16)
    views = ViewPlan(WindowLayout(canvas, canvas, Size(8, 8)), torch.ones(1, *canvas))
    conditions = torch.tensor([0.0, 1.0])[:, None, None]
    denoise = MultiDiffusion(
        predict, views, [RegionPrompt(1, 0, 6.0)], conditions, 2, guidance_rescale=share
    )
    made = denoise(torch.zeros(1, 4, 16, 16), STEP)[0]
    guided = away + 6.0 * (own - away)
    expected = rescale_noise_cfg(guided[None], own[None], share)[0]

    torch.testing.assert_close(made, expected)
    assert torch.equal(made, guided) == (share == 0)


def test_guidance_may_keep_how_much_each_cell_changes() -> None:
    """As Qwen-Image's pipeline has it; its direction alone is guided."""
    torch.manual_seed(3)
    own, away = torch.randn(2, 4, 5, 6)
    guided = away + 6.0 * (own - away)
    made = guide(own, away, 6.0, "cells")

    torch.testing.assert_close(made.norm(dim=0), own.norm(dim=0))
    torch.testing.assert_close(made / made.norm(dim=0), guided / guided.norm(dim=0))
    assert torch.equal(guide(own, away, 1.0, "cells"), own)


@pytest.mark.parametrize("scheduler", [ZERO_SNR, VELOCITY])
def test_a_checkpoint_trained_up_to_pure_noise_keeps_its_contrast(
    catalogue: Catalogue, tmp_path: Path, scheduler: dict[str, object]
) -> None:
    """What diffusers paints with a guidance rescale of 0.7, and others without."""
    folder = tmp_path / "velocity"
    save_velocity_checkpoint(catalogue.find(SAMPLE).path, folder, scheduler)
    model_cache = ModelCache(Catalogue([str(folder)]))
    window = model_cache.load(str(folder)).window
    side = window * model_cache.load(str(folder)).cell_px
    request = Request("generate", side, side, "snow", model=str(folder), num_inference_steps=3)
    ours = latents_of_run(request, {}, model_cache)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "snow",
        height=side,
        width=side,
        latents=canvas_noise(0, model_cache.load(str(folder)).channels, Size(window, window)),
        num_inference_steps=3,
        guidance_scale=request.guidance_scale,
        guidance_rescale=0.7 if scheduler == ZERO_SNR else 0.0,
        output_type="latent",
    ).images

    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
