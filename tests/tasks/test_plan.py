"""Plans: a canvas in whole cells that holds the document, old and new, at its place."""

from dataclasses import replace

import pytest

from tapestry_backend.tasks.plan import background_prompt, make_plan
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Margins

IMAGE = PixelsRef(100, 200, 4, "0" * 64)


@pytest.mark.parametrize("left", [0, 1, 8, 63])
@pytest.mark.parametrize("top", [0, 7, 16])
def test_the_documents_corner_lies_on_a_cell(model, top: int, left: int) -> None:
    """However much a side grows, the old picture is not shifted against the cells."""
    request = Request("extend", 100, 200, margins=Margins(top=top, left=left, right=5), image=IMAGE)
    plan = make_plan(request, model)
    down, right = plan.origin_px

    assert (plan.output.top + top, plan.output.left + left) == (down, right)
    assert plan.output.height == 100 + top
    assert plan.output.width == 200 + left + 5
    assert plan.canvas.height * plan.cell_px >= plan.output.bottom
    assert plan.canvas.width * plan.cell_px >= plan.output.right


def test_a_small_canvas_gets_a_whole_window(model) -> None:
    """No model is asked for less than the size it paints best at."""
    plan = make_plan(Request("generate", 1, 63, prompt="x"), model)

    assert plan.canvas == plan.window
    assert len(plan.layout.grid) == 1
    assert plan.draft is None


def test_the_plan_explains_itself(model) -> None:
    """The repr of a plan names what decided the picture."""
    text = repr(make_plan(Request("generate", 128, 128, prompt="red bricks", seed=12), model))

    for part in ("red bricks", "seed=12", "windows=", "scheduler='", "dtype='float32'"):
        assert part in text


def some_region(**settings: object) -> Region:
    """A region with some settings of its own."""
    return Region("snow", Bounds(0, 0, 8, 8), PixelsRef(8, 8, 1, "0" * 64), **settings)


def test_a_region_takes_from_the_picture_what_it_does_not_say_itself(model) -> None:
    """Negative prompt, guidance scale and seed: its own, or the picture's."""
    request = Request(
        "generate",
        64,
        64,
        negative_prompt="mud",
        guidance_scale=4.0,
        seed=7,
        regions=(some_region(), some_region(negative_prompt="", guidance_scale=2.0, seed=9)),
    )
    plain, own, background = make_plan(request, model).regions

    assert (plain.negative_prompt, plain.guidance_scale, plain.seed) == ("mud", 4.0, 7)
    assert (own.negative_prompt, own.guidance_scale, own.seed) == ("", 2.0, 9)
    assert (background.negative_prompt, background.seed) == ("mud", 7)


def test_the_style_is_added_to_every_prompt(model) -> None:
    """Regions and background alike; without a prompt there is the style alone."""
    request = Request("generate", 64, 64, style="in oil", regions=(some_region(),))
    prompts = [region.prompt for region in make_plan(request, model).regions]

    assert prompts == ["snow, in oil", "snow, in oil"]
    fill = Request("fill", 64, 64, style="in oil")
    assert make_plan(fill, model).regions[-1].prompt == "in oil"
    assert background_prompt(fill) == ""


def test_a_canvas_higher_than_a_window_gets_a_draft(model) -> None:
    """Of the model's own area in the canvas' proportions; a panorama needs none."""
    high = make_plan(Request("generate", 256, 512, prompt="x"), model).draft

    assert (high.size.height, high.size.width) == (11, 23)
    assert 0 < high.start < high.hold <= 1
    assert make_plan(Request("generate", 128, 512, prompt="x"), model).draft is None
    off = Request("generate", 256, 512, prompt="x", composition=0.0)
    assert make_plan(off, model).draft is None


def test_a_speed_leaves_out_windows_and_guidance_unless_asked_for(model) -> None:
    """What a request names itself stays as it is."""
    wide = Request("generate", 128, 512, prompt="x")
    plans = [
        make_plan(replace(wide, speed=speed, stride_px=px), model)
        for speed, px in (("quality", 0), ("balanced", 0), ("fast", 0), ("fast", 64))
    ]

    found = [(p.speed, p.windows, p.stride.width, p.guided_share) for p in plans]
    assert found == [
        ("quality", "overlap", 8, 1.0),
        ("balanced", "overlap", 12, 0.7),
        ("fast", "shift", 12, 0.5),
        ("fast", "overlap", 8, 0.5),
    ]


def test_the_stride_is_what_was_asked_for(model) -> None:
    """In whole cells; half a window by itself; more than a window leaves gaps and is refused."""
    strides = [
        make_plan(Request("generate", 256, 256, prompt="x", stride_px=px), model).stride.width
        for px in (0, 1, 30, 128)
    ]

    assert strides == [8, 1, 4, 16]
    with pytest.raises(TapestryError, match="gaps") as caught:
        make_plan(Request("generate", 256, 256, prompt="x", stride_px=200), model)
    assert caught.value.code is ErrorCode.BAD_REQUEST
