"""The first scene: opened, painted, named, and generated from like any other."""

from __future__ import annotations

import pytest

from tapestry.document.example import _LAYERS, HEIGHT, WIDTH
from tests.krita_plugin.workshop import Workshop

NAMES = ["red bricks", "ocean waves", "sunset sky"]


@pytest.fixture
def opened() -> Workshop:
    """A workshop without a document of its own, and the example."""
    workshop = Workshop()
    workshop.host.canvases.clear()
    workshop.docker_model.example.open()
    workshop.loop.run(1)
    return workshop


def test_the_example_has_three_named_layers(opened: Workshop) -> None:
    """In a document of its own, with a notice about the next step."""
    canvas = opened.host.active_canvas()
    assert (canvas.height, canvas.width) == (HEIGHT, WIDTH)
    assert canvas.names[:3] == NAMES
    assert opened.docker_model.notice.message.startswith("Three painted layers")
    assert not opened.docker_model.notice.is_error


def test_the_example_can_be_generated_from(opened: Workshop) -> None:
    """Each layer is a region."""
    submit = opened.submit()
    assert [region.prompt for region in submit.request.regions] == NAMES


def test_every_pixel_has_a_region() -> None:
    """One, behind the tower that stands in front of both."""
    sky, sea, tower = ([list(row(y)) for y in range(HEIGHT)] for _, _, row in _LAYERS)
    covered = [
        a or b
        for upper, lower in zip(sky, sea, strict=True)
        for a, b in zip(upper, lower, strict=True)
    ]
    assert all(covered)
    assert 0.05 < sum(map(sum, tower)) / (HEIGHT * WIDTH) < 0.2


def test_an_example_that_cannot_be_opened_is_reported(opened: Workshop, monkeypatch) -> None:
    """As anything else."""

    def refuse(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(opened.host, "create_canvas", refuse)
    opened.docker_model.example.open()
    opened.loop.run(1)
    assert "went wrong" in opened.docker_model.notice.message
