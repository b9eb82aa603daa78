"""The model cache: models are loaded when needed and kept."""

import pytest
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models import model_cache as store_module
from tapestry_backend.models.model_cache import (
    DEVICE_VARIABLE,
    ModelCache,
    best_device,
    device_name,
    device_named,
    sibling_devices,
)
from tapestry_protocol.errors import ErrorCode, TapestryError
from tests.models.tiny_checkpoints import save_checkpoint


def test_a_model_is_loaded_once(model_cache, model) -> None:
    """Asking again gives the same model without loading it."""
    assert model_cache.load("sample") is model


def test_an_unknown_id_gets_a_sentence_that_names_the_known_ones(model_cache) -> None:
    """A path from a request is not an id: models are addressed by the catalogue alone."""
    with pytest.raises(TapestryError, match="Choose one of: sample") as caught:
        model_cache.load("/etc")

    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND


def test_a_device_can_be_chosen(monkeypatch) -> None:
    """One that this machine lacks is not taken."""
    monkeypatch.setenv(DEVICE_VARIABLE, "cpu")
    assert best_device().type == "cpu"
    monkeypatch.delenv(DEVICE_VARIABLE)
    usual = best_device()
    monkeypatch.setenv(DEVICE_VARIABLE, "cuda:99")
    assert best_device() == usual


def test_an_apple_gpu_can_be_named(monkeypatch) -> None:
    """Where there is one; the docker's field and --device say "mps"."""
    with pytest.raises(TapestryError, match="no device “mps” here"):
        device_named("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_named("mps").type == "mps"
    monkeypatch.setenv(DEVICE_VARIABLE, "mps")
    assert best_device().type == "mps"


def test_a_device_that_is_named_must_be_there() -> None:
    """A card that is named is not replaced by another one."""
    assert device_named("cpu").type == "cpu"
    with pytest.raises(TapestryError, match="no device “cuda:99” here") as caught:
        device_named("cuda:99")
    assert "cpu" in caught.value.advice


def test_cards_of_the_best_ones_kind_are_found(monkeypatch) -> None:
    """A slower one beside it is not, and none is where the artist has chosen a device."""
    cards = ["fast", "old", "fast"]
    monkeypatch.delenv(DEVICE_VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: cards[number])
    assert sibling_devices() == ("cuda:2",)
    monkeypatch.setenv(DEVICE_VARIABLE, "cuda:0")
    assert sibling_devices() == ()
    monkeypatch.delenv(DEVICE_VARIABLE)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert sibling_devices() == ()


def test_models_are_kept_while_there_is_room(tmp_path, monkeypatch) -> None:
    """The one used longest ago goes first; the one in use is never asked."""
    folders = [str(save_checkpoint(tmp_path / name)) for name in "abc"]
    model_cache = ModelCache(Catalogue(folders), "cpu")
    first, second = model_cache.load(folders[0]), model_cache.load(folders[1])

    assert model_cache.load(folders[0]) is first, "both are there"
    spare = iter((0, 2**40))
    monkeypatch.setattr(store_module, "spare_bytes", lambda _device: next(spare))
    model_cache.load(folders[2])
    monkeypatch.undo()
    assert model_cache.load(folders[0]) is first
    assert model_cache.load(folders[1]) is not second


def test_a_model_that_cannot_fit_is_refused_before_it_is_read(monkeypatch, catalogue) -> None:
    """With the numbers: stored in half precision, it is twice as large on the processor."""
    size = catalogue.find("sample").size_bytes
    model_cache = ModelCache(catalogue, "cpu")
    monkeypatch.setattr(store_module, "host_bytes", lambda: int(1.9 * size))
    with pytest.raises(TapestryError, match="GiB of memory") as caught:
        model_cache.load("sample")

    assert caught.value.code is ErrorCode.OUT_OF_MEMORY
    monkeypatch.setattr(store_module, "host_bytes", lambda: int(2.1 * size))
    assert model_cache.load("sample")


def test_the_device_has_a_name_for_people() -> None:
    """Whatever device was chosen, the docker can show it."""
    assert device_name(best_device())
