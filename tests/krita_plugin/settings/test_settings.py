"""The docker's fields and how they are kept."""

import json

import pytest

from tapestry.settings.settings import LIMITS, Settings, settings_of, sound_values
from tapestry_protocol.messages import PixelsRef, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins


def test_settings_come_back() -> None:
    """What was kept is what is read."""
    settings = Settings("fill", "sky", "rain", "oil paint", seed=7, strength=0.25, wrap=True)
    assert Settings.from_text(settings.to_text()) == settings


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"seed": "seven"}'])
def test_damaged_settings_are_the_defaults(text: str) -> None:
    """Krita's file can be edited by hand."""
    assert Settings.from_text(text) == Settings()


def test_values_out_of_range_are_left_out_alone() -> None:
    """The others are kept."""
    kept = json.dumps(
        {"seed": -1, "num_inference_steps": 0, "guidance_scale": 1e9, "mode": "up"}
        | {
            "extend_top": -1,
            "scheduler": "magic",
            "speed": "warp",
            "model": "",
            "prompt": "sky",
            "strength": 1,
        }
    )
    assert Settings.from_text(kept) == Settings(prompt="sky", strength=1.0)


def test_defaults_are_within_their_limits() -> None:
    """And every limit belongs to a field."""
    settings = Settings()
    for name, (low, high) in LIMITS.items():
        assert low <= getattr(settings, name) <= high
        assert sound_values({name: high + 1}) == {}


def test_each_side_has_a_margin_of_its_own() -> None:
    """Each side grows by its own number of pixels."""
    assert Settings().margins == Margins(right=128)
    settings = Settings(extend_top=1, extend_left=2, extend_bottom=3, extend_right=4)
    assert settings.margins == Margins(1, 2, 3, 4)


def test_a_request_tells_the_settings_that_made_it() -> None:
    """Softened outlines are no feather of a selection; margins are the sides that grow."""
    plain = settings_of(Request("extend", 8, 8, margins=Margins(left=16), feather_px=4, seed=5))
    assert (plain["outline_px"], plain["seed"]) == (4, 5)
    assert (plain["extend_left"], plain["extend_right"]) == (16, 0)
    assert "feather_px" not in plain
    selected = Selection(Bounds(0, 0, 8, 8), PixelsRef(8, 8, 1, "0" * 64))
    within = settings_of(Request("fill", 8, 8, selection=selected, feather_px=4, strength=0.0))
    assert within["feather_px"] == 4
    assert not {"outline_px", "extend_left", "strength"} & set(within)


def test_an_upscale_tells_its_own_settings() -> None:
    """Its strength is none of Refine's."""
    told = settings_of(Request("upscale", 8, 8, factor=3.0, strength=0.0))
    assert (told["upscale_factor"], told["upscale_strength"]) == (3.0, 0.0)
    assert "strength" not in told
    assert "upscale_factor" not in settings_of(Request("generate", 8, 8))
    assert sound_values({"upscale_into": "elsewhere"}) == {}


def test_the_docker_begins_with_what_a_request_asks_for_by_itself() -> None:
    """How pictures are painted is one matter, wherever it is asked from."""
    request, settings = Request("generate", 64, 64), Settings()

    for name in ("coherence", "composition", "melt", "speed", "step_cache", "scheduler"):
        assert getattr(settings, name) == getattr(request, name), name


def test_a_document_keeps_the_coherence_that_it_was_saved_with() -> None:
    """None at all, too, from the time when that was the default."""
    assert Settings.from_text('{"coherence": 0.0}').coherence == 0
