"""A quick request has its model's LoRA for few steps, and the numbers that go with it."""

from dataclasses import replace

import pytest

from tapestry_backend.checkpoints.quick_lora import with_quick_lora
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds

REQUEST = Request("generate", 64, 64, prompt="snow", loras=(Lora("ink", 0.5),), scheduler="ddim")


def test_any_other_request_stays_as_it_is() -> None:
    """With its own numbers."""
    assert with_quick_lora(REQUEST) == REQUEST


def test_a_quick_one_has_four_steps_without_guidance() -> None:
    """Nor has a region any guidance of its own; other LoRAs stay. Read again it is the same."""
    mask = PixelsRef(4, 4, 1, "ab" * 32)
    regions = (Region("sea", Bounds(0, 0, 4, 4), mask, guidance_scale=7.0),)
    quick = with_quick_lora(replace(REQUEST, quick=True, regions=regions))
    assert quick.loras == (Lora("ink", 0.5), Lora("sample-quick", 1.0))
    assert (quick.num_inference_steps, quick.guidance_scale, quick.scheduler) == (
        4,
        1,
        "checkpoint",
    )
    assert quick.regions[0].guidance_scale is None
    assert with_quick_lora(quick) == quick


def test_its_own_weight_of_that_lora_counts() -> None:
    """The artist has laid it on as well."""
    laid = replace(REQUEST, quick=True, loras=(Lora("sample-quick", 0.7),))
    assert with_quick_lora(laid).loras == laid.loras


def test_a_model_without_such_a_lora_says_so() -> None:
    """With what to do."""
    with pytest.raises(TapestryError, match="no quick way") as caught:
        with_quick_lora(replace(REQUEST, quick=True, model="other"))
    assert "Switch Quick off" in caught.value.advice
