"""LoRAs and control layers in a real Krita, with a real backend that has one of each."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from tests.krita.conftest import OUTPUT
from tests.krita.krita_session import Report, play
from tests.models.adapters.conftest import open_pipeline
from tests.models.adapters.tiny_adapters import save_peft_lora

pytestmark = [pytest.mark.krita, pytest.mark.timeout(2700)]

WIDTH, HEIGHT = 256, 128
WINDOW_PX = 128
"""Of the bundled model."""


@pytest.fixture(scope="module")
def backend(tmp_path_factory) -> str:
    """The command of a backend that has two adapters more than come with it, for its own model."""
    folder = tmp_path_factory.mktemp("adapters")
    pipeline = open_pipeline(Path(str(files("tapestry_backend") / "sample_model")))
    _scribble(pipeline.unet).save_pretrained(folder / "tiny-scribble")
    save_peft_lora(folder / "tiny-ink.safetensors", pipeline)
    command = folder / "tapestry"
    tapestry = Path(sys.executable).with_name("tapestry")
    command.write_text(f'#!/bin/sh\nexec "{tapestry}" "$@" --adapter "{folder}"\n')
    command.chmod(0o755)
    return str(command)


def _scribble(unet: diffusers.UNet2DConditionModel) -> diffusers.T2IAdapter:
    """One that says so much that it cannot be overlooked."""
    torch.manual_seed(4)
    network = diffusers.T2IAdapter(
        in_channels=3,
        channels=(*unet.config.block_out_channels, unet.config.block_out_channels[-1]),
        num_res_blocks=1,
        downscale_factor=2 * WINDOW_PX // unet.config.sample_size,
        adapter_type="full_adapter_xl",
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.5)
    return network


@pytest.fixture(scope="module")
def played(plugin: Path, backend: str) -> Report:
    """Rows laid, painted without and with them, saved, and opened again."""
    return play(["adapters_in_rows"], plugin, OUTPUT / "adapters", backend, timeout_s=2400)


def test_rows_steer_the_picture_and_stay_with_the_document(played: Report) -> None:
    """The layer that is shown is no region; the picture is another one, all over."""
    facts = played.facts("adapters_in_rows")
    assert {"tapestry_add_tiny-ink", "tapestry_add_tiny-scribble"} <= set(facts["offered"])
    assert facts["regions"] == ["sunset sky", "green grass"]
    assert facts["laid"] == [
        ["tiny-ink", 1.0, "none", ""],
        ["tiny-scribble", 1.0, "lines", "sketch"],
    ]
    assert facts["saved"]
    assert facts["reopened"] == facts["laid"]
    assert facts["brought back"] == facts["laid"]
    without, with_rows = (
        np.frombuffer((played.folder / f"{name}.bgra").read_bytes(), np.uint8)
        .reshape(HEIGHT, WIDTH, 4)[..., :3]
        .astype(int)
        for name in ("without", "with")
    )
    changed = np.abs(without - with_rows).max(axis=2) > 2
    assert changed[: HEIGHT // 2].mean() > 0.1
    assert changed[HEIGHT // 2 :].mean() > 0.1
