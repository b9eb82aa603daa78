"""The docker's fields and how they are kept."""

import json

import pytest

from tapestry.settings import SIDES, Settings
from tapestry_protocol.pixels import Margins


def test_settings_come_back() -> None:
    """What was kept is what is read."""
    settings = Settings("sky", "rain", 7, 30, 3.5, "all sides", 256)
    assert Settings.from_text(settings.to_text()) == settings


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"seed": "seven"}'])
def test_damaged_settings_are_the_defaults(text: str) -> None:
    """Krita's file can be edited by hand."""
    assert Settings.from_text(text) == Settings()


def test_values_out_of_range_are_left_out_alone() -> None:
    """The others are kept."""
    kept = json.dumps(
        {"seed": -1, "num_inference_steps": 0, "guidance_scale": 1e9, "extend_side": "up"}
        | {"extend_px": 1, "prompt": "sky"}
    )
    assert Settings.from_text(kept) == Settings(prompt="sky")


def test_margins() -> None:
    """Every choice of the docker grows the sides that it names."""
    assert Settings(extend_side="right", extend_px=64).margins == Margins(right=64)
    assert Settings(extend_side="left and right", extend_px=8).margins == Margins(left=8, right=8)
    assert Settings(extend_side="all sides", extend_px=8).margins == Margins(8, 8, 8, 8)
    for side in SIDES:
        assert not Settings(extend_side=side).margins.is_zero
