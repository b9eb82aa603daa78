"""What makes a request sensible, and the sentences for those that are not."""

import dataclasses
from typing import Any

import pytest

from tapestry_protocol.adapters import Control
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import (
    MAX_CANVAS_PX,
    MAX_PROMPT_CHARACTERS,
    MAX_REGIONS,
    MAX_SIDE_PX,
)
from tapestry_protocol.messages import Edit, PixelsRef, Region, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins
from tapestry_protocol.request_checks import check_canvas, check_request, upscaled_size

SHA256 = "0" * 64
GENERATE = Request("generate", 64, 96, prompt="sky")
EXTEND = Request("extend", 64, 96, margins=Margins(left=8), image=PixelsRef(64, 96, 4, SHA256))
UPSCALE = Request("upscale", 64, 96, factor=8.0, strength=0.0, image=PixelsRef(64, 96, 4, SHA256))


SELECTED = Selection(Bounds(0, 0, 4, 5), PixelsRef(4, 5, 1, SHA256))


def region(height: int = 4, width: int = 5, channels: Any = 1, prompt: str = "sea") -> Region:
    """A region of 4 x 5 pixels, with a mask of this size."""
    return Region(prompt, Bounds(0, 0, 4, 5), PixelsRef(height, width, channels, SHA256))


@pytest.mark.parametrize(
    "request_",
    [
        GENERATE,
        EXTEND,
        Request("generate", 64, 64, regions=(region(),)),
        Request("generate", 64, 64, regions=(region(),), melt=1.0),
        Request("generate", 64, 64, prompt="sky", wrap=True),
        dataclasses.replace(EXTEND, margins=Margins(top=8), wrap=True),
        dataclasses.replace(EXTEND, margins=Margins(left=8, right=24), wrap=True),
        dataclasses.replace(GENERATE, regions=(region(),) * MAX_REGIONS),
        Request("generate", 1, MAX_SIDE_PX, prompt="sky"),
        UPSCALE,
        dataclasses.replace(UPSCALE, factor=1.0, regions=(region(),)),
    ],
    ids=range(11),
)
def test_a_sensible_request_passes(request_: Request) -> None:
    """Also at the edges."""
    check_request(request_)


def changed(request_: Request, **changes: Any) -> Request:
    """The same request, different in this."""
    return dataclasses.replace(request_, **changes)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (changed(GENERATE, prompt=""), ErrorCode.BAD_REQUEST),
        (changed(GENERATE, prompt=" \n"), ErrorCode.BAD_REQUEST),
        (changed(GENERATE, style="caf\udce9"), ErrorCode.BAD_REQUEST),
        (changed(GENERATE, prompt="", regions=(region(prompt=" "),)), ErrorCode.BAD_REQUEST),
        (changed(GENERATE, margins=Margins(top=1)), ErrorCode.BAD_REQUEST),
        (changed(GENERATE, melt=0.5, live="x"), ErrorCode.BAD_REQUEST),
        (changed(GENERATE, image=EXTEND.image), ErrorCode.BAD_REQUEST),
        (changed(GENERATE, regions=(region(height=5),)), ErrorCode.BAD_REQUEST),
        (changed(GENERATE, regions=(region(channels=4),)), ErrorCode.BAD_REQUEST),
        (changed(GENERATE, regions=(region(),) * (MAX_REGIONS + 1)), ErrorCode.TOO_LARGE),
        (changed(GENERATE, width=MAX_SIDE_PX + 1, height=1), ErrorCode.TOO_LARGE),
        (changed(GENERATE, prompt="x" * (MAX_PROMPT_CHARACTERS + 1)), ErrorCode.TOO_LARGE),
        (changed(EXTEND, margins=Margins()), ErrorCode.BAD_REQUEST),
        (changed(EXTEND, margins=Margins(left=MAX_SIDE_PX)), ErrorCode.TOO_LARGE),
        (changed(EXTEND, image=None), ErrorCode.BAD_REQUEST),
        (changed(EXTEND, image=PixelsRef(64, 96, 3, SHA256)), ErrorCode.BAD_REQUEST),
        (changed(EXTEND, image=PixelsRef(96, 64, 4, SHA256)), ErrorCode.BAD_REQUEST),
        (changed(UPSCALE, image=None), ErrorCode.BAD_REQUEST),
        (changed(UPSCALE, image=PixelsRef(96, 64, 4, SHA256)), ErrorCode.BAD_REQUEST),
        (changed(UPSCALE, margins=Margins(left=8)), ErrorCode.BAD_REQUEST),
        (changed(UPSCALE, live="x"), ErrorCode.BAD_REQUEST),
        (changed(UPSCALE, melt=0.5), ErrorCode.BAD_REQUEST),
        (changed(UPSCALE, selection=SELECTED), ErrorCode.BAD_REQUEST),
        (changed(UPSCALE, factor=8.5), ErrorCode.BAD_REQUEST),
    ],
    ids=range(24),
)
def test_a_request_that_cannot_become_a_picture_is_refused(
    request_: Request, code: ErrorCode
) -> None:
    """With a sentence, and the right code."""
    with pytest.raises(TapestryError) as raised:
        check_request(request_)
    assert raised.value.code is code
    assert raised.value.message


