"""A LoRA that is learned here: what it changes, where gradients go, and that its file is a LoRA."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from tapestry_backend.checkpoints.adapter_catalogue import AdapterCatalogue
from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.errors import TapestryError
from tests.models.tiny_checkpoints import (
    WINDOW,
    save_checkpoint,
    save_xl,
)

FAMILIES = {"sd": save_checkpoint, "xl": save_xl}


@pytest.fixture(params=FAMILIES)
def model(request, tmp_path: Path):
    """A tiny one of each family."""
    folder = str(FAMILIES[request.param](tmp_path / request.param))
    return ModelCache(Catalogue([folder]), "cpu").load(folder)


def given(model) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, timesteps and conditions of two rows."""
    latents = torch.randn(2, model.channels, WINDOW, WINDOW)
    conditions = model.encode_prompts(["grass", "snow"])
    return latents, torch.tensor([10, 700]), conditions


def test_it_begins_as_none(model) -> None:
    """And with it the model predicts what it does without, a timestep for each row."""
    latents, timesteps, conditions = given(model)
    lora = model.new_lora(4)
    with lora.laid_on():
        predicted = model.predict_with_gradient(latents, timesteps, conditions)
    for row in range(2):
        alone = model.predict(latents[row, None], timesteps[row], conditions[row, None])
        torch.testing.assert_close(predicted[row, None], alone, atol=1e-5, rtol=1e-4)


def test_gradients_reach_it_and_the_words_and_nothing_else(model) -> None:
    """With all that is computed kept, and with some of it computed twice."""
    latents, timesteps, conditions = given(model)
    lora = model.new_lora(4)
    conditions.requires_grad_()
    for tensor in lora.tensors.values():
        tensor.requires_grad_()
    found = []
    for spares in (False, True):
        if spares:
            model.spare_gradients()
        with lora.laid_on():
            predicted = model.predict_with_gradient(latents, timesteps, conditions)
            predicted.square().mean().backward()
        outer = {n: t.grad for n, t in lora.tensors.items() if n.endswith("lora_B.weight")}
        assert all(grad is not None and grad.abs().sum() > 0 for grad in outer.values())
        assert conditions.grad is not None
        assert conditions.grad.abs().sum() > 0
        assert all(p.grad is None for p in model._unet.parameters())
        found.append([grad.clone() for grad in outer.values()])
        conditions.grad = None
        for tensor in lora.tensors.values():
            tensor.grad = None
    for kept, twice in zip(*found, strict=True):
        torch.testing.assert_close(kept, twice, atol=1e-6, rtol=1e-3)


def test_its_file_is_a_lora(model, tmp_path: Path) -> None:
    """Any program that takes those of diffusers paints with it; so does this one."""
    latents, timesteps, conditions = given(model)
    lora = model.new_lora(4)
    with torch.no_grad():
        for tensor in lora.tensors.values():
            tensor.add_(0.05 * torch.randn_like(tensor))
        with lora.laid_on():
            wanted = model.predict(latents, timesteps[0], conditions)
    path = tmp_path / "learned.safetensors"
    safetensors.torch.save_file(lora.tensors, path)
    adapter = AdapterCatalogue([str(path)]).find("learned", "lora")
    plain = model.predict(latents, timesteps[0], conditions)
    with model.adapter_manager.activated([(adapter, 1.0)]):
        made = model.predict(latents, timesteps[0], conditions)
    assert model.adapter_manager.notices_about(adapter) == ()
    assert (wanted - plain).abs().max() > 1e-3
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-4)


def test_a_distilled_model_learns_nothing(tmp_path: Path) -> None:
    """With what to choose instead."""
    folder = str(save_checkpoint(tmp_path / "distilled", distilled=True))
    model = ModelCache(Catalogue([folder]), "cpu").load(folder)
    with pytest.raises(TapestryError, match="cannot learn a picture") as caught:
        model.new_lora(4)
    assert "Stable Diffusion 1, 2 or XL" in caught.value.advice
