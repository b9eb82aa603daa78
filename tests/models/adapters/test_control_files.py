"""ControlNets of one file, by their authors' names or those of diffusers: the same numbers."""

from __future__ import annotations

import re
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tapestry_backend.checkpoints.adapter_catalogue import AdapterCatalogue
from tapestry_backend.checkpoints.adapter_recognition import read_adapter
from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.adapters import Control
from tapestry_protocol.errors import TapestryError
from tests.models.adapters.conftest import near
from tests.models.adapters.control_inputs import SIDE
from tests.models.adapters.family_inputs import latents_of
from tests.models.adapters.parts import a_layer, control
from tests.models.adapters.tiny_adapters import save_controlnet
from tests.models.tiny_checkpoints import save_checkpoint, save_xl
from tests.models.tiny_files import original_unet

WEIGHTS = "diffusion_pytorch_model.safetensors"


def by_original_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As ControlNet's authors write one: its picture's network in the order of its layers."""
    eyes = sorted(
        {name.rpartition(".")[0] for name in state if name.startswith("controlnet_cond_")},
        key=lambda name: (name.endswith("conv_out"), ".blocks." in name, name),
    )
    own = {name: tensor for name, tensor in state.items() if not name.startswith("controlnet_")}
    renamed = original_unet(own)
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        if module in eyes:
            renamed[f"input_hint_block.{2 * eyes.index(module)}.{kind}"] = tensor
        elif found := re.fullmatch(r"controlnet_down_blocks\.(\d+)", module):
            renamed[f"zero_convs.{found[1]}.0.{kind}"] = tensor
        elif module == "controlnet_mid_block":
            renamed[f"middle_block_out.0.{kind}"] = tensor
    assert len(renamed) == len(state)
    return renamed


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A checkpoint, and one ControlNet in each form: a folder and three files."""
    folder = tmp_path_factory.mktemp(request.param)
    save = save_xl if request.param == "sdxl" else save_checkpoint
    options = {} if request.param == "sdxl" else {"channels": 4}
    model = save(folder / "model", **options)
    unet = diffusers.UNet2DConditionModel.from_pretrained(model / "unet")
    adapters = folder / "adapters"
    adapters.mkdir()
    state = load_file(save_controlnet(adapters / "whole", unet) / WEIGHTS)
    save_file(state, adapters / "renamed.safetensors")
    original = by_original_names(state)
    save_file(original, adapters / "bare.safetensors")
    prefixed = {f"control_model.{name}": tensor for name, tensor in original.items()}
    besides = {"model.diffusion_model.out.0.weight": torch.zeros(3)}
    save_file(prefixed | besides, adapters / "original.safetensors")
    return model, adapters, ModelCache(Catalogue([str(model)], adapters=[str(adapters)]))


@pytest.mark.parametrize("name", ["renamed", "bare", "original"])
def test_a_file_paints_what_its_folder_does(lab, name: str) -> None:
    """Whatever its tensors are called, and whatever else is in it."""
    model, _, model_cache = lab
    layer = a_layer(SIDE, SIDE)
    blobs = {layer.sha256: layer.data}
    plain, expected, ours = (
        latents_of(
            model_cache, model, blobs=blobs, controls=tuple(control(n, layer) for n in names)
        )
        for names in ((), ("whole",), (name,))
    )

    near(ours, expected)
    assert float((ours - plain).abs().max()) > 0.01


def test_a_controlnets_header_says_what_it_is(lab) -> None:
    """By the width of the texts that it reads."""
    for name in ("renamed", "bare", "original"):
        adapter = read_adapter(lab[1] / f"{name}.safetensors")
        assert (adapter.kind, adapter.widths) == (
            "controlnet",
            (64,) if "xl" in str(lab[0]) else (32,),
        )


def test_an_inpainting_checkpoint_takes_it_too(lab, tmp_path: Path) -> None:
    """It sees the latents alone."""
    _, adapters, _ = lab
    if "xl" in str(lab[0]):
        model = save_xl(tmp_path / "fill", in_channels=9)
    else:
        model = save_checkpoint(tmp_path / "fill", channels=4, in_channels=9)
    model_cache = ModelCache(Catalogue([str(model)], adapters=[str(adapters)]))
    shown = (Control("original", "regions"),)

    assert bool(latents_of(model_cache, model, controls=shown).isfinite().all())


def changed(path: Path, change) -> Path:
    """The file with other tensors."""
    content = load_file(path)
    change(content)
    save_file(content, path.parent.parent / "changed.safetensors")
    return path.parent.parent / "changed.safetensors"


def widen(content: dict[str, Tensor]) -> None:
    """As for another U-Net."""
    content["control_model.input_blocks.0.0.weight"] = torch.zeros(48, 4, 3, 3)


def halve(content: dict[str, Tensor]) -> None:
    """Without a part."""
    del content["control_model.middle_block_out.0.bias"]


@pytest.mark.parametrize("change", [widen, halve])
def test_a_controlnet_of_another_build_is_refused(lab, change) -> None:
    """When it is loaded, with a sentence."""
    model, adapters, model_cache = lab
    known = AdapterCatalogue([str(changed(adapters / "original.safetensors", change))])
    adapter_manager = model_cache.load(str(model)).adapter_manager
    with pytest.raises(TapestryError, match="The ControlNet “changed” was made for"):
        adapter_manager.control(known.find("changed", "controlnet"))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("task_embedding", "several kinds in one"),
        ("lora_controlnet", "it is a Control-LoRA"),
        ("difference", "the difference of a ControlNet to a model"),
    ],
)
def test_other_kinds_get_a_sentence(lab, tmp_path: Path, name: str, problem: str) -> None:
    """Told from the header."""
    content = load_file(lab[1] / "bare.safetensors") | {name: torch.zeros(2)}
    save_file(content, tmp_path / "it.safetensors")
    with pytest.raises(TapestryError, match="cannot be opened") as raised:
        read_adapter(tmp_path / "it.safetensors")

    assert problem in raised.value.message
