"""Plans: a canvas in whole cells that holds the document, old and new, at its place."""

import pytest

from tapestry_backend.tasks.plan import make_plan
from tapestry_protocol.messages import PixelsRef, Request
from tapestry_protocol.pixels import Margins

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
    assert len(plan.windows) == 1


def test_the_plan_explains_itself(model) -> None:
    """The repr of a plan names what decided the picture."""
    text = repr(make_plan(Request("generate", 128, 128, prompt="red bricks", seed=12), model))

    for part in ("red bricks", "seed=12", "windows=", "scheduler='", "dtype='float32'"):
        assert part in text
