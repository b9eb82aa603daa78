"""Networks that enlarge: read by all names that programs give them, the same in tiles as whole."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tapestry_backend.checkpoints.upscaler_file import (
    Upscaler,
    expected_shapes,
    find_upscaler,
    upscalers_in,
)
from tapestry_backend.models import esrgan
from tapestry_backend.models.esrgan import Enlarger
from tapestry_protocol.errors import TapestryError

CPU = torch.device("cpu")


def weights(shrunk: int = 1, doublings: int = 2, blocks: int = 2) -> dict[str, Tensor]:
    """A tiny network's, by BasicSR's names."""
    generator = torch.Generator().manual_seed(1)
    shapes = expected_shapes(Upscaler(Path(), {}, 4, 3, blocks, shrunk, doublings))
    made = {name: 0.15 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return made | {"conv_last.bias": torch.full((3,), 0.5)}


def numbered(name: str) -> str:
    """What the first ESRGAN called the tensors of a network of two blocks that doubles twice."""
    name = re.sub(r"body\.(\d)\.rdb(\d)\.conv(\d)\.", r"model.1.sub.\1.RDB\2.conv\3.0.", name)
    places = {"conv_first": 0, "conv_up1": 3, "conv_up2": 6, "conv_hr": 8, "conv_last": 10}
    layer, _, kind = name.rpartition(".")
    if layer == "conv_body":
        return f"model.1.sub.2.{kind}"
    return f"model.{places[layer]}.{kind}" if layer in places else name


def later(name: str) -> str:
    """What its authors called them later."""
    name = re.sub(r"body\.(\d)\.rdb(\d)", r"RRDB_trunk.\1.RDB\2", name)
    words = {"conv_body": "trunk_conv", "conv_hr": "HRconv"}
    words |= {"conv_up1": "upconv1", "conv_up2": "upconv2"}
    layer, _, kind = name.rpartition(".")
    return f"{words.get(layer, layer)}.{kind}"


def picture(height: int = 20, width: int = 26) -> np.ndarray:
    """Noise, float32 [3, height, width]."""
    return np.random.default_rng(2).random((3, height, width), np.float32)


def last(enlarger: Enlarger, shown: np.ndarray) -> np.ndarray:
    """All of a larger picture."""
    *_, larger = enlarger.enlarged(shown)
    return larger


@pytest.mark.parametrize(
    "called", [numbered, later, lambda name: f"params_ema.{name}"], ids=["numbers", "words", "ema"]
)
def test_one_network_by_all_its_names(tmp_path: Path, called) -> None:
    """It makes the same picture of the same one."""
    own = weights()
    save_file(own, tmp_path / "own.safetensors")
    save_file({called(name): each for name, each in own.items()}, tmp_path / "other.safetensors")
    pictures = [
        last(Enlarger(find_upscaler(str(tmp_path / f"{name}.safetensors")), CPU), picture())
        for name in ("own", "other")
    ]

    assert (pictures[0] == pictures[1]).all()
    assert pictures[0].shape == (3, 80, 104)
    assert 0.01 < pictures[0].std() < 0.4


@pytest.mark.parametrize(
    ("shrunk", "doublings", "times"), [(1, 1, 2), (1, 3, 8), (2, 2, 2), (4, 2, 1)]
)
def test_how_many_times_is_told_by_its_layers(
    tmp_path: Path, shrunk: int, doublings: int, times: int
) -> None:
    """Also of a picture that is not whole groups of pixels."""
    save_file(weights(shrunk, doublings, 1), tmp_path / "net.safetensors")
    enlarger = Enlarger(find_upscaler(str(tmp_path / "net.safetensors")), CPU)

    assert enlarger.times == times
    assert last(enlarger, picture(7, 9)).shape == (3, 7 * times, 9 * times)


@pytest.mark.parametrize("shrunk", [1, 2])
def test_tiles_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrunk: int) -> None:
    """Each sees what lies around it; after each one can stop."""
    save_file(weights(shrunk, blocks=1), tmp_path / "net.safetensors")
    enlarger = Enlarger(find_upscaler(str(tmp_path / "net.safetensors")), CPU)
    shown = picture(40, 50)
    whole = last(enlarger, shown)
    monkeypatch.setattr(enlarger, "_tile_px", 15)
    tiles = list(enlarger.enlarged(shown))

    assert len(tiles) == 12
    assert np.abs(tiles[-1] - whole).max() < 1e-3


def test_less_memory_makes_smaller_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture is the same."""
    save_file(weights(blocks=1), tmp_path / "net.safetensors")
    enlarger = Enlarger(find_upscaler(str(tmp_path / "net.safetensors")), CPU)
    whole = last(enlarger, picture())
    forward = esrgan.RRDBNet.forward

    def small_alone(network: esrgan.RRDBNet, pixels: Tensor) -> Tensor:
        if pixels.shape[-1] * pixels.shape[-2] > 300:
            raise MemoryError
        return forward(network, pixels)

    monkeypatch.setattr(esrgan.RRDBNet, "forward", small_alone)
    monkeypatch.setattr(esrgan, "_AROUND_PX", 6)
    assert np.abs(last(enlarger, picture()) - whole).max() < 0.05


def test_one_is_found_by_its_name(tmp_path: Path) -> None:
    """Where A1111 and ComfyUI keep theirs, with or without its ending."""
    for folder in ("models/ESRGAN", "models/upscale_models"):
        (tmp_path / folder).mkdir(parents=True)
    save_file(weights(), tmp_path / "models/upscale_models/4x-sharp.safetensors")

    for name in ("4x-sharp", "4x-sharp.safetensors"):
        assert find_upscaler(name, [tmp_path]).path.name == "4x-sharp.safetensors"


def test_those_in_folders_are_listed_and_others_told(tmp_path: Path) -> None:
    """Each by its name; two of one name by their folders, too. One bad file stops no other."""
    one, two = tmp_path / "ESRGAN", tmp_path / "upscale_models"
    for folder in (one, two):
        folder.mkdir()
        save_file(weights(), folder / "4x-sharp.safetensors")
    (two / "old.pth").write_bytes(b"PK\x03\x04" + bytes(200))
    (two / "read me.txt").write_text("where these are from")
    found, left_out = upscalers_in([one, two, tmp_path / "nowhere"])

    assert found == {
        "4x-sharp": one / "4x-sharp.safetensors",
        "upscale_models/4x-sharp": two / "4x-sharp.safetensors",
    }
    (told,) = left_out
    assert "old.pth" in str(told.sentence)
    assert "a pickle" in str(told.sentence)


def test_what_enlarges_nothing_is_told(tmp_path: Path) -> None:
    """Missing, a pickle, another network, one that lacks a layer."""
    save_file({"conv_first.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "other.safetensors")
    save_file(
        {name: each for name, each in weights().items() if name != "conv_hr.bias"},
        tmp_path / "cut.safetensors",
    )
    (tmp_path / "old.pth").write_bytes(b"PK\x03\x04" + bytes(200))
    for name, sentence in {
        "gone.safetensors": "There is no upscaler",
        "other.safetensors": "no network of ESRGAN's kind",
        "cut.safetensors": "no network of ESRGAN's kind",
        "old.pth": "a pickle",
    }.items():
        with pytest.raises(TapestryError, match=sentence) as raised:
            find_upscaler(str(tmp_path / name))
        assert raised.value.advice
