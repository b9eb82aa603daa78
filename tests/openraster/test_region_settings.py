"""Settings of a region as text: what is written is read again, anything else gets a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestry_backend.openraster.region_settings import read_settings, write_settings
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_GUIDANCE_SCALE, MAX_SEED, MAX_WEIGHT, MIN_WEIGHT

PROMPT = st.text(st.characters(exclude_characters="="), max_size=40).map(str.strip)
LORA = st.builds(Lora, st.text("abc-_. ", min_size=1).map(str.strip).filter(bool), st.floats(-4, 4))
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "weight": st.floats(MIN_WEIGHT, MAX_WEIGHT),
        "guidance_scale": st.floats(0, MAX_GUIDANCE_SCALE),
        "seed": st.integers(0, MAX_SEED),
        "fit": st.sampled_from(["tight", "loose"]),
        "strength": st.floats(0, 1),
        "negative_prompt": PROMPT,
        "loras": st.lists(LORA, min_size=1, max_size=3).map(tuple),
    },
)


@given(SETTINGS)
def test_what_is_written_is_read_again(settings: dict[str, Any]) -> None:
    """Every value exactly."""
    assert read_settings(write_settings(settings), "sky") == settings


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("  ", {}),
        ("weight=2", {"weight": 2.0}),
        (" seed = 7 , fit = loose ", {"seed": 7, "fit": "loose"}),
        ("negative=dark, wet,strength=0.5", {"negative_prompt": "dark, wet", "strength": 0.5}),
        ("negative=", {"negative_prompt": ""}),
        ("guidance=0", {"guidance_scale": 0.0}),
        ("lora=ink", {"loras": (Lora("ink"),)}),
        ("lora=,weight=2", {"loras": (), "weight": 2.0}),
        (
            "lora= ink : 0.5 ; grain:-1,seed=7",
            {"loras": (Lora("ink", 0.5), Lora("grain", -1.0)), "seed": 7},
        ),
    ],
)
def test_people_write_in_many_ways(text: str, settings: dict[str, Any]) -> None:
    """Spaces do not matter, and a comma in a prompt is a comma."""
    assert read_settings(text, "sky") == settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("weight", "“weight” is no setting"),
        ("mood=dark", "“mood=dark” is no setting"),
        ("seed=1,seed=2", "comes twice"),
        ("seed=1.5", "seed=“1.5” is no number between 0 and 4294967295"),
        ("seed=-1", "no number between"),
        ("weight=0", "weight=“0” is no number between 0.01 and 100"),
        ("weight=nan", "no number between"),
        ("strength=1.1", "no number between 0 and 1"),
        ("guidance=inf", "no number between"),
        ("fit=snug", "fit=“snug” is none of tight, loose"),
        ("weight=2,,seed=1", "no number between"),
        (",seed=1", "is no setting"),
        ("strength_=1", "is no setting"),
        ("prompt=sky", "is no setting"),
        ("lora=ink;", "is no LoRA with its weight"),
        ("lora=ink:5", "“5” is no number between -4 and 4"),
        ("lora=ink:much", "“much” is no number"),
    ],
)
def test_anything_else_gets_a_sentence(text: str, problem: str) -> None:
    """It names the region and what is wrong, and shows how to write it."""
    with pytest.raises(TapestryError, match="region “sky” cannot be read") as caught:
        read_settings(text, "sky")

    assert problem in caught.value.message
    assert caught.value.code is ErrorCode.BAD_REQUEST
    assert "fit=loose" in caught.value.advice
