"""The main job through a real server and a real worker with the bundled model."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tapestry_protocol.adapters import AdapterInfo, Lora
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import (
    Acknowledge,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Preview,
    Progress,
    Region,
    Request,
    Result,
    Welcome,
)
from tapestry_protocol.pixels import Bounds, Margins
from tests.server.client import Client, Connect, Server, reference, running_server

MASK = b"\xff" * (128 * 96)
HAZE = "haze.safetensors"
LONG = Request("generate", 256, 256, "green grass", num_inference_steps=200)


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The product's own server and worker, and a LoRA called `haze` for the bundled model."""
    folder = tmp_path_factory.mktemp("real")
    haze = {"lora_A": np.ones((1, 96, 3, 3)), "lora_B": np.full((10, 1, 1, 1), 0.01)}
    tensors = {f"unet.conv_out.{name}.weight": value for name, value in haze.items()}
    save_file({name: value.astype(np.float32) for name, value in tensors.items()}, folder / HAZE)
    with running_server(folder, "--adapter", str(folder / HAZE)) as server:
        yield server


def picture_of(client: Client, job_id: str) -> tuple[Result, bytes, list[int], int]:
    """A job's result, its pixels, the reported steps, and how many previews came."""
    steps, previews = [], 0
    while True:
        delivery = client.receive()
        message = delivery.message
        assert not isinstance(message, Failed | Cancelled), message
        if isinstance(message, Progress) and message.stage == "denoising":
            steps.append(message.step)
        elif isinstance(message, Preview):
            (pixels,) = delivery.blobs.values()
            assert len(pixels) == message.pixels.size_bytes
            previews += 1
        elif isinstance(message, Result):
            assert message.job_id == job_id
            (pixels,) = delivery.blobs.values()
            client.send(Acknowledge(job_id))
            return message, pixels, steps, previews


def test_two_regions_become_a_picture(real_server: Server, connect: Connect) -> None:
    """Two masks with prompts: progress for every step, previews, pixels of the right size."""
    mask = reference(96, 128, 1, MASK)
    request = Request(
        "generate",
        192,
        128,
        regions=(
            Region("sunset sky", Bounds(0, 0, 96, 128), mask),
            Region("green grass", Bounds(96, 0, 192, 128), mask),
        ),
        num_inference_steps=4,
        seed=7,
    )
    client = connect(real_server)
    client.submit("picture", request, MASK)
    result, pixels, steps, previews = picture_of(client, "picture")
    assert (result.pixels.height, result.pixels.width, result.pixels.channels) == (192, 128, 4)
    assert result.bounds == Bounds(0, 0, 192, 128)
    assert result.seed == 7
    assert len(pixels) == 192 * 128 * 4
    assert set(pixels[3::4]) == {255}
    assert steps == [0, 1, 2, 3, 4]
    assert previews >= 1
    report = json.loads(result.report)
    assert report["seed"] == 7
    assert report["unet_evaluations"] > 0


def test_a_picture_grows(real_server: Server, connect: Connect) -> None:
    """An extension covers the grown canvas, and is transparent where the old picture is."""
    picture = bytes([90, 140, 60, 255]) * (128 * 128)
    request = Request(
        "extend",
        128,
        128,
        "green grass",
        image=reference(128, 128, 4, picture),
        margins=Margins(right=64),
        num_inference_steps=4,
    )
    client = connect(real_server)
    client.submit("extension", request, picture)
    result, pixels, steps, _ = picture_of(client, "extension")
    assert result.bounds == Bounds(0, 0, 128, 192)
    assert steps == [0, 1, 2]  # before, every new cell follows the old picture's edge
    alpha = pixels[3::4]
    rows = [alpha[192 * row : 192 * (row + 1)] for row in range(128)]
    assert all(set(row[128:]) == {255} for row in rows)
    assert all(set(row[:64]) == {0} for row in rows)


def test_a_picture_becomes_larger(real_server: Server, connect: Connect) -> None:
    """With its regions, step by step; one that would be too large is refused at once."""
    picture = bytes([90, 140, 60, 255]) * (128 * 96)
    request = Request(
        "upscale",
        96,
        128,
        "green grass",
        regions=(Region("sunset sky", Bounds(0, 0, 96, 128), reference(96, 128, 1, MASK)),),
        image=reference(96, 128, 4, picture),
        factor=2.5,
        num_inference_steps=8,
        seed=3,
    )
    client = connect(real_server)
    client.submit("larger", request, picture, MASK)
    result, pixels, steps, _ = picture_of(client, "larger")
    assert result.bounds == Bounds(0, 0, 240, 320)
    assert len(pixels) == 240 * 320 * 4
    assert set(pixels[3::4]) == {255}
    assert steps == [0, 1, 2, 3, 4]
    assert json.loads(result.report)["plan"]["task"] == "upscale"
    wide = replace(request, height=8, width=16_000, regions=(), image=reference(8, 16_000, 4, b""))
    client.submit("wide", wide)
    *_, refused = client.until(Failed)
    assert refused.code is ErrorCode.TOO_LARGE
    assert "Choose a factor of 2.04 at most" in refused.advice