@pytest.mark.parametrize(
    ("height", "width", "most"),
    [(1024, 1100, 7.71), (2048, 2048, 4.0), (8, 8000, 4.09), (8000, 8000, 1.02)],
)
def test_an_upscale_beyond_the_limits_is_told_the_largest_factor(
    height: int, width: int, most: float
) -> None:
    """By area or by side; that factor itself is possible."""
    image = PixelsRef(height, width, 4, SHA256)
    larger = changed(UPSCALE, height=height, width=width, image=image)
    with pytest.raises(TapestryError, match=f"Choose a factor of {most:g} at most") as raised:
        check_request(larger)
    assert raised.value.code is ErrorCode.TOO_LARGE
    check_request(changed(larger, factor=most))


def test_what_is_as_large_as_can_be_becomes_larger_in_part() -> None:
    """A factor of 1 would be no advice."""
    with pytest.raises(TapestryError, match="too large") as raised:
        upscaled_size(8192, 8192, 1.5)
    assert "Choose a part of it" in str(raised.value.advice)


PICTURE = PixelsRef(4, 5, 4, SHA256)
SHOWN = Control("edges", bounds=Bounds(0, 0, 4, 5), image=PICTURE)


@pytest.mark.parametrize(
    "control",
    [
        SHOWN,
        Control("edges", "regions"),
        dataclasses.replace(SHOWN, bounds=Bounds(-3, 90, 1, 95)),
        dataclasses.replace(SHOWN, start=0.5, end=0.6, weight=0.0),
    ],
    ids=range(4),
)
def test_a_sensible_control_picture_passes(control: Control) -> None:
    """For the picture and for a region, wherever it lies."""
    check_request(changed(GENERATE, controls=(control,)))
    own = dataclasses.replace(region(), controls=(control,))
    check_request(changed(GENERATE, regions=(own,)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image": PixelsRef(4, 6, 4, SHA256)}, "another size than its place"),
        ({"image": PixelsRef(4, 5, 3, SHA256)}, "another size than its place"),
        ({"image": None}, "no control picture for “edges”"),
        ({"bounds": None}, "no control picture for “edges”"),
        ({"preprocessor": "regions"}, "takes no picture besides"),
        ({"start": 0.5, "end": 0.5}, "ends before it starts"),
        ({"start": 1.0}, "ends before it starts"),
    ],
)
def test_a_control_picture_that_makes_no_sense_is_refused(
    changes: dict[str, Any], sentence: str
) -> None:
    """With a sentence, for the picture and for a region."""
    control = dataclasses.replace(SHOWN, **changes)
    own = dataclasses.replace(region(), controls=(control,))
    for request in (
        changed(GENERATE, controls=(control,)),
        changed(GENERATE, regions=(own,)),
    ):
        with pytest.raises(TapestryError, match=sentence) as raised:
            check_request(request)
        assert raised.value.code is ErrorCode.BAD_REQUEST


def test_pictures_of_regions_travel_with_the_request() -> None:
    """Whatever refers to pixels has them asked for."""
    own = dataclasses.replace(region(), controls=(SHOWN,))
    request = changed(GENERATE, regions=(own,), controls=(SHOWN, Control("edges", "regions")))

    assert request.blobs == (own.mask, PICTURE, PICTURE)


