"""Tests of how the decoder is made crisp: its critic, what the model paints, going on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from training.classifier import to_input
from training.common import Averaged, save_state
from training.draw import to_bytes
from training.evaluate import blurred, load_model
from training.export import MODEL_FOLDER, trained_autoencoder
from training.labels import KINDS, draw_label, sample_label
from training.train_autoencoder import begin_from as begin_autoencoder
from training.train_autoencoder import build_autoencoder
from training.train_decoder import (
    CELLS,
    PAINTED_NAME,
    Pairs,
    arguments,
    build_critic,
    critic_loss,
    paint_near,
    train,
)

LABELS = [sample_label(np.random.default_rng(n), KINDS[n % len(KINDS)]) for n in range(6)]


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    """Six drawings, uint8 [6, 80, 80, 3]."""
    rng = np.random.default_rng(4)
    return np.stack([to_bytes(draw_label(rng, label, 80, 80)) for label in LABELS])


@pytest.fixture
def work(drawn: np.ndarray, tmp_path: Path) -> Path:
    """A folder with an autoencoder, drawings, their latents, and such as a model has painted."""
    model = build_autoencoder()
    begin_autoencoder(model, MODEL_FOLDER / "vae")
    save_state(tmp_path / "autoencoder.pt", 1, model, Averaged(model, 0.5))
    with torch.inference_mode():
        latents = model.encoder(to_input(drawn)).half()
    for name in ("pictures", "textures", "unseen"):
        np.save(tmp_path / f"{name}.npy", drawn)
        torch.save(latents, tmp_path / f"{name}.latents.pt")
    order = torch.tensor([3, 1])
    torch.save({"index": order, "latents": latents[order]}, tmp_path / PAINTED_NAME)
    return tmp_path


def test_the_critic_learns_to_tell_soft_pictures(drawn: np.ndarray) -> None:
    """After a few steps, drawings are above their blurred copies."""
    torch.manual_seed(0)
    critic, sharp, soft = build_critic(), to_input(drawn), to_input(blurred(drawn))
    optimiser = torch.optim.AdamW(critic.parameters(), 2e-3, betas=(0.5, 0.9))
    losses = []
    for _ in range(30):
        loss = critic_loss(critic, sharp, soft)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert critic(sharp).mean() > critic(soft).mean()
    assert critic(sharp).shape[-2:] == (20, 20)


def test_what_is_painted_again_is_nearly_the_same(drawn: np.ndarray) -> None:
    """The more noise, the further away."""
    pipeline = load_model(MODEL_FOLDER)
    with torch.inference_mode():
        latents = pipeline.vae.encoder(to_input(drawn[:2])) * pipeline.vae.config.scaling_factor
    torch.manual_seed(1)
    far = [
        float((paint_near(pipeline, latents, ["snow", "lava"], t, 1.0) - latents).square().mean())
        for t in (60, 300, 900)
    ]
    assert far[0] < far[1] < far[2]
    assert far[0] < 0.1 * float(latents.square().mean())


def test_latents_lie_where_their_pictures_do(work: Path) -> None:
    """Decoded, crops are like their drawings; the painted ones as well, by their numbers."""
    model = trained_autoencoder(work)
    latents, pictures = Pairs(work).sample(np.random.default_rng(0), 12)
    assert latents.shape == (12, 10, CELLS, CELLS)
    with torch.inference_mode():
        made = model.decoder(latents)
    inside = (..., slice(8, -8), slice(8, -8))
    right = (made - pictures)[inside].square().mean()
    wrong = (made - pictures.roll(1, 0))[inside].square().mean()
    assert right < 0.2 * wrong


def test_the_decoder_alone_is_taught_and_goes_on(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The encoder stays as it was; a second call goes on where the first ended."""
    before = trained_autoencoder(work).state_dict()
    words = ["--work", str(work), "--batch", "2", "--steps"]
    train(arguments([*words, "2"]))
    after = trained_autoencoder(work).state_dict()
    changed = {name.split(".")[0] for name in before if not before[name].equal(after[name])}
    assert changed == {"decoder"}
    train(arguments([*words, "3"]))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["2/2", "3/3"]


def test_the_model_paints_the_drawings_beforehand(work: Path) -> None:
    """Where they are not there yet, as many as were asked for."""
    (work / PAINTED_NAME).unlink()
    labels = [label.to_dict() for label in LABELS]
    (work / "pictures.json").write_text(json.dumps(labels), encoding="utf-8")
    (work / "latent_scale.json").write_text('{"scaling_factor": 0.9}', encoding="utf-8")
    train(arguments(["--work", str(work), "--batch", "2", "--steps", "1", "--painted", "4"]))
    painted = torch.load(work / PAINTED_NAME, weights_only=True)
    assert painted["latents"].shape == (4, 10, 10, 10)
    assert len(set(painted["index"].tolist())) == 4
