"""LoRAs for transformers by the names of their authors' own code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file as save_tensors
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.lora_keys import read_name, targets
from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import TapestryError
from tests.models.adapters.conftest import near
from tests.models.adapters.family_inputs import latents_of
from tests.models.tiny_checkpoints import save_tokenizers
from tests.models.tiny_files import Built, State, build, save_file

BACKBONE = "model.diffusion_model."
SIDE = 64
RANK, ALPHA = 3, 4.5
NEVER = ("final_layer", "adaLN_modulation")
"""Layers whose rows are in another order in diffusers; no trainer takes them."""


@pytest.fixture(autouse=True)
def _words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokenizers, where they are looked for."""
    save_tokenizers(tmp_path / "models")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))


def trained(built: Built) -> Iterator[tuple[str, Tensor]]:
    """The linear layers of the transformer, by their names in the file."""
    for name, weight in built.tensors.items():
        layer = name.removeprefix(BACKBONE).removesuffix(".weight")
        linear = name.startswith(BACKBONE) and name.endswith(".weight") and weight.ndim == 2
        if linear and not any(word in layer for word in (*NEVER, "embedder", "norm")):
            yield layer, weight


def kohya(layer: str, parts: State) -> State:
    """With "_" for each dot, and an alpha."""
    names = {"down": "lora_down.weight", "up": "lora_up.weight"}
    flat = f"lora_unet_{layer.replace('.', '_')}"
    return {f"{flat}.{names.get(role, role)}": tensor for role, tensor in parts.items()}


def dotted(layer: str, parts: State) -> State:
    """As ComfyUI saves them."""
    names = {"down": "lora_A.weight", "up": "lora_B.weight"}
    return {f"{BACKBONE[6:]}{layer}.{names.get(r, r)}": t for r, t in parts.items()}


def low_rank(weight: Tensor) -> tuple[State, Tensor]:
    """Factors, and the change that they mean."""
    up, down = torch.randn(len(weight), RANK), torch.randn(RANK, weight.shape[1])
    parts = {"down": down * 0.1, "up": up * 0.1, "alpha": torch.tensor(ALPHA)}
    return parts, ALPHA / RANK * parts["up"] @ parts["down"]


def kronecker(weight: Tensor) -> tuple[State, Tensor]:
    """The same of a LoKr."""
    small = torch.randn(2, 2) * 0.2
    large = torch.randn(len(weight) // 2, weight.shape[1] // 2) * 0.2
    return {"lokr_w1": small, "lokr_w2": large}, torch.kron(small, large)


def paint(folder: Path, built: Built, name: str, *loras: Lora) -> Tensor:
    """What a single file with these tensors ends with."""
    notes = {"modelspec.resolution": f"{SIDE}x{SIDE}"}
    path = save_file(built, folder / f"{name}.safetensors", notes=notes)
    adapters = [str(folder / "it.safetensors")] if loras else []
    model_cache = ModelCache(Catalogue([str(path)], adapters=adapters), "cpu")
    return latents_of(
        model_cache, path, height=SIDE, width=SIDE, num_inference_steps=2, loras=loras
    )


@pytest.mark.parametrize("spell", [kohya, dotted])
@pytest.mark.parametrize("make", [low_rank, kronecker])
@pytest.mark.parametrize("family", ["flux", "sd3", "z_image", "flux2", "chroma", "qwen_image"])
def test_a_lora_paints_what_a_file_with_it_in_its_weights_does(
    tmp_path: Path,
    family: str,
    make: Callable[[Tensor], tuple[State, Tensor]],
    spell: Callable[[str, State], State],
) -> None:
    """Also where one layer of theirs is several of diffusers'."""
    built = build(family)
    torch.manual_seed(4)
    changed, saved = dict(built.tensors), {}
    for layer, weight in trained(built):
        parts, change = make(weight)
        saved |= spell(layer, parts)
        changed[f"{BACKBONE}{layer}.weight"] = weight + 0.6 * change
    assert family == "qwen_image" or any("qkv" in name for name in saved)
    save_tensors({n: t.contiguous() for n, t in saved.items()}, tmp_path / "it.safetensors")
    plain = paint(tmp_path, built, "plain")
    ours = paint(tmp_path, built, "with", Lora("it", 0.6))

    near(ours, paint(tmp_path, Built(built.networks, changed), "merged"))
    assert float((ours - plain).abs().max()) > 0.01


@pytest.mark.parametrize(
    ("family", "prefix", "network"),
    [("flux", "lora_te2", "text_encoder_2"), ("sd3", "lora_te3", "text_encoder_3")],
)
def test_t5s_part_of_a_lora_belongs_to_t5(family: str, prefix: str, network: str) -> None:
    """Whichever of a family's text encoders it is."""
    part = read_name(f"{prefix}_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight")
    assert part is not None
    assert part.network == network
    t5 = build(family).networks[network]
    assert targets(dict(t5.named_modules()), {})[part.target].endswith("SelfAttention.q")


WRONG: dict[str, Any] = {
    "of too few rows": ({"up": (90, RANK), "down": (RANK, 64)}, "was made for"),
    "a vector": ({"up": (192,), "down": (RANK, 64)}, "was made for"),
    "for other columns": ({"up": (192, RANK), "down": (RANK, 63)}, "was made for"),
    "a DoRA": (
        {"up": (192, RANK), "down": (RANK, 64), "dora_scale": (192, 1)},
        "it is a DoRA of layers that are several",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_lora_that_does_not_fit_gets_a_sentence(tmp_path: Path, case: str) -> None:
    """Before anything is painted."""
    shapes, problem = WRONG[case]
    parts = {role: torch.ones(shape) for role, shape in shapes.items()}
    save_tensors(kohya("double_blocks.0.img_attn.qkv", parts), tmp_path / "it.safetensors")
    with pytest.raises(TapestryError, match=problem):
        paint(tmp_path, build("flux"), "plain", Lora("it"))
