"""What the one who starts a backend says of cards: 8 bits, layer by layer, other attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.cli.serve import _card_of
from tapestry_backend.models.device.card_settings import ATTENTIONS, CardSettings
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.workers.pool import real_worker_command
from tapestry_protocol.errors import TapestryError
from tests.models.tiny_checkpoints import save_flux, save_flux_2, save_z_image

SAVE = {"flux": save_flux, "z_image": save_z_image, "flux2": save_flux_2}


@pytest.fixture(scope="module", params=SAVE)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint of a transformer."""
    return SAVE[request.param](tmp_path_factory.mktemp("card") / request.param)


def loaded(folder: Path, card: CardSettings | None = None) -> Any:
    """The checkpoint on the processor."""
    return ModelCache(Catalogue([str(folder)]), "cpu", card).load(str(folder))


def answer(model: Any) -> Tensor:
    """What it makes of some noise."""
    noise = torch.Generator().manual_seed(0)
    latents = torch.randn(1, model.channels, 8, 8, generator=noise)
    return model.predict(latents, torch.tensor(500.0), model.encode_prompts(["red"]))


def test_layers_in_8_bits_compute_with_what_is_held(folder: Path) -> None:
    """As if the same numbers had been stored in full; norms stay as they were."""
    held, plain = loaded(folder, CardSettings(fp8=True)), loaded(folder)
    states = held._transformer.state_dict()
    narrow = [name for name, tensor in states.items() if tensor.dtype == torch.float8_e4m3fn]
    made = answer(held)
    before = answer(plain)
    plain._transformer.load_state_dict({name: t.float() for name, t in states.items()})

    assert len(narrow) > 5
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, answer(plain), atol=2e-6, rtol=0)
    assert 2e-4 < float((made - before).abs().max()) < 0.2


@pytest.mark.parametrize("name", ["native", "math"])
def test_attention_is_done_by_what_was_chosen(folder: Path, name: str) -> None:
    """With the same numbers, up to rounding."""
    model = loaded(folder, CardSettings(attention=name))
    chosen = {
        each.processor._attention_backend.value
        for each in model._transformer.modules()
        if hasattr(each, "processor")
    }
    made = answer(model)
    model._transformer.set_attention_backend("native")  # which also holds for the others here

    assert chosen == {ATTENTIONS[name]}
    torch.testing.assert_close(made, answer(loaded(folder)), atol=1e-5, rtol=0)


def test_attention_that_is_not_there_is_a_sentence(folder: Path) -> None:
    """Before anything is painted."""
    with pytest.raises(TapestryError, match=r"Attention cannot be done by .sage. here") as raised:
        loaded(folder, CardSettings(attention="sage"))
    assert "without --attention" in raised.value.advice


def test_what_is_said_reaches_the_workers() -> None:
    """As their own options."""
    import argparse

    said = argparse.Namespace(attention="sage", fp8=True, in_layers=True)
    nothing = argparse.Namespace(attention=None, fp8=False, in_layers=False)

    assert _card_of(said) == ["--attention=sage", "--fp8", "--in-layers"]
    assert real_worker_command([], card=_card_of(said))[-1] == "--in-layers"
    assert real_worker_command([], card=_card_of(nothing)) == real_worker_command([])
