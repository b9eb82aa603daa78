"""Checkpoints that a real server finds in a program's folder, and a real worker paints with."""

from contextlib import closing
from pathlib import Path

import pytest

from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_backend.cli import main
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import Failed, Request, Result, Welcome
from tests.server.client import Client, running_server

SIDE = 64
NOTES = {"modelspec.resolution": f"{SIDE}x{SIDE}"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ComfyUI with two tiny checkpoints."""
    import torch

    from tests.models.tiny_files import build, save_file

    folder = tmp_path_factory.mktemp("ComfyUI")
    for name in ("dream", "gone"):
        path = folder / "models" / "checkpoints" / f"{name}.safetensors"
        save_file(build("sd1"), path, torch.float16, NOTES)
    return folder


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer without any models."""
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_server_offers_and_paints_with_what_it_finds(program: Path, tmp_path: Path) -> None:
    """By its id; a checkpoint that went away since costs one job and a sentence."""
    with (
        running_server(tmp_path, "--folder", str(program)) as server,
        closing(Client(server)) as client,
    ):
        (*_, welcome) = client.until(Welcome)
        offered = {model.id: model.window_px for model in welcome.models}
        client.until_worker("ready")
        (program / "models/checkpoints/gone.safetensors").unlink()
        requests = {
            name: Request("generate", SIDE, SIDE, "snow", num_inference_steps=1, model=name)
            for name in ("gone", "dream")
        }
        client.submit("first", requests["gone"])
        failed = client.until_end()
        client.submit("second", requests["dream"])
        result = client.until_end()

    assert isinstance(failed, Failed)
    assert isinstance(result, Result), result
    assert offered == {"sample": 128, "sample-edit": 128, "dream": SIDE, "gone": SIDE}
    assert failed.code is ErrorCode.MODEL_BROKEN
    assert "gone.safetensors" in failed.message
    assert failed.advice
    assert (result.pixels.height, result.pixels.width) == (SIDE, SIDE)


def test_a_scene_is_rendered_with_what_is_found(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tapestry render --model` takes the ids that `tapestry models` lists."""
    from PIL import Image

    from examples.ora import Layer, write_ora

    monkeypatch.setenv(MODELS_VARIABLE, str(program / "models"))
    layer = Layer("snow", Image.new("RGBA", (SIDE, SIDE), (255, 255, 255, 255)))
    write_ora(tmp_path / "scene.ora", (SIDE, SIDE), [layer])
    options = ["--model", "dream", "--steps", "1", "--quiet"]
    output = tmp_path / "out.png"
    assert main(["render", str(tmp_path / "scene.ora"), "-o", str(output), *options]) == 0

    with Image.open(output) as picture:
        assert picture.size == (SIDE, SIDE)
