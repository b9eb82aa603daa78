"""Packed checkpoints: every layer computes with the numbers that were meant, and stays packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import save_file
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import Catalogue, read_checkpoint_at
from tapestry_backend.checkpoints.component_files import ComponentFiles
from tapestry_backend.checkpoints.gguf_header import PACKINGS
from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_backend.models.adapters.factors import LowRank
from tapestry_backend.models.device.offloading import stream_layers
from tapestry_backend.models.loading.packed_linear import PackedLinear, unpacked, weights_of
from tapestry_backend.models.model_cache import ModelCache
from tests.models.tiny_checkpoints import save_tokenizers
from tests.models.tiny_files import State, build
from tests.models.tiny_gguf import WRITTEN, llama_names, save_gguf

FAMILIES = ["sd3", "flux", "z_image", "flux2", "chroma", "qwen_image"]
TALKERS = {
    "text_encoders.t5xxl.transformer.": ("t5", "t5encoder"),
    "text_encoders.qwen3_4b.transformer.": ("qwen", "qwen3"),
    "text_encoders.qwen25_7b.transformer.": ("qwen", "qwen2vl"),
}
_VAES = {"sd3": "sd3_vae.safetensors", "qwen_image": "qwen_image_vae.safetensors"}
BACKBONE = "model.diffusion_model."


def within(tensors: State, prefix: str) -> State:
    """The tensors whose names begin like that, without the beginning."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def saved(tensors: State, path: Path) -> Path:
    """In one safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.float().contiguous() for name, tensor in tensors.items()}, path)
    return path


def in_files(family: str, folder: Path, kind: Kind, *, packed: bool) -> Path:
    """A checkpoint as ComfyUI keeps it, with packed networks or with what these mean."""
    tensors = build(family).tensors
    end = "gguf" if packed else "safetensors"
    path = folder / "diffusion_models" / f"tiny.{end}"
    helpers = folder / "text_encoders"
    scratch = folder / "scratch.gguf"
    for parent in (path.parent, helpers):
        parent.mkdir(parents=True)
    meant = save_gguf(within(tensors, BACKBONE), path if packed else scratch, kind)
    if not packed:
        saved(meant, path)
    vae = within(tensors, "vae.") or within(tensors, "first_stage_model.")
    saved(vae, folder / "vae" / _VAES.get(family, "ae.safetensors"))
    for name in ("clip_l", "clip_g"):
        found = within(tensors, f"text_encoders.{name}.transformer.")
        if found:
            saved(found, helpers / f"{name}.safetensors")
    for prefix, (names, architecture) in TALKERS.items():
        found = within(tensors, prefix)
        if not found:
            continue
        llama = llama_names(found, names)
        talker = helpers / f"talker.{end}"
        meant = save_gguf(llama, talker if packed else scratch, kind, architecture)
        if not packed:
            saved({own: meant[new] for own, new in zip(found, llama, strict=True)}, talker)
    scratch.unlink(missing_ok=True)
    return path


def loaded(path: Path) -> Any:
    """The checkpoint with what lies in the folders beside it."""
    beside = [path.parents[1] / name for name in ("text_encoders", "vae")]
    entry = read_checkpoint_at("tiny", path, ComponentFiles(beside).of(path))
    return ModelCache(Catalogue(found=[entry]), "cpu").load("tiny")


def answer(model: Any) -> Tensor:
    """What it makes of some noise."""
    side = 4
    latents = torch.randn(1, model.channels, side, side, generator=torch.Generator().manual_seed(0))
    return model.predict(latents, torch.tensor(500.0), model.encode_prompts(["a red fox"]))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_checkpoint_is_the_one_that_was_meant(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transformer and language model, by their own names; each told from its header."""
    save_tokenizers(tmp_path)
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    path = in_files(family, tmp_path / "packed", Kind.Q8_0, packed=True)
    model = loaded(path)
    expected = loaded(in_files(family, tmp_path / "meant", Kind.Q8_0, packed=False))
    entry = read_checkpoint_at(
        "tiny",
        path,
        ComponentFiles([path.parents[1] / name for name in ("text_encoders", "vae")]).of(path),
    )
    layers = [each for each in model._transformer.modules() if isinstance(each, PackedLinear)]

    assert (entry.family, entry.dtype) == (family, "q8_0")
    assert len(layers) > 5
    assert {each.suffix for each in entry.component_files.values()} == {".gguf", ".safetensors"}
    torch.testing.assert_close(answer(model), answer(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.name)
def test_each_way_of_packing_is_read(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As gguf itself packs them."""
    save_tokenizers(tmp_path)
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    model = loaded(in_files("z_image", tmp_path / "packed", kind, packed=True))
    expected = loaded(in_files("z_image", tmp_path / "meant", kind, packed=False))

    torch.testing.assert_close(answer(model), answer(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("number", [n for n, each in PACKINGS.items() if each.numbers > 1])
def test_unpacked_numbers_are_those_of_gguf_itself(number: int) -> None:
    """Also for what it does not pack: blocks of chance, with scales that half precision knows."""
    kind = Kind(number)
    count, size = gguf.GGML_QUANT_SIZES[kind]
    generator = np.random.default_rng(3)
    blocks = generator.integers(0, 256, (6, 4, size), dtype=np.uint8)
    scales = generator.uniform(1e-4, 1e-2, (6, 4, 2)).astype(np.float16).view(np.uint8)
    for place in _SCALES[kind.name]:
        blocks[..., place : place + 2] = scales[..., :2]
    stored = blocks.reshape(6, -1)
    expected = torch.from_numpy(gguf.dequantize(stored, kind).copy())
    made = unpacked(torch.from_numpy(stored), kind, torch.float32)

    assert made.shape == (6, 4 * count)
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=1e-5)


_SCALES = {
    **dict.fromkeys(("Q4_0", "Q5_0", "Q8_0"), (0,)),
    **dict.fromkeys(("Q4_1", "Q5_1", "Q4_K", "Q5_K"), (0, 2)),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q6_K": (208,),
}
"""Where in a block its scales stand."""


def test_the_sizes_of_blocks_are_those_of_gguf() -> None:
    """Ours are known without it."""
    sizes = {int(kind): size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert {n: (each.numbers, each.size_bytes) for n, each in PACKINGS.items()} == {
        number: sizes[number] for number in PACKINGS
    }
    assert all(Kind(number).name == each.name for number, each in PACKINGS.items())


def packed_layer() -> tuple[PackedLinear, Tensor]:
    """A layer of 96 x 64, and its weights."""
    weights = torch.randn(96, 64, generator=torch.Generator().manual_seed(2))
    packed = gguf.quantize(weights.numpy(), Kind.Q8_0)
    layer = PackedLinear(64, 96, Kind.Q8_0, torch.float32, bias=True)
    state = {"packed": torch.from_numpy(packed), "bias": torch.ones(96)}
    layer.load_state_dict(state, assign=True)
    return layer, torch.from_numpy(gguf.dequantize(packed, Kind.Q8_0).copy())


def test_a_packed_layer_takes_what_its_file_takes() -> None:
    """34 bytes for 32 numbers; its weights are never all there but while it is computed."""
    layer, weights = packed_layer()
    given = torch.randn(3, 64)

    assert layer.packed.nbytes == 96 * 64 * 34 // 32
    assert (layer.weight.shape, layer.weight.dtype) == (weights.shape, torch.float32)
    assert torch.equal(layer(given), torch.nn.functional.linear(given, weights, layer.bias))
    assert torch.equal(weights_of(layer), weights)


def test_an_adapter_fits_a_packed_layer_as_any_other() -> None:
    """By its shape; and what comes in layers comes packed."""
    layer, _ = packed_layer()
    down, up = torch.randn(4, 64), torch.randn(96, 4)
    factors = LowRank({"down": down, "up": up})
    assert factors.fits(layer)
    assert not LowRank({"down": torch.randn(4, 68), "up": up}).fits(layer)

    given = torch.randn(3, 64)
    expected = layer(given)
    network = torch.nn.Sequential(layer)
    stream_layers(network, torch.device("cpu"))
    assert torch.equal(network(given), expected)


def test_large_weights_are_unpacked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same numbers."""
    from tapestry_backend.models.loading import packed_linear

    layer, weights = packed_layer()
    monkeypatch.setattr(packed_linear, "_AT_ONCE", 7 * 32)
    assert torch.equal(layer.unpacked(), weights)
