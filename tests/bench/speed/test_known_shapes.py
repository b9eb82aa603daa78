"""Models of well-known shapes: the true ones are those of the checkpoints, a tiny one is timed."""

import json
from dataclasses import replace

import pytest
import torch

from tapestry_backend.bench.common.painter import PainterSettings
from tapestry_backend.bench.speed import known_shapes, random_models
from tapestry_backend.bench.speed.known_shapes import evaluation_flops, measure_shapes
from tapestry_backend.bench.speed.random_models import SHAPES, Shape, ShapedModelCache
from tapestry_backend.bench.speed.report import shapes_table
from tapestry_backend.cli import main

WEIGHTS = {
    "sd15": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "sdxl": {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    },
}
"""Numbers in the published checkpoints' parts."""

TINY_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 32,
    "max_position_embeddings": 77,
}
UNIT_PX = 32


def tiny(name: str) -> Shape:
    """The same build with next to no channels, and windows of 8 cells of 8 pixels."""
    shape = SHAPES[name]
    texts = dict.fromkeys(shape.texts, TINY_TEXT)
    unet = {
        **shape.unet,
        "sample_size": 8,
        "block_out_channels": tuple(32 for _ in shape.unet["block_out_channels"]),
        "layers_per_block": 1,
        "cross_attention_dim": 32 * len(texts),
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    }
    if name == "sdxl":
        unet |= {
            "transformer_layers_per_block": 1,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 32,
        }
    vae = {**shape.vae, "block_out_channels": (8, 8, 8, 8), "norm_num_groups": 4}
    return replace(shape, window_px=64, unet=unet, vae={**vae, "layers_per_block": 1}, texts=texts)


@pytest.mark.parametrize("name", SHAPES)
def test_true_shapes_are_those_of_the_checkpoints(name: str) -> None:
    """Counted without memory: as many weights as in the published files."""
    parts = SHAPES[name].parts(torch.device("meta"), torch.float16)
    counted = {
        part: sum(weight.numel() for weight in module.parameters())
        for part, module in parts.modules.items()
    }

    assert counted == WEIGHTS[name]
    assert all(w.dtype == torch.float16 for w in parts.modules["unet"].parameters())


def test_a_tiny_shape_is_measured(monkeypatch) -> None:
    """Every picture, with every figure, on the processor."""
    monkeypatch.setattr(known_shapes, "_SIDE", 64)
    model_cache = ShapedModelCache(tiny("sdxl"), "cpu")
    found = measure_shapes(model_cache, PainterSettings("sdxl", 3), UNIT_PX)

    assert [case.name for case in found.cases] == [
        *("panorama_32x128", "panorama_32x256", "panorama_64x256"),
        *("regions_8_64", "regions_4_32_lcm"),
    ]
    by_name = {case.name: case for case in found.cases}
    assert by_name["panorama_32x128"].evaluations == 3 * 2, "one low window"
    assert by_name["panorama_64x256"].evaluations == 7 * 3 * 2
    assert by_name["regions_4_32_lcm"].evaluations == 5 * 4, "few steps are not guided"
    for case in found.cases:
        assert case.seconds > case.stages_s["unet"] > 0 < case.floor_s
        assert case.matmul_share > case.matmul_share_of_run > 0
        assert case.launches_per_step > 100
    assert by_name["panorama_64x256"].peak_bytes > found.run["weight_bytes"]
    json.dumps(found.to_json(), allow_nan=False)
    assert all(f"{case.name} " in shapes_table(found) for case in found.cases)


def test_operations_of_an_evaluation_are_counted() -> None:
    """A single convolution's, by hand."""

    class One:
        channels, window, device = 4, 8, torch.device("cpu")
        layer = torch.nn.Conv2d(4, 6, 3, padding=1)

        def encode_prompts(self, prompts):
            return torch.zeros(len(prompts), 1, 1)

        def predict(self, latents, _timestep, _conditions):
            return self.layer(latents)

    assert evaluation_flops(One()) == 2 * 8 * 8 * 4 * 6 * 9


def test_the_command_takes_a_shape(tmp_path, monkeypatch, capsys) -> None:
    """In the place of a model."""
    monkeypatch.setattr(random_models, "SHAPES", {"sd15": tiny("sd15")})
    monkeypatch.setattr(known_shapes, "STEPS", 1)
    monkeypatch.setattr(known_shapes, "_SIDE", 64)
    monkeypatch.setattr(known_shapes, "UNIT_PX", UNIT_PX)
    where = tmp_path / "shapes.json"

    arguments = ["bench", "speed", "--shapes", "sd15", "--device", "cpu", "--json", str(where)]
    assert main(arguments) == 0

    assert len(json.loads(where.read_text("utf-8"))["cases"]) == 5
    assert "launches a step" in capsys.readouterr().out
    assert main([*arguments[:-3], "toaster"]) == 2
