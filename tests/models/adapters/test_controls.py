"""ControlNets and T2I-Adapters: diffusers' own numbers, each window its part of the picture."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tapestry_backend.checkpoints.adapter_recognition import read_adapter
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.windows import Window, crop
from tapestry_backend.models.adapters.residuals import load_control
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.control_pictures import counts, shown_parts
from tapestry_protocol.adapters import Control
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Pixels
from tapestry_protocol.request_checks import check_request
from tests.models.adapters.conftest import LatentsOf, near, open_pipeline
from tests.models.adapters.control_inputs import SETTINGS, SIDE, noise
from tests.models.adapters.parts import a_layer, as_image, control, region
from tests.models.latents_of_run import prepared
from tests.models.tiny_checkpoints import FACTOR, WINDOW


def test_one_window_is_what_diffusers_paints_with_two_controlnets(
    checkpoint: Path, adapters: Path, latents_of: LatentsOf
) -> None:
    """Each with its own picture, weight, start and end."""
    import diffusers

    networks = [
        diffusers.ControlNetModel.from_pretrained(adapters / name) for name in ("edges", "depth")
    ]
    pipeline = open_pipeline(checkpoint, "StableDiffusionControlNetPipeline", controlnet=networks)
    layers = a_layer(SIDE, SIDE, 1), a_layer(SIDE, SIDE, 2)
    theirs = pipeline(
        "snow",
        image=[as_image(layer) for layer in layers],
        controlnet_conditioning_scale=[0.8, 1.5],
        control_guidance_start=[0.0, 0.25],
        control_guidance_end=[0.5, 1.0],
        latents=noise(),
        **SETTINGS,
    ).images
    controls = (
        control("edges", layers[0], weight=0.8, end=0.5),
        control("depth", layers[1], weight=1.5, start=0.25),
    )
    blobs = {layer.sha256: layer.data for layer in layers}
    ours = latents_of(blobs, controls=controls, num_inference_steps=4)

    near(ours, theirs)
    assert float((ours - latents_of(num_inference_steps=4)).abs().max()) > 0.01


@pytest.mark.parametrize("name", ["sketch", "grey"])
def test_one_window_is_what_diffusers_paints_with_a_t2i_adapter(
    checkpoint: Path, adapters: Path, latents_of: LatentsOf, name: str
) -> None:
    """In colours or in grey, until half of the steps."""
    import diffusers

    layer = a_layer(SIDE, SIDE, 1)
    if name == "grey":  # PIL rounds what it makes grey: equal channels have nothing to round
        rgba = np.frombuffer(layer.data, np.uint8).reshape(SIDE, SIDE, 4).copy()
        rgba[..., 1] = rgba[..., 2] = rgba[..., 0]
        layer = Pixels(SIDE, SIDE, 4, rgba.tobytes())
    pipeline = open_pipeline(
        checkpoint,
        "StableDiffusionAdapterPipeline",
        adapter=diffusers.T2IAdapter.from_pretrained(adapters / name),
    )
    theirs = pipeline(
        "snow",
        image=as_image(layer) if name == "sketch" else as_image(layer).convert("L"),
        adapter_conditioning_scale=0.6,
        latents=noise(),
        **SETTINGS,
    ).images
    ours = latents_of(
        {layer.sha256: layer.data},
        controls=(control(name, layer, weight=0.6),),
        num_inference_steps=4,
    )

    near(ours, theirs)
    assert float((ours - latents_of(num_inference_steps=4)).abs().max()) > 0.01


def test_a_controlnet_and_a_t2i_adapter_at_once_are_neither_alone(latents_of: LatentsOf) -> None:
    """Their residuals go to different places of the U-Net."""
    layer = a_layer(SIDE, SIDE)
    blobs = {layer.sha256: layer.data}
    edges, sketch = control("edges", layer), control("sketch", layer)
    both, one, other = (
        latents_of(blobs, controls=controls) for controls in ((edges, sketch), (edges,), (sketch,))
    )

    assert not torch.equal(both, one)
    assert not torch.equal(both, other)


@pytest.mark.parametrize("name", ["edges", "sketch"])
def test_a_weight_of_nothing_is_none(latents_of: LatentsOf, name: str) -> None:
    """To the last bit."""
    layer = a_layer(SIDE, SIDE)
    without = latents_of()
    shown = latents_of({layer.sha256: layer.data}, controls=(control(name, layer, weight=0.0),))

    assert torch.equal(shown, without)


def test_every_window_sees_its_own_part_of_the_picture() -> None:
    """The crops of the whole, one for each place, also where a window wraps around."""
    picture = torch.randint(0, 256, (1, 3, 32, 80), dtype=torch.uint8)
    windows = [Window(0, 0, 8, 8), Window(0, 16, 8, 24), Window(0, 0, 8, 8)]
    parts, rows = shown_parts(
        windows, lambda window: crop(picture, Window(*(4 * edge for edge in window)))
    )

    assert torch.equal(parts[0], picture[0, :, :, :32])
    assert torch.equal(parts[1, :, :, :16], picture[0, :, :, 64:])
    assert torch.equal(parts[1, :, :, 16:], picture[0, :, :, :16])
    assert (len(parts), rows) == (2, [0, 1, 0])


def test_a_regions_control_steers_that_region_alone(latents_of: LatentsOf) -> None:
    """After one step nothing but its own cells has changed."""
    layer = a_layer(64, 256)
    results = []
    for weight in (0.5, 1.0):
        own, blobs = region(0, 64, fit="loose", controls=(control("edges", layer, weight=weight),))
        blobs[layer.sha256] = layer.data
        fields = {"width": 256, "regions": (own,), "num_inference_steps": 1, "composition": 0.0}
        results.append(latents_of(blobs, **fields))
    differ = (results[0] != results[1]).any(dim=0).any(dim=0).any(dim=0)

    assert bool(differ[: 64 // FACTOR].all())
    assert not bool(differ[64 // FACTOR + WINDOW // 2 :].any())


def test_a_high_picture_shows_its_draft_the_whole_control(latents_of: LatentsOf) -> None:
    """A draft is smaller than the picture, and so is what it is shown."""
    layer = a_layer(160, 64)
    made = latents_of({layer.sha256: layer.data}, height=160, controls=(control("edges", layer),))

    assert not torch.equal(made, latents_of(height=160))


def test_the_map_of_the_regions_needs_no_picture(latents_of: LatentsOf) -> None:
    """Another map, another picture."""
    results = []
    for right in (16, 48):
        own, blobs = region(0, right)
        results.append(latents_of(blobs, regions=(own,), controls=(Control("edges", "regions"),)))
        plain = latents_of(blobs, regions=(own,))
        assert not torch.equal(results[-1], plain)

    assert not torch.equal(*results)


def test_the_map_may_have_the_colours_that_segmentation_networks_know(
    adapted_cache: ModelCache, checkpoint: Path
) -> None:
    """Each region that of the class its prompt names; the style names none."""
    own, blobs = region(0, 24, prompt="a stone bridge")
    other, more = region(24, 48, prompt="gloom")
    request = Request(
        "generate",
        64,
        64,
        "the sea",
        style="an oil painting, red flowers",
        regions=(own, other),
        controls=(Control("edges", "ade20k"),),
        model=str(checkpoint),
    )
    check_request(request)
    job = prepared(request, {**blobs, **more}, adapted_cache)
    ((_, shown),) = job.conditioning._controls._pictures.items()

    assert shown[0, :, 32, 4].tolist() == [255, 82, 0]
    assert shown[0, :, 32, 60].tolist() == [9, 7, 230]
    assert max(shown[0, :, 32, 36].tolist()) == 64


def test_when_a_picture_counts() -> None:
    """Steps that lie wholly between start and end."""
    steps = [SamplingStep(i, 4, torch.tensor(0), 1.0, 0.0, "epsilon") for i in range(4)]

    assert [counts(Control("a", start=0.25, end=0.75), step) for step in steps] == [
        False,
        True,
        True,
        False,
    ]
    assert all(counts(Control("a"), step) for step in steps)


@pytest.mark.parametrize("name", ["edges", "sketch"])
def test_a_network_in_half_precision_alone_is_loaded(
    adapters: Path, checkpoint: Path, tmp_path: Path, name: str
) -> None:
    """As authors call its file: with .fp16 before its suffix."""
    folder = tmp_path / name
    shutil.copytree(adapters / name, folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".fp16.safetensors"))
    unet = open_pipeline(checkpoint).unet
    loaded, wanted = (
        load_control(read_adapter(place), unet, "tiny", torch.float32).state_dict()
        for place in (folder, adapters / name)
    )
    assert all(loaded[key].equal(tensor) for key, tensor in wanted.items())