def test_an_upscale_stops_at_the_next_step(real_server: Server, connect: Connect) -> None:
    """And the worker paints on."""
    picture = bytes([90, 140, 60, 255]) * (128 * 96)
    request = Request(
        "upscale",
        96,
        128,
        image=reference(96, 128, 4, picture),
        factor=4.0,
        strength=1.0,
        num_inference_steps=200,
    )
    client = connect(real_server)
    client.submit("stopped", request, picture)
    *_, first = client.until(Progress)
    client.send(Cancel(first.job_id))
    *_, end = client.until(Cancelled)
    client.send(Acknowledge("stopped"))
    client.submit("enlarged", replace(request, factor=1.0, strength=0.0), picture)
    result, *_ = picture_of(client, "enlarged")
    assert end.job_id == "stopped"
    assert result.bounds == Bounds(0, 0, 96, 128)


def test_adapters_are_listed_and_used_and_others_refused_at_once(
    real_server: Server, connect: Connect
) -> None:
    """The worker knows what the server lists."""
    client = connect(real_server)
    (welcome,) = client.until(Welcome)
    request = Request("generate", 128, 128, "snow", num_inference_steps=2)
    client.submit("gloomy", replace(request, loras=(Lora("gloom"),)))
    *_, refused = client.until(Failed)
    client.submit("plain", request)
    client.submit("hazy", replace(request, loras=(Lora("haze", 2.0),)))
    _, plain, *_ = picture_of(client, "plain")
    result, hazy, *_ = picture_of(client, "hazy")

    assert AdapterInfo("haze", "lora") in welcome.adapters
    assert refused.job_id == "gloomy"
    assert refused.code is ErrorCode.MODEL_NOT_FOUND
    assert "There is no LoRA “gloom”" in refused.message
    assert json.loads(result.report)["plan"]["regions"][0]["loras"] == [
        {"adapter": "haze", "weight": 2.0}
    ]
    assert hazy != plain


def test_cancel_takes_effect_in_the_middle(real_server: Server, connect: Connect) -> None:
    """A long job ends soon after its cancel, and the next one runs."""
    client = connect(real_server)
    client.submit("long", LONG)
    while client.until(Progress)[-1].step < 2:
        pass
    client.send(Cancel("long"))
    messages = client.until(Cancelled, Result, Failed)
    assert isinstance(messages[-1], Cancelled)
    assert sum(isinstance(message, Progress) for message in messages) < 50
    client.submit("short", Request("generate", 128, 128, "snow", num_inference_steps=2))
    picture_of(client, "short")


def test_a_killed_worker_comes_back(real_server: Server, connect: Connect) -> None:
    """The job that ran is painted by the next worker, and the picture is the same."""
    request = Request("generate", 128, 192, "snow", num_inference_steps=6, seed=5)
    client = connect(real_server)
    client.submit("undisturbed", request)
    picture = picture_of(client, "undisturbed")[1]
    client.submit("interrupted", request)
    while client.until(Progress)[-1].step < 2:
        pass
    os.kill(real_server.worker_pid(), signal.SIGKILL)
    assert picture_of(client, "interrupted")[1] == picture


def test_the_same_request_gives_the_same_picture(real_server: Server, connect: Connect) -> None:
    """Also from two different jobs, one after the other."""
    request = Request("generate", 128, 192, "lavender field", num_inference_steps=3, seed=3)
    client = connect(real_server)
    pictures = []
    for job_id in ("one", "two"):
        client.submit(job_id, request)
        pictures.append(picture_of(client, job_id)[1])
    assert pictures[0] == pictures[1]


def test_two_devices_paint_two_pictures_at_once(tmp_path: Path) -> None:
    """A worker on each; which of them paints makes no difference to the picture."""
    request = Request("generate", 128, 128, "green grass", num_inference_steps=12, seed=3)
    with running_server(tmp_path, "--device", "cpu", "--device", "cpu") as server:
        client = Client(server)
        while "2 x " not in client.until(Backend)[-1].device:
            pass
        for job_id in ("a", "b"):
            client.submit(job_id, request)
        deliveries = []
        while sum(isinstance(d.message, Result | Failed) for d in deliveries) < 2:
            deliveries.append(client.receive())
        client.close()
    told = [(type(d.message), getattr(d.message, "job_id", "")) for d in deliveries]
    ends = [told.index((Result, job_id)) for job_id in ("a", "b")]
    assert all(told.index((Progress, job_id)) < min(ends) for job_id in ("a", "b"))
    first, second = (deliveries[end].blobs for end in ends)
    assert first == second
