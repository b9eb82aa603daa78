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
    COARSE_PX,
    FRESH_NAME,
    PAINTED_NAME,
    Batch,
    Pairs,
    arguments,
    build_critic,
    critic_loss,
    distance,
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
    """A folder with an autoencoder, drawings, their latents, and such as a model has painted.

    The fresh pictures are upside down, so that one sees that they are what they are held against.
    """
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
    turned = torch.from_numpy(drawn[[3, 1], ::-1].copy()).permute(0, 3, 1, 2)
    fresh = {"index": order, "latents": latents[order].flip(2), "pictures": turned}
    torch.save(fresh, tmp_path / FRESH_NAME)
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
    """Decoded, crops are like their drawings or former selves, whichever are wanted."""
    model = trained_autoencoder(work)
    batch = Pairs(work).sample(np.random.default_rng(0), 24)
    assert batch.latents.shape == (24, 10, CELLS, CELLS)
    with torch.inference_mode():
        made = model.decoder(batch.latents)
    inside = (..., slice(8, -8), slice(8, -8))
    for part in (batch.exact > 0, batch.exact == 0):
        right = (made - batch.wanted)[part][inside].square().mean()
        wrong = (made - batch.wanted.roll(1, 0))[part][inside].square().mean()
        assert right < 0.3 * wrong
    fresh = batch.exact == 0
    assert not batch.wanted[fresh].equal(batch.drawn[fresh])
    assert batch.wanted[~fresh].equal(batch.drawn[~fresh])


def test_the_critic_says_less_of_what_was_encoded(work: Path) -> None:
    """What was painted counts in full, of the two that should come out exactly or not."""
    batch = Pairs(work).sample(np.random.default_rng(0), 24)
    assert set(batch.critic[batch.exact == 0].tolist()) == {1.0}
    assert len(set(batch.critic[batch.exact > 0].tolist())) == 2


def test_fresh_pictures_are_held_by_their_coarse_colours(drawn: np.ndarray) -> None:
    """Fine changes within a square cost nothing there, and something where they are exact."""
    wanted = to_input(drawn[:2, :56, :56])
    sign = torch.tensor([1.0, -1.0]).repeat(28)
    fine = wanted + 0.1 * sign * sign[:, None]
    ones = torch.ones(2)
    held = Batch(torch.zeros(2, 10, CELLS, CELLS), wanted, wanted, ones, ones)
    free = held._replace(exact=torch.zeros(2))
    assert wanted.shape[-1] % COARSE_PX == 0
    assert distance(fine, held) > 0.1
    assert distance(fine, free) < 1e-5
    assert distance(wanted + 0.1, free) > 0.1


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


def test_the_model_paints_beforehand(work: Path) -> None:
    """Where they are not there yet, as many as were asked for, near drawings and from noise."""
    (work / PAINTED_NAME).unlink()
    (work / FRESH_NAME).unlink()
    labels = [label.to_dict() for label in LABELS]
    (work / "pictures.json").write_text(json.dumps(labels), encoding="utf-8")
    (work / "latent_scale.json").write_text('{"scaling_factor": 0.9}', encoding="utf-8")
    counts = ["--painted", "4", "--fresh", "3"]
    train(arguments(["--work", str(work), "--batch", "2", "--steps", "1", *counts]))
    painted = torch.load(work / PAINTED_NAME, weights_only=True)
    assert painted["latents"].shape == (4, 10, 10, 10)
    assert len(set(painted["index"].tolist())) == 4
    fresh = torch.load(work / FRESH_NAME, weights_only=True)
    assert fresh["latents"].shape == (3, 10, 10, 10)
    assert fresh["pictures"].shape == (3, 3, 80, 80)
    assert len(set(fresh["index"].tolist())) == 3
