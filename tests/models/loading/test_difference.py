"""A small file that makes another model of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tapestry_backend.checkpoints.catalogue import Checkpoint, read_checkpoint_at
from tapestry_backend.checkpoints.difference_file import FIRST_LAYER, SCALE
from tapestry_backend.models.loading.difference import packed, put_difference, unpacked
from tapestry_backend.models.loading.parts import load_parts
from tapestry_protocol.errors import ErrorCode, TapestryError
from tests.models.tiny_checkpoints import save_checkpoint

CHANNELS = 4


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Checkpoint:
    """A tiny model that paints from words."""
    folder = save_checkpoint(tmp_path_factory.mktemp("base") / "tiny", channels=CHANNELS)
    return read_checkpoint_at("tiny", folder)


@pytest.fixture(scope="module")
def file(base: Checkpoint, tmp_path_factory) -> Path:
    """What another one differs from it by: all weights by some noise, and a wider first layer."""
    generator = torch.Generator().manual_seed(2)
    tensors = {}
    for name in ("unet", "text_encoder"):
        for place, own in networks_of(base)[name].named_parameters():
            whole = f"{name}.{place}"
            noise = 0.05 * torch.randn(own.shape, generator=generator)
            if whole == f"{FIRST_LAYER}weight":
                tensors[whole] = torch.cat([own, own], dim=1).contiguous()
            elif whole.startswith(FIRST_LAYER):
                tensors[whole] = own.clone()
            elif own.ndim > 1:
                tensors[whole], tensors[whole + SCALE] = (p.contiguous() for p in packed(noise))
            else:
                tensors[whole] = noise.half()
    path = tmp_path_factory.mktemp("difference") / "other.safetensors"
    save_file(tensors, path)
    return path


def networks_of(entry: Checkpoint) -> dict[str, Any]:
    """Its networks, loaded anew."""
    return load_parts(entry, torch.float32).modules


@pytest.mark.parametrize("shape", [(6, 10), (5, 7), (4, 3, 3, 3), (1, 1)])
def test_four_bits_keep_a_difference_nearly(shape: tuple[int, ...]) -> None:
    """Within a small part of each row's size, in half a byte for each number."""
    rows = torch.logspace(-4, 0, shape[0]).view(-1, *[1] * (len(shape) - 1))
    given = rows * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    stored, scales = packed(given)
    found = unpacked(stored, scales, given)
    assert stored.dtype == torch.uint8
    assert stored.shape == (shape[0], -(-given[0].numel() // 2))
    assert found.shape == given.shape
    far = (found - given).flatten(1).norm(dim=1) / given.flatten(1).norm(dim=1)
    assert float(far.max()) < 0.2


def test_nothing_stays_nothing() -> None:
    """A layer that learned nothing is what it was."""
    given = torch.zeros(3, 4)
    assert torch.equal(unpacked(*packed(given), given), given)


def test_it_makes_another_model_of_the_base(base: Checkpoint, file: Path) -> None:
    """A wider first layer, and the difference added to all others."""
    before, after = networks_of(base), networks_of(base)
    put_difference(after, file)
    tensors = load_file(file)
    assert after["unet"].config.in_channels == 2 * CHANNELS
    assert torch.equal(after["unet"].conv_in.weight, tensors[f"{FIRST_LAYER}weight"])
    name = "down_blocks.0.resnets.0.conv1.weight"
    own = before["unet"].get_parameter(name)
    added = unpacked(tensors[f"unet.{name}"], tensors[f"unet.{name}{SCALE}"], own)
    assert torch.equal(after["unet"].get_parameter(name), own + added)
    bias = "conv_norm_out.bias"
    changed = after["unet"].get_parameter(bias) - before["unet"].get_parameter(bias)
    assert torch.allclose(changed, tensors[f"unet.{bias}"].float(), atol=1e-6)
    assert after["unet"](
        torch.zeros(1, 2 * CHANNELS, 8, 8), 5, torch.zeros(1, 3, 32)
    ).sample.shape == (1, CHANNELS, 8, 8)


FIRST, LAYER = f"{FIRST_LAYER}weight", "unet.mid_block.resnets.0.conv1.weight"
DAMAGES: dict[str, tuple[str, Callable[[dict[str, torch.Tensor]], Any]]] = {
    "no first layer": ("does not take 8 channels", lambda t: t.pop(FIRST)),
    "a narrow first layer": ("does not take 8 channels", lambda t: _cut(t, FIRST, 1)),
    "fewer rows": ("does not fit the model", lambda t: _cut(t, LAYER + SCALE, 0)),
    "fewer columns": ("does not fit the model", lambda t: _cut(t, LAYER, 1)),
    "missing": ("is missing", lambda t: t.pop(LAYER)),
    "no scales": ("is missing", lambda t: t.pop(LAYER + SCALE)),
    "more": ("belongs to no layer", lambda t: t.update({"unet.more": torch.zeros(2)})),
    "another network": ("belongs to no layer", lambda t: t.update({"vae.x": torch.zeros(2)})),
    "not finite": ("not finite", lambda t: t["unet.conv_out.bias"].fill_(torch.inf)),
}


def _cut(tensors: dict[str, torch.Tensor], name: str, along: int) -> None:
    short = tensors[name].narrow(along, 1, tensors[name].shape[along] - 1)
    tensors[name] = short.contiguous()


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_does_not_fit_gets_a_sentence(
    base: Checkpoint, file: Path, tmp_path: Path, damage: str
) -> None:
    """Whatever is wrong with it, and what to do."""
    said, harm = DAMAGES[damage]
    tensors = load_file(file)
    harm(tensors)
    path = tmp_path / "bad.safetensors"
    save_file(tensors, path)
    with pytest.raises(TapestryError, match=said) as caught:
        put_difference(networks_of(base), path)
    assert caught.value.code is ErrorCode.MODEL_BROKEN
    assert "install Tapestry anew" in caught.value.advice


def test_a_torn_file_gets_a_sentence(base: Checkpoint, file: Path, tmp_path: Path) -> None:
    """Its header says more than there is."""
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(TapestryError, match="leave the file"):
        put_difference(networks_of(base), torn)


def test_a_file_that_is_not_there_gets_a_sentence(base: Checkpoint, tmp_path: Path) -> None:
    """As any other."""
    with pytest.raises(TapestryError, match="cannot be read"):
        put_difference(networks_of(base), tmp_path / "gone.safetensors")
