"""LPIPS where it is installed: found without the network, with a stand-in for the package."""

from __future__ import annotations

import importlib
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tapestry_backend.models.lpips_distance import find_perceptual_distance

CPU = torch.device("cpu")

STAND_IN = '''
import warnings
from torch import nn

class LPIPS(nn.Module):
    """Speaks like the real one: arguments of former years, a warning, a module."""

    def __init__(self, net="alex", verbose=True):
        super().__init__()
        assert net == "vgg" and not verbose
        warnings.warn("The parameter 'pretrained' is deprecated since 0.13", UserWarning)
        self.trunk = nn.Conv2d(3, 4, 3)

    def forward(self, one, other):
        unlike = (self.trunk(one) - self.trunk(other)) ** 2
        return unlike.mean(dim=(1, 2, 3), keepdim=True)
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch) -> Path:
    """A complete installation: both packages, linear layers, trunk; returns where it lies."""
    (tmp_path / "lpips" / "weights" / "v0.1").mkdir(parents=True)
    (tmp_path / "lpips" / "__init__.py").write_text(STAND_IN)
    (tmp_path / "lpips" / "weights" / "v0.1" / "vgg.pth").touch()
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").touch()
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(socket.socket, "connect", _refuse)
    for name in ("lpips", "torchvision"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    yield tmp_path
    for name in ("lpips", "torchvision"):
        sys.modules.pop(name, None)


def _refuse(*arguments: object) -> None:
    raise AssertionError("nothing here may ask the network")


def test_an_installed_one_is_found(installed: Path) -> None:
    """A distance with a gradient, and no weights to be trained."""
    distance: Any = find_perceptual_distance(CPU)
    one = torch.rand(1, 3, 16, 16, requires_grad=True)

    assert distance is not None
    loss = distance(one, torch.zeros(1, 3, 16, 16))
    loss.sum().backward()

    assert loss.shape == (1, 1, 1, 1)
    assert float(one.grad.abs().sum()) > 0
    assert not any(weight.requires_grad for weight in distance.parameters())


@pytest.mark.parametrize(
    "missing",
    ["lpips/weights/v0.1/vgg.pth", "hub/checkpoints/vgg16-397923af.pth", "lpips/__init__.py"],
)
def test_an_incomplete_one_is_none(installed: Path, missing: str) -> None:
    """Without one of its files it would ask the network, or fail in the middle of a run."""
    (installed / missing).unlink()
    importlib.invalidate_caches()

    assert find_perceptual_distance(CPU) is None


def test_none_is_none(monkeypatch) -> None:
    """Most machines have no such package."""
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "site-packages" not in p])
    monkeypatch.delitem(sys.modules, "lpips", raising=False)
    importlib.invalidate_caches()

    assert find_perceptual_distance(CPU) is None


def test_a_window_is_decoded_with_its_gradient(model) -> None:
    """The same pixels as ever, and the way back to the latents."""
    latents = torch.randn(1, model.channels, 16, 16, requires_grad=True)

    pixels = model.decode_with_gradient(latents)
    pixels.sum().backward()

    assert torch.equal(pixels, model.decode(latents))
    assert float(latents.grad.abs().sum()) > 0
