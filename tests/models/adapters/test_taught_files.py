"""What was taught is loaded by diffusers' own means, and paints the same there."""

from pathlib import Path

import diffusers
import pytest
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.taught import Card
from tapestry_backend.models.adapters.learned import ATTENTION_LAYERS
from tapestry_backend.models.adapters.taught_files import taught_file
from tapestry_backend.models.model_cache import ModelCache
from tests.models.tiny_checkpoints import WINDOW, save_3, save_checkpoint, save_xl


@pytest.mark.parametrize("save", [save_checkpoint, save_xl, save_3])
def test_diffusers_loads_a_taught_lora(save, tmp_path: Path) -> None:
    """Every factor arrives, as it is here."""
    folder = str(save(tmp_path / "model"))
    model = ModelCache(Catalogue([folder]), "cpu").load(folder)
    lora = model.new_lora(4, ATTENTION_LAYERS)
    for tensor in lora.tensors.values():
        tensor.copy_(0.1 * torch.randn_like(tensor))
    (tmp_path / "own.safetensors").write_bytes(taught_file(lora.tensors, {}, Card(("own",))))
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipe.load_lora_weights(str(tmp_path), weight_name="own.safetensors")
    name = "transformer" if hasattr(pipe, "transformer") else "unet"
    found = {
        f"{name}.{key}".replace(".default_0", ""): value.float()
        for key, value in getattr(pipe, name).named_parameters()
        if "lora_" in key
    }
    assert found.keys() == lora.tensors.keys()
    for key, value in found.items():
        torch.testing.assert_close(value, lora.tensors[key], atol=1e-3, rtol=1e-3)


def test_diffusers_loads_a_taught_word(tmp_path: Path) -> None:
    """Under its token, a vector for each of its tokens; it reads a prompt as this model does."""
    folder = str(save_checkpoint(tmp_path / "model"))
    vectors = torch.randn(2, 32)
    path = tmp_path / "own.safetensors"
    path.write_bytes(taught_file({}, {"text_encoder": vectors}, Card(("own",), method="word")))
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    pipe.load_textual_inversion(str(path))
    states, _ = pipe.encode_prompt(
        "a <own> hat", device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    model = ModelCache(Catalogue([folder], adapters=[str(path)]), "cpu").load(folder)
    made = model.encode_prompts(["a <own> hat"])
    assert made.shape[1] >= states.shape[1] > WINDOW
    torch.testing.assert_close(made[:, : states.shape[1]], states, atol=1e-5, rtol=1e-4)
