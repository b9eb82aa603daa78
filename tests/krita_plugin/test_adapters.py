"""A LoRA for the picture and for regions: chosen, kept, asked for, and asked for again."""

from __future__ import annotations

import json

import pytest

from tapestry.adapters import choice_of, loras_of
from tapestry.region_book import RegionBook, RegionSettings
from tapestry.settings import Settings, settings_of
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.adapters import AdapterInfo, Lora
from tapestry_protocol.messages import ModelInfo, Request, Submit, Welcome
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.workshop import Workshop


@pytest.fixture
def workshop() -> Workshop:
    """A studio that nobody has used yet."""
    return Workshop()


def test_what_is_chosen_is_asked_for() -> None:
    """Nothing where nothing is chosen."""
    assert loras_of(Settings()) == loras_of(RegionSettings()) == ()
    assert loras_of(Settings(lora="ink", lora_weight=0.5)) == (Lora("ink", 0.5),)
    assert loras_of(RegionSettings(lora="ink")) == (Lora("ink", 1.0),)


@pytest.mark.parametrize("loras", [(), (Lora("ink", -0.5),), (Lora("ink", 0.5), Lora("oil"))])
def test_the_settings_of_a_picture_are_used_again(loras: tuple[Lora, ...]) -> None:
    """The first of several: the docker has one row."""
    request = Request("generate", 64, 64, "sea", loras=loras)
    again = Settings(**settings_of(request))

    assert loras_of(again) == loras[:1]
    assert choice_of(loras)["lora"] == (loras[0].adapter if loras else "")


def test_a_region_keeps_its_own() -> None:
    """In the document's note; what is damaged there is none."""
    settings = RegionSettings(lora="ink", lora_weight=0.5)
    text = RegionBook().with_settings("id", "sea", settings).to_text()
    assert RegionBook.from_text(text).settings("id", "sea") == settings

    damaged = json.loads(text)
    damaged["layers"]["id"] |= {"lora": "x" * 1000, "lora_weight": 50.0}
    assert RegionBook.from_text(json.dumps(damaged)).settings("id", "sea") == RegionSettings()


def test_the_picture_and_a_region_ask_for_theirs(workshop: Workshop) -> None:
    """By the ids that the backend's welcome lists."""
    workshop.connect()
    known = (AdapterInfo("ink", "lora"), AdapterInfo("edges", "controlnet"))
    models = (ModelInfo("sample", "sample", 128),)
    workshop.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, models, known))
    layer = workshop.canvas.add("sea", Bounds(0, 0, 40, 60))
    workshop.studio.look()
    workshop.studio.regions.set(layer, lora="ink", lora_weight=0.25)
    workshop.studio.change(lora="oil", lora_weight=-1.0)
    workshop.studio.generate()
    workshop.loop.run()
    (submit,) = (message for message in workshop.backend.sent if isinstance(message, Submit))

    assert workshop.studio.adapters == known
    assert submit.request.loras == (Lora("oil", -1.0),)
    assert {region.prompt: region.loras for region in submit.request.regions}["sea"] == (
        Lora("ink", 0.25),
    )
    assert sum(bool(region.loras) for region in submit.request.regions) == 1
