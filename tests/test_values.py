"""Values that people write, read by the annotations of messages."""

from __future__ import annotations

import pytest

from tapestry_backend.values import (
    read_loras,
    read_value,
    split_settings,
    words_of,
    write_loras,
)
from tapestry_protocol.adapters import Lora
from tapestry_protocol.messages import Expert, Region, Request


@pytest.mark.parametrize(
    ("message", "field", "text", "value"),
    [
        (Request, "num_inference_steps", "200", 200),
        (Request, "guidance_scale", "7.5", 7.5),
        (Expert, "windows", "shift", "shift"),
        (Request, "style", "oil, on canvas", "oil, on canvas"),
        (Region, "guidance_scale", "0", 0.0),
        (Region, "seed", "4294967295", 4294967295),
        (Region, "negative_prompt", "", ""),
        (Region, "fit", "loose", "loose"),
    ],
)
def test_a_text_becomes_the_fields_value(
    message: type, field: str, text: str, value: object
) -> None:
    """Numbers of the field's own type, its words, or the text itself."""
    read = read_value(message, field, text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("num_inference_steps", "0", "“0” is no number between 1 and 200"),
        ("num_inference_steps", "2.5", "no number"),
        ("strength", "nan", "no number between 0 and 1"),
        ("seed", "4294967296", "between 0 and 4294967295"),
        ("task", "still", "“still” is none of generate, extend, refine, fill"),
        ("strength", "x" * 1000, "“xxxx"),
    ],
)
def test_what_means_nothing_gets_a_sentence(field: str, text: str, sentence: str) -> None:
    """With what would mean something."""
    with pytest.raises(ValueError, match=sentence) as caught:
        read_value(Request, field, text)
    assert len(str(caught.value)) < 100


def test_words_are_the_fields_own() -> None:
    """And a field of numbers has none."""
    assert words_of(Expert, "overlap") == ("occlude", "blend")
    assert words_of(Request, "seed") == ()


NAMES = ["plain name", "half; full", "a,b=c", "a:b", 'say "a"', "back\\slash", " edge ", "sub/dir"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_written(name: str) -> None:
    """In quotes where it would be read as something else."""
    loras = (Lora(name, 0.5), Lora("grain", 1.0))
    assert read_loras(write_loras(loras)) == loras


def test_settings_are_divided_where_one_begins() -> None:
    """Neither in a text with commas nor in quotes."""
    text = 'weight=2,lora="a,weight=3;b":0.8,negative=dark, cold, 5" pipes'
    assert split_settings(text) == [
        "weight=2",
        'lora="a,weight=3;b":0.8',
        'negative=dark, cold, 5" pipes',
    ]
