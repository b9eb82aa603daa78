"""Tests of how four steps are taught: the paths, the steps along them, what learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.evaluate import load_model
from training.export import MODEL_FOLDER
from training.models import build_scheduler
from training.quick import GUIDANCE, PATHS_NAME, STEPS, Paths, jumps, paint_path, paint_paths
from training.train_adapters import Trainer, train


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two paths of each shape."""
    folder = tmp_path_factory.mktemp("quick")
    paint_paths(MODEL_FOLDER, folder, 2, 1)
    return folder


def test_a_step_is_the_schedulers() -> None:
    """From noise to the picture, equal to DDIM's to rounding."""
    scheduler = build_scheduler()
    steps = jumps(scheduler)
    torch.manual_seed(0)
    ours = theirs = torch.randn(1, 10, 4, 4)
    scheduler.set_timesteps(STEPS)
    assert [step.time for step in steps] == scheduler.timesteps.tolist()
    for step in steps:
        velocity = torch.randn(1, 10, 4, 4)
        ours = step.stay * ours + step.move * velocity
        theirs = scheduler.step(velocity, step.time, theirs).prev_sample
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_path_ends_where_the_pipeline_does() -> None:
    """After the same twenty steps at the same guidance."""
    pipeline = load_model(MODEL_FOLDER)
    noise = torch.randn(1, 10, 16, 16, generator=torch.Generator().manual_seed(3))
    tokens = pipeline.tokenizer("snow", padding="max_length", return_tensors="pt").input_ids
    path = paint_path(pipeline, tokens, noise)
    wanted = pipeline(
        "snow",
        num_inference_steps=20,
        guidance_scale=GUIDANCE,
        latents=noise.clone(),
        output_type="latent",
    ).images
    assert path.shape == (1, STEPS + 1, 10, 16, 16)
    assert path[:, 0].equal(noise)
    assert torch.allclose(path[:, -1], wanted, atol=1e-4)


def test_paths_are_of_all_shapes_and_are_painted_once(work: Path) -> None:
    """A batch is of one shape; a second call finds them there."""
    before = (work / PATHS_NAME).read_bytes()
    paint_paths(MODEL_FOLDER, work, 2, 1)
    assert len(before) == len((work / PATHS_NAME).read_bytes())
    rng, shapes = np.random.default_rng(0), set()
    for _ in range(12):
        paths, tokens = Paths(work).sample(rng, 3)
        assert paths.shape[:3] == (3, STEPS + 1, 10)
        assert tokens.shape == (3, 40)
        shapes.add(tuple(paths.shape[-2:]))
    assert shapes == {(16, 16), (12, 20), (20, 12)}


def test_painting_goes_on_where_it_was(work: Path) -> None:
    """What was painted before stays, and no more is painted than what is missing."""
    content = torch.load(work / PATHS_NAME, weights_only=True)
    marked = [(paths + 1, tokens) for paths, tokens in content[:1]]
    torch.save(marked, work / "again.pt")
    (work / "again.pt").replace(work / PATHS_NAME)
    paint_paths(MODEL_FOLDER, work, 2, 1)
    again = torch.load(work / PATHS_NAME, weights_only=True)
    assert len(again) == len(content)
    assert again[0][0].equal(content[0][0] + 1)
    assert again[1][0].equal(content[1][0])
    torch.save(content, work / PATHS_NAME)


def test_the_lora_alone_learns(work: Path) -> None:
    """The model beside it stands still; a step nearer to the paths costs less."""
    torch.manual_seed(0)
    trainer = Trainer("quick")
    trainer.quick_loss(*Paths(work).sample(np.random.default_rng(0), 2)).backward()
    learning = {name for name, p in trainer.adapter.named_parameters() if p.grad is not None}

    assert learning == {name for name, _ in trainer.adapter.named_parameters()}
    assert all(p.grad is None for p in trainer.unet.parameters())
    assert all(p.grad is None for p in trainer.text_encoder.parameters())


def test_the_path_is_learned(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve steps on a few paths bring the loss down, and a second call goes on."""
    train(work, "quick", 1, 4, 2e-3, np.inf, paths=2)
    train(work, "quick", 12, 4, 2e-3, np.inf, paths=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/1", "12/12"]
    first, last = (float(line.split()[3]) for line in lines)
    assert last < first
