"""Beside the old picture an extension keeps its colours, where the same region goes on."""

from dataclasses import replace

import numpy as np
import torch

from tapestry_backend.engine.layers import make_layers
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.tasks.canvas_source import read_canvas_source
from tapestry_backend.tasks.edge_colours import edge_cells, preserve_edge_colours
from tapestry_backend.tasks.plan import make_plan
from tapestry_protocol.messages import PixelsRef, Region, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels

SIDE = 128


def grown(scene, **fields: object) -> Request:
    """A picture that grows to the right by its own width."""
    rgba = np.full((SIDE, SIDE, 4), 200, np.uint8)
    rgba[..., 3] = 255
    image = scene.add(Pixels(SIDE, SIDE, 4, rgba.tobytes()))
    request = Request("extend", SIDE, SIDE, margins=Margins(right=SIDE), image=image)
    return replace(request, **fields)


def read(request: Request, scene, model):
    """Its plan, and its canvas before painting."""
    plan = make_plan(request, model)
    return plan, read_canvas_source(request, scene.blobs, plan).source


def test_cells_beside_the_old_picture_count_less_the_further_they_are(model, scene) -> None:
    """Nothing of the old one, all of the first new one, and nothing a window away."""
    _, source = read(grown(scene), scene, model)
    row = edge_cells(source)[8]

    assert not row[:16].any()
    assert torch.isclose(row[16], torch.tensor(1.0))
    assert (row[16:28].diff() < 0).all()
    assert not row[28:].any()


def test_another_region_takes_its_own_colours(model, scene) -> None:
    """What was painted beside the border as something else is left alone."""
    mask = scene.add(Pixels(SIDE, 64, 1, b"\xff" * (SIDE * 64)))
    lava = Region("lava", Bounds(0, SIDE, SIDE, SIDE + 64), mask)
    _, source = read(grown(scene, regions=(lava,)), scene, model)

    assert not edge_cells(source)[:, 16:24].any()


def test_colours_are_drawn_to_those_of_the_edge(model, scene) -> None:
    """In the clean estimate, and only what is larger than the drawing."""
    plan, source = read(grown(scene), scene, model)
    layers = make_layers(source.weights, [False])
    latents = torch.full((1, 4, *source.size), 0.5)
    (steer,) = preserve_edge_colours(plan, source, latents, layers, torch.ones(source.size))
    drawing = torch.randn(1, 4, *source.size)
    drawing -= (
        torch.nn.functional.avg_pool2d(drawing, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    )
    step = SamplingStep(0, 20, torch.tensor(900), 0.1, 0.99, "epsilon")
    steered = steer(drawing, step)

    assert torch.allclose(steered[..., :16], drawing[..., :16])
    assert torch.allclose(steered[..., 16], drawing[..., 16] + 0.5, atol=1e-4)
    assert torch.allclose(steered[..., 28:], drawing[..., 28:])


def test_a_fill_and_cells_that_something_else_steers_are_free(model, scene) -> None:
    """A selection may show quite another thing than what is around it."""
    plan, source = read(grown(scene), scene, model)
    layers = make_layers(source.weights, [False])
    latents = torch.zeros(1, 4, *source.size)
    assert not preserve_edge_colours(plan, source, latents, layers, torch.zeros(source.size))

    mask = PixelsRef.of(Pixels(64, 64, 1, b"\xff" * 4096))
    scene.blobs[mask.sha256] = b"\xff" * 4096
    chosen = Selection(Bounds(32, 32, 96, 96), mask)
    plan, source = read(
        grown(scene, task="fill", margins=Margins(), selection=chosen), scene, model
    )
    layers, latents = make_layers(source.weights, [False]), torch.zeros(1, 4, *source.size)
    assert not preserve_edge_colours(plan, source, latents, layers, torch.ones(source.size))