def test_the_largest_canvas_at_its_edge() -> None:
    """Exactly as many pixels as promised pass, one row more does not."""
    check_canvas(MAX_CANVAS_PX // 4096, 4096)
    with pytest.raises(TapestryError):
        check_canvas(MAX_CANVAS_PX // 4096 + 1, 4096)


EDIT = Request(
    "edit", 64, 96, prompt="lava", image=PixelsRef(64, 96, 4, SHA256), edit=Edit("p2p", "snow")
)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image": None}, "needs the flattened picture"),
        ({"edit": None}, "how the picture is edited"),
        ({"strength": 0.0}, "nothing changes"),
        ({"prompt": "snow "}, "are the same"),
        ({"prompt": "red  Bricks ", "edit": Edit("p2p", "Red bricks")}, "are the same"),
        ({"prompt": "", "edit": Edit("diffedit")}, "what the picture shall become"),
        ({"prompt": ""}, "what the picture shall become"),
        ({"edit": Edit("p2p")}, "must know what the picture shows now"),
        ({"edit": Edit("instruct"), "prompt": " "}, "no instruction"),
        ({"edit": Edit("instruct", map_only=True)}, "names no place"),
        ({"edit": Edit("instruct", picture_shown="none")}, "no picture at all"),
        ({"edit": Edit("instruct", references=(PixelsRef(8, 8, 1, SHA256),))}, "RGBA"),
        ({"edit": Edit("diffedit", "snow", picture_shown="none")}, "follows an instruction"),
        (
            {"edit": Edit("diffedit", "snow", references=(PixelsRef(8, 8, 4, SHA256),))},
            "follows an instruction",
        ),
        ({"regions": (region(),), "prompt": "snow"}, "are the same"),
        ({"selection": Selection(Bounds(64, 0, 68, 5), PixelsRef(4, 5, 1, SHA256))}, "outside"),
        ({"edit": Edit("p2p", "snow", source_model="b")}, "turns a picture from one model"),
        ({"edit": Edit("p2p", "snow", cycle=True)}, "turns a picture from one model"),
        ({"edit": Edit("imagic"), "prompt": " "}, "what the picture shall become"),
        ({"edit": Edit("imagic", map_only=True)}, "names no place"),
        ({"edit": Edit("imagic"), "regions": (region(),)}, "without regions"),
        (
            {"edit": Edit("ddib", "snow", source_model="b"), "strength": 0.5},
            "nothing but pure noise in common",
        ),
        ({"edit": Edit("p2p", "s" * (MAX_PROMPT_CHARACTERS + 1))}, "shows now has"),
    ],
)
def test_edits_that_make_no_sense(changes: dict[str, Any], sentence: str) -> None:
    """Each has a sentence of its own."""
    check_request(EDIT)
    with pytest.raises(TapestryError, match=sentence):
        check_request(dataclasses.replace(EDIT, **changes))


def test_a_renamed_region_is_an_edit() -> None:
    """The background may keep its words; diffedit needs none for what was there."""
    renamed = dataclasses.replace(region(), source_prompt="snow")
    check_request(dataclasses.replace(EDIT, prompt="snow", regions=(renamed,)))
    check_request(dataclasses.replace(EDIT, edit=Edit("diffedit")))
    check_request(dataclasses.replace(EDIT, edit=Edit("imagic")))
    turned = Edit("ddib", "lava", source_model="b", cycle=True)
    check_request(dataclasses.replace(EDIT, edit=turned, strength=1.0))


def test_recognising_takes_a_picture_and_regions() -> None:
    """Their prompts may be empty; names are compared besides."""
    asked = dataclasses.replace(EDIT, task="recognise", edit=None, names=("snow", "lava"))
    check_request(dataclasses.replace(asked, regions=(region(),)))
    for changes, sentence in (
        ({}, "no region to look at"),
        ({"regions": (region(),), "image": None}, "needs the flattened picture"),
        ({"regions": (region(),), "names": ("s" * (MAX_PROMPT_CHARACTERS + 1),)}, "has 2001"),
    ):
        with pytest.raises(TapestryError, match=sentence):
            check_request(dataclasses.replace(asked, **changes))
