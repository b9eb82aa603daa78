"""Plans: a canvas in whole cells that holds the document, old and new, at its place."""

import json
from dataclasses import replace

import pytest

from tapestry_backend.tasks.plan import background_prompt, make_plan, plan_as_told
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Expert, PixelsRef, Region, Request
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


@pytest.mark.parametrize(
    ("height", "width", "window"),
    [
        (80, 256, (10, 32)),
        (256, 80, (32, 10)),
        (64, 256, (8, 32)),
        (96, 96, (12, 12)),
        (61, 131, (8, 18)),
    ],
)
def test_a_canvas_smaller_than_the_models_square_is_seen_at_its_own_size(
    model, height: int, width: int, window: tuple[int, int]
) -> None:
    """Nothing of it is painted beside the picture, and lost."""
    plan = make_plan(Request("generate", height, width, prompt="x"), model)

    assert plan.canvas == plan.window == window
    assert len(plan.layout.grid) == 1
    assert plan.draft is None


def test_a_tiny_canvas_is_the_middle_of_a_small_window(model) -> None:
    """No window is smaller than half of the model's side; subjects lie in the middle."""
    plan = make_plan(Request("generate", 1, 63, prompt="x"), model)

    assert plan.canvas == plan.window == (8, 8)
    assert plan.output == Bounds(24, 0, 25, 63)


def test_windows_of_a_low_panorama_are_longer(model) -> None:
    """Of the square's area, half of its own length apart: no row is painted for nothing."""
    plan = make_plan(Request("generate", 64, 1024, prompt="x", speed="balanced"), model)

    assert (plan.canvas, plan.window, plan.stride) == ((8, 128), (8, 32), (6, 24))
    assert len(plan.layout.grid) == 5


def test_a_low_panorama_may_wrap(model) -> None:
    """A width that wraps is never padded."""
    plan = make_plan(Request("generate", 64, 40, prompt="x", wrap=True), model)

    assert (plan.canvas, plan.window) == ((8, 5), (8, 5))


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
    assert 0 < high.start < high.preserve_until <= 1
    assert make_plan(Request("generate", 128, 512, prompt="x"), model).draft is None
    off = Request("generate", 256, 512, prompt="x", composition=0.0)
    assert make_plan(off, model).draft is None


def test_a_speed_leaves_out_windows_and_guidance_unless_asked_for(model) -> None:
    """What a request names itself stays as it is."""
    wide = Request("generate", 128, 512, prompt="x")
    plans = [
        make_plan(replace(wide, speed=speed, expert=Expert(stride_px=px)), model)
        for speed, px in (("quality", 0), ("balanced", 0), ("fast", 0), ("fast", 64))
    ]

    found = [(p.request.speed, p.windows, p.stride.width, p.guidance_every) for p in plans]
    assert found == [
        ("quality", "overlap", 8, 1),
        ("balanced", "overlap", 12, 2),
        ("fast", "shift", 12, 3),
        ("fast", "overlap", 8, 3),
    ]


def test_the_stride_is_what_was_asked_for(model) -> None:
    """In whole cells; half a window by itself; more than a window leaves gaps and is refused."""
    wide = Request("generate", 256, 256, prompt="x")
    strides = [
        make_plan(replace(wide, expert=Expert(stride_px=px)), model).stride.width
        for px in (0, 1, 30, 128)
    ]

    assert strides == [8, 1, 4, 16]
    low = make_plan(Request("generate", 64, 512, prompt="x", expert=Expert(stride_px=128)), model)
    assert low.stride == (8, 16), "a stride counts where there are several windows"
    with pytest.raises(TapestryError, match="gaps") as caught:
        make_plan(Request("generate", 256, 256, prompt="x", expert=Expert(stride_px=200)), model)
    assert caught.value.code is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize(
    "request_",
    [
        Request("generate", 96, 320, prompt="sand", wrap=True),
        Request("generate", 128, 128, prompt="sand", speed="fast"),
        Request("extend", 100, 200, prompt="sand", margins=Margins(top=7, left=64), image=IMAGE),
        Request(
            "extend",
            100,
            200,
            margins=Margins(right=90),
            image=IMAGE,
            harmonise=2,
            scheduler="ddim",
        ),
    ],
    ids=["panorama", "square", "extended", "harmonised"],
)
def test_a_plan_is_the_same_again_as_its_report_tells_it(model, request_: Request) -> None:
    """All of it but which steps are taken again; without a model."""
    plan = make_plan(request_, model)
    told = json.loads(json.dumps(plan.to_json()))
    assert plan_as_told(request_, told) == replace(plan, jumps=())
