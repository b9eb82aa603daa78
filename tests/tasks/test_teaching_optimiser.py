"""Which optimiser teaching takes, and what its moments need."""

import sys
from types import SimpleNamespace

import pytest
import torch

from tapestry_backend.tasks.teaching_optimiser import optimiser_for

TENSORS = {"small": torch.zeros(1000), "large": torch.zeros(64, 256)}


class InEightBits(torch.optim.AdamW):
    """Stands for that of bitsandbytes, which runs on a card alone."""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if bitsandbytes were there."""
    optim = SimpleNamespace(AdamW8bit=InEightBits)
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace(optim=optim))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", optim)
    monkeypatch.setattr(torch.version, "cuda", "13.0")


@pytest.mark.usefixtures("installed")
def test_a_card_takes_eight_bits_where_they_are_installed() -> None:
    """Small tensors keep full moments, as bitsandbytes has it."""
    found = optimiser_for(torch.device("cuda"))
    assert (found.name, found.make, found.in_eight_bits) == ("AdamW8bit", InEightBits, True)
    blocks = 64 * 256 / 256
    assert found.moment_bytes(TENSORS) == 1000 * 8 + 64 * 256 * 2 + blocks * 2 * 4


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("kind", ["cpu", "mps", "xpu"])
def test_other_devices_take_torchs_own(kind: str) -> None:
    """In single precision."""
    found = optimiser_for(torch.device(kind))
    assert (found.name, found.make) == ("AdamW", torch.optim.AdamW)
    assert found.moment_bytes(TENSORS) == (1000 + 64 * 256) * 8


def test_a_card_without_it_takes_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, or cannot be loaded, or the card is not NVIDIA's."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    assert optimiser_for(torch.device("cuda")).name == "AdamW"
    optim = SimpleNamespace(AdamW8bit=InEightBits)
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace(optim=optim))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", optim)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert optimiser_for(torch.device("cuda")).name == "AdamW"


def test_it_is_not_imported_for_a_processor() -> None:
    """Though it may be installed."""
    optimiser_for(torch.device("cpu"))
    assert "bitsandbytes" not in sys.modules
