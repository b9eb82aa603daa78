"""Tests of how the bundled model is trained: equivariance, batches, optimiser and warm starts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from training.classifier import to_input
from training.common import Averaged, cosine_rate, load_state, progress, save_state
from training.draw import GROUPS, draw_group, draw_one, to_bytes
from training.evaluate import blurred, detail_energy, frame, label_pictures
from training.export import MODEL_FOLDER
from training.labels import KINDS, Label, draw_label, sample_label
from training.muon import Muon, orthogonal
from training.tokenizer import build_tokenizer
from training.train_autoencoder import CROP, build_autoencoder, psnr, step_loss, turned
from training.train_autoencoder import begin_from as begin_autoencoder
from training.train_diffusion import (
    CROP_SHAPES,
    KIND_SHARES,
    LatentSet,
    arguments,
    begin_from,
    build_modules,
)


def test_latents_and_pictures_turn_alike() -> None:
    """A picture that is its latents, enlarged, stays so."""
    latents = torch.rand(2, 3, 8, 8)
    pictures = functional.interpolate(latents, scale_factor=8, mode="nearest")
    for seed in range(6):
        small, wanted = turned(latents, pictures, np.random.default_rng(seed))
        assert wanted.shape[-1] == 8 * small.shape[-1]
        assert 4 <= small.shape[-1] <= 8
        assert float((functional.avg_pool2d(wanted, 8) - small).abs().mean()) < 0.05


def test_every_step_teaches_the_whole_autoencoder() -> None:
    """Turned or cropped, all weights have a gradient."""
    torch.manual_seed(0)
    model = build_autoencoder()
    wanted = torch.rand(2, 3, CROP + 16, CROP + 16) * 2 - 1
    for seed in range(4):
        model.zero_grad(set_to_none=True)
        loss, latents = step_loss(model, wanted, np.random.default_rng(seed))
        loss.backward()
        assert latents.shape[-2:] == (CROP // 8 + 2, CROP // 8 + 2)
        assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 6)])
def test_directions_become_orthogonal(shape: tuple[int, int]) -> None:
    """All singular values come near one."""
    made = orthogonal(torch.randn(3, *shape, generator=torch.Generator().manual_seed(1)))
    values = torch.linalg.svdvals(made)
    assert float(values.min()) > 0.3
    assert float(values.max()) < 1.4


def test_muon_learns_and_resumes(tmp_path: Path) -> None:
    """A convolution is learned; what was saved goes on as if nothing had been."""
    torch.manual_seed(3)
    inputs, aim = torch.randn(4, 3, 8, 8), torch.nn.Conv2d(3, 5, 3, bias=False)
    wanted = aim(inputs).detach()
    learner = torch.nn.Conv2d(3, 5, 3, bias=False)
    muon, averaged = Muon(learner.parameters(), 0.05), Averaged(learner, 0.9)

    def run(steps: int) -> float:
        for _ in range(steps):
            loss = (learner(inputs) - wanted).square().mean()
            muon.zero_grad()
            loss.backward()
            muon.step()
        return loss.item()

    first = run(1)
    assert run(60) < 0.2 * first
    save_state(tmp_path / "state.pt", 61, learner, averaged, muon)
    gone_on = run(5)
    assert load_state(tmp_path / "state.pt", learner, averaged, muon) == 61
    assert run(5) == pytest.approx(gone_on, rel=1e-4)


def test_crops_fit_their_groups() -> None:
    """Crops are smaller than what was drawn, and have about the area of the model's own window."""
    sizes = {group.name: (group.height // 8, group.width // 8) for group in GROUPS}
    assert sum(shape.share for shape in CROP_SHAPES) == pytest.approx(1)
    for shape in CROP_SHAPES:
        assert sum(shape.groups.values()) == pytest.approx(1)
        assert shape.height * shape.width * shape.samples == pytest.approx(256, rel=0.1)
        for name in shape.groups:
            assert shape.height + 2 <= sizes[name][0]
            assert shape.width + 2 <= sizes[name][1]


def test_crops_come_with_captions(tmp_path: Path) -> None:
    """Each has the size of the window, scaled, and words of its own label."""
    torch.save(torch.ones(1, 10, 20, 20).half(), tmp_path / "pictures.latents.pt")
    label = Label("object", first="snow", colour="red", thing="house")
    (tmp_path / "pictures.json").write_text(f"[{label.to_dict()}]".replace("'", '"'))
    latents = LatentSet(tmp_path, "pictures", 0.5, KIND_SHARES)
    crops, words = latents.sample(np.random.default_rng(0), 12, CROP_SHAPES[0])
    assert all(crop.shape == (10, 16, 16) and bool((crop == 0.5).all()) for crop in crops)
    assert sum("red house" in text.lower() for text in words) >= 8


def test_a_warm_start_keeps_words_and_weights() -> None:
    """Words go by spelling, since a tokenizer learned anew numbers them otherwise."""
    tokenizer = build_tokenizer(count=400)
    modules = build_modules(tokenizer)
    begin_from(modules, tokenizer, MODEL_FOLDER)
    other = build_tokenizer(count=300)
    again = build_modules(other)
    begin_from(again, other, MODEL_FOLDER)
    words, others = (
        part["text_encoder"].get_input_embeddings().weight for part in (modules, again)
    )
    snow = tokenizer.get_vocab()["snow</w>"], other.get_vocab()["snow</w>"]
    assert torch.equal(words[snow[0]], others[snow[1]])
    assert torch.equal(modules["unet"].conv_in.weight, again["unet"].conv_in.weight)


def test_blur_and_frame_are_measured() -> None:
    """A smear has less detail than its drawing, and a dark edge is a frame."""
    drawn, _ = label_pictures("scene", 6, 1)
    framed = drawn.copy()
    framed[:, :3], framed[:, :, -3:] = framed[:, :3] // 3, framed[:, :, -3:] // 3

    assert detail_energy(blurred(drawn)) < 0.5 * detail_energy(drawn)
    assert frame(drawn) < 1.3
    assert frame(framed) > frame(drawn) + 0.5


def test_the_rate_falls_by_steps_or_by_time() -> None:
    """Whichever is over first."""
    assert progress(10, 100, 0, 60) == 10
    assert progress(10, 100, 30, 60) == 50
    assert progress(10, 100, 30, np.inf) == 10
    rates = [cosine_rate(step, step, 100, 1.0, warmup=10) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert max(rates) > 0.95
    assert rates[-1] < 0.03


@pytest.mark.parametrize("processes", [1, 2])
def test_drawings_do_not_depend_on_processes(processes: int, tmp_path: Path) -> None:
    """A picture is its number's, wherever it is drawn."""
    group = GROUPS[0]._replace(count=3)
    draw_group(tmp_path, group, 5, processes)
    drawn = np.load(tmp_path / f"{group.name}.npy")
    assert np.array_equal(drawn[2], draw_one(5, group, 2)[0])


def test_drawings_come_back_from_latents_and_turned_from_turned_ones() -> None:
    """Latents that are turned like pictures are easier to learn."""
    rng = np.random.default_rng(77)
    labels = [sample_label(rng, KINDS[number % len(KINDS)]) for number in range(8)]
    drawn = np.stack([to_bytes(draw_label(rng, label, 128, 128)) for label in labels])
    autoencoder = build_autoencoder().eval()
    begin_autoencoder(autoencoder, MODEL_FOLDER / "vae")
    pictures = to_input(drawn)
    with torch.inference_mode():
        latents = torch.rot90(autoencoder.encoder(pictures), 1, (-2, -1))
        turned = autoencoder.decoder(latents) - torch.rot90(pictures, 1, (-2, -1))

    assert psnr(autoencoder, drawn) > 26
    assert float(turned.std()) < 0.23  # 0.22; the first edition's: 0.26


def test_kinds_can_count_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scenes that count for nothing are never drawn; a kind that is none is refused."""
    torch.save(torch.ones(2, 10, 16, 16).half(), tmp_path / "pictures.latents.pt")
    labels = [
        Label("scene", scene="desert", time="day"),
        Label("object", first="snow", colour="red", thing="house"),
    ]
    words = json.dumps([label.to_dict() for label in labels])
    (tmp_path / "pictures.json").write_text(words, encoding="utf-8")
    shares = KIND_SHARES | dict(arguments(["--share", "scene=0"]).share)
    _, captions = LatentSet(tmp_path, "pictures", 1.0, shares).sample(
        np.random.default_rng(0), 40, CROP_SHAPES[0]
    )
    assert not any("desert" in text.lower() for text in captions)
    with pytest.raises(SystemExit):
        arguments(["--share", "weather=1"])
    assert "weather" in capsys.readouterr().err
