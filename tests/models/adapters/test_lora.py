"""LoRAs in both formats: diffusers' own numbers, for the whole picture and for a region alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tapestry_protocol.adapters import Lora
from tests.models.adapters.conftest import LatentsOf, near, open_pipeline, painted
from tests.models.adapters.parts import region
from tests.models.tiny_checkpoints import FACTOR, WINDOW

WEIGHT = 0.7


@pytest.mark.parametrize("name", ["peft", "rs", "kohya"])
def test_one_window_is_what_diffusers_paints_with_it(
    checkpoint: Path, adapters: Path, latents_of: LatentsOf, name: str
) -> None:
    """The U-Net's and the text encoder's part, at a weight between."""
    pipeline = open_pipeline(checkpoint)
    pipeline.load_lora_weights(adapters / f"{name}.safetensors", adapter_name="it")
    pipeline.set_adapters("it", WEIGHT)
    theirs = painted(pipeline)
    ours = latents_of(loras=(Lora(name, WEIGHT),))

    near(ours, theirs)
    assert float((ours - latents_of()).abs().max()) > 0.01, "it changes something"


def test_kohyas_names_mean_the_same(latents_of: LatentsOf) -> None:
    """The text encoder's part too, which this version of diffusers cannot read any more."""
    renamed, twin = (latents_of(loras=(Lora(name),)) for name in ("kohya-all", "peft"))

    assert torch.equal(renamed, twin)
    assert not torch.equal(renamed, latents_of(loras=(Lora("kohya"),)))


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")
def test_several_add_up(checkpoint: Path, adapters: Path, latents_of: LatentsOf) -> None:
    """Each with its own weight, also a negative one."""
    pipeline = open_pipeline(checkpoint)
    for name in ("peft", "rs"):
        pipeline.load_lora_weights(adapters / f"{name}.safetensors", adapter_name=name)
    pipeline.set_adapters(["peft", "rs"], [0.5, -0.4])
    theirs = painted(pipeline)

    near(latents_of(loras=(Lora("peft", 0.5), Lora("rs", -0.4))), theirs)


def test_a_weight_of_nothing_is_none_and_nothing_stays_behind(latents_of: LatentsOf) -> None:
    """To the last bit, before and after it was used."""
    plain = latents_of()
    changed = latents_of(loras=(Lora("peft"),))

    assert torch.equal(latents_of(loras=(Lora("peft", 0.0),)), plain)
    assert not torch.equal(changed, plain)
    assert torch.equal(latents_of(), plain)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_regions_lora_changes_nothing_beyond_its_reach(latents_of: LatentsOf, steps: int) -> None:
    """One step changes the region's own cells; each further one what its windows show others."""
    results = []
    for weight in (0.3, 1.0):
        own, blobs = region(0, 64, fit="loose", loras=(Lora("peft", weight),))
        fields = {"width": 320, "regions": (own,), "num_inference_steps": steps, "coherence": 0.0}
        results.append(latents_of(blobs, **fields))
    reach = 64 // FACTOR + WINDOW * (steps - 1) + WINDOW // 2
    differ = (results[0] != results[1]).any(dim=0).any(dim=0).any(dim=0)

    assert bool(differ[: 64 // FACTOR].all())
    assert not bool(differ[reach:].any())


def test_a_region_has_the_last_word_about_its_lora(latents_of: LatentsOf) -> None:
    """The picture's with another weight here; and the others keep the picture's."""
    whole, blobs = region(0, 64)
    own, _ = region(0, 64, loras=(Lora("peft", 0.5),))
    asked = {"regions": (whole,), "loras": (Lora("peft", 0.5),)}

    told = latents_of(blobs, regions=(own,), loras=(Lora("peft", 2.0),))
    assert torch.equal(told, latents_of(blobs, **asked))


def test_all_regions_with_the_pictures_lora_are_one_group(latents_of: LatentsOf) -> None:
    """Rows with the same adapters share a batch: the same numbers as the whole picture's LoRA."""
    own, blobs = region(0, 64, loras=(Lora("kohya"),))
    other, _ = region(64, 128, loras=(Lora("kohya"),))
    everywhere, _ = region(0, 64)
    beside, _ = region(64, 128)
    near(
        latents_of(blobs, width=128, regions=(own, other)),
        latents_of(blobs, width=128, regions=(everywhere, beside), loras=(Lora("kohya"),)),
    )
