"""IP-Adapters: diffusers' own numbers; a picture for the whole, or for a region alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tapestry_backend.checkpoints.adapter_recognition import read_adapter
from tapestry_backend.tasks.control_pictures import _on_white
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Pixels
from tests.models.adapters.conftest import LatentsOf, near, open_pipeline
from tests.models.adapters.control_inputs import SETTINGS, noise
from tests.models.adapters.parts import a_layer, as_image, control, region
from tests.models.adapters.tiny_adapters import save_image_encoder
from tests.models.tiny_checkpoints import FACTOR, WINDOW


@pytest.mark.filterwarnings("ignore:While injecting the PEFT adapters:RuntimeWarning")
@pytest.mark.parametrize("name", ["look", "look-plus"])
def test_one_window_is_what_diffusers_paints_with_it(
    checkpoint: Path, adapters: Path, latents_of: LatentsOf, name: str
) -> None:
    """A picture of another size than the canvas, with a LoRA besides; plain, and Plus."""
    layer = a_layer(40, 70, 3)
    pipeline = open_pipeline(checkpoint)
    pipeline.load_ip_adapter(adapters, subfolder="", weight_name=f"{name}.safetensors")
    pipeline.set_ip_adapter_scale(0.6)
    asked = {"latents": noise(), "ip_adapter_image": as_image(layer), **SETTINGS}
    plain = pipeline("snow", **asked).images
    pipeline.load_lora_weights(adapters / "peft.safetensors", adapter_name="it")
    with_lora = pipeline("snow", **asked).images
    fields = {"controls": (control(name, layer, weight=0.6),), "num_inference_steps": 4}
    blobs = {layer.sha256: layer.data}
    ours = latents_of(blobs, **fields)

    near(ours, plain)
    near(latents_of(blobs, loras=(Lora("peft"),), **fields), with_lora)
    without = latents_of(num_inference_steps=4)
    assert float((ours - without).abs().max()) > 0.01
    weightless = control(name, layer, weight=0.0)
    assert torch.equal(latents_of(blobs, controls=(weightless,), num_inference_steps=4), without)


def test_a_regions_reference_is_seen_by_that_region_alone(latents_of: LatentsOf) -> None:
    """After one step nothing but its own cells has changed."""
    layer = a_layer(64, 64)
    results = []
    for weight in (0.5, 1.0):
        own, blobs = region(0, 64, fit="loose", controls=(control("look", layer, weight=weight),))
        blobs[layer.sha256] = layer.data
        fields = {"width": 256, "regions": (own,), "num_inference_steps": 1}
        results.append(latents_of(blobs, **fields))
    differ = (results[0] != results[1]).any(dim=0).any(dim=0).any(dim=0)

    assert bool(differ[: 64 // FACTOR].all())
    assert not bool(differ[64 // FACTOR + WINDOW // 2 :].any())


def test_a_layer_is_seen_on_white() -> None:
    """What is not painted is no black frame."""
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[1:3, 1:3] = (200, 0, 0, 255)
    rgba[0, 0] = (0, 0, 0, 51)
    layer = Pixels(4, 4, 4, rgba.tobytes())
    seen = _on_white(control("look", layer), {layer.sha256: layer.data})

    assert seen[1, 1].tolist() == [200, 0, 0]
    assert seen[3, 3].tolist() == [255, 255, 255]
    assert seen[0, 0].tolist() == [204, 204, 204]


@pytest.mark.parametrize("preprocessor", ["lines", "canny"])
def test_an_ip_adapter_looks_at_the_layer_itself(
    adapted_cache, checkpoint: Path, preprocessor: str
) -> None:
    """Lines of a picture have no style to refer to."""
    shown = control("look", a_layer(8, 8), preprocessor=preprocessor)
    request = Request("generate", 64, 64, "snow", controls=(shown,), model=str(checkpoint))
    with pytest.raises(TapestryError, match="looks at a layer as it is"):
        adapted_cache.catalogue.check(request)


def test_the_encoder_that_fits_is_found_where_the_authors_put_it(
    adapters: Path, tmp_path: Path
) -> None:
    """Some for Stable Diffusion XL want the one of those for 1.5, and another lies beside them."""
    for folder in ("models", "sdxl_models"):
        (tmp_path / folder).mkdir()
    own = save_image_encoder(tmp_path / "models" / "image_encoder")
    beside = save_image_encoder(tmp_path / "sdxl_models" / "image_encoder", 48, 40)
    files = [tmp_path / "sdxl_models" / f"{name}.safetensors" for name in ("look", "look-plus")]
    for file in files:
        shutil.copyfile(adapters / file.name, file)

    for file in files:
        encoder = read_adapter(file).encoder
        assert encoder is not None
        assert encoder.resolve() == own
    shutil.rmtree(own)
    for file, sizes in zip(files, [("24", "40"), ("32", "48")], strict=True):
        with pytest.raises(TapestryError, match="cannot be opened") as raised:
            read_adapter(file)
        assert (
            "whose features have {} numbers, and those of the one beside it have {}".format(*sizes)
            in raised.value.message
        )
    assert beside.is_dir()


def test_half_a_resampler_gets_a_sentence(
    adapters: Path, adapted_cache, checkpoint: Path, tmp_path: Path
) -> None:
    """Found when it is loaded."""
    content = load_file(adapters / "look-plus.safetensors")
    del content["image_proj.layers.1.1.3.weight"]
    save_file(content, tmp_path / "half.safetensors")
    shutil.copytree(adapters / "image_encoder", tmp_path / "image_encoder")
    adapter_manager = adapted_cache.load(str(checkpoint)).adapter_manager
    with pytest.raises(TapestryError, match=r"The adapter .half\.safetensors. cannot be loaded"):
        adapter_manager.control(read_adapter(tmp_path / "half.safetensors"))
