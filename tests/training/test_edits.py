"""Pairs of drawings for instructions, and the first step of learning from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

from tapestry_backend.models.loading.difference import put_difference
from training.edit_data import PART, Part, family, size_of
from training.edit_pairs import FAMILY_SHARES, GREEN_SCENES, draw_family, in_season
from training.edits import Change, canonical, instruction
from training.evaluate_edits import FAMILY_OF, Pair, is_nearer, left_alone, pairs
from training.export import MODEL_FOLDER
from training.models import build_scheduler
from training.objects import OBJECTS
from training.scene_parts import TIMES
from training.scenes import SCENES
from training.train_edit import (
    KIND_SHARES,
    Edits,
    build_twin,
    differences,
    edit_loss,
    late_times,
    latent_factor,
)

SIDE = 128


def drawn(kind: str, number: int) -> Any:
    """A family of one kind."""
    return draw_family(np.random.default_rng([5, number]), kind, SIDE, SIDE)


def apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By how many levels pixels differ, [H, W]."""
    return np.abs(first.astype(int) - second.astype(int)).max(-1)


def test_shares_are_whole() -> None:
    """Of families and of kinds; each kind has its family."""
    assert sum(FAMILY_SHARES.values()) == pytest.approx(1)
    assert sum(KIND_SHARES.values()) == pytest.approx(1)
    assert KIND_SHARES.keys() == FAMILY_OF.keys()
    assert set(FAMILY_OF.values()) == FAMILY_SHARES.keys()


@pytest.mark.parametrize("kind", FAMILY_SHARES)
def test_a_family_repeats_and_differs_as_it_says(kind: str) -> None:
    """Every change names two pictures that are not alike, and what is asked for."""
    for number in range(4):
        made, again = drawn(kind, number), drawn(kind, number)
        assert np.array_equal(made.pictures, again.pictures)
        assert made.changes == again.changes
        for before, after, change in made.changes:
            assert FAMILY_OF[change.kind] == kind
            assert (apart(made.pictures[before], made.pictures[after]) > 0).any()


def test_what_is_added_stands_alone() -> None:
    """All around a thing that comes or goes, the picture is the same to the bit."""
    for number in range(6):
        without, with_it = drawn("presence", number).pictures
        same = apart(without, with_it) == 0
        assert 0.3 < same.mean() < 0.98
        assert same[:6].all() or same[-6:].all()


def test_another_colour_keeps_the_outline() -> None:
    """A thing changes its colour and nothing around it; another thing takes its place."""
    for number in range(6):
        first, recoloured, other = drawn("things", number).pictures
        changed = apart(first, recoloured) > 0
        assert changed.any()
        assert changed.mean() < 0.6
        assert (apart(first, other) > 0).any()


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_keeps_its_layout_at_every_time(scene: str) -> None:
    """What stands on the ground is drawn from the same numbers: its edges agree."""
    day, sunset, night = (
        SCENES[scene](np.random.default_rng(3), time, SIDE, SIDE).mean(-1) for time in TIMES
    )

    def steps(picture: np.ndarray) -> np.ndarray:
        return np.abs(np.diff(picture[SIDE // 2 :], axis=1)).ravel()

    for other in (sunset, night):
        assert np.corrcoef(steps(day), steps(other))[0, 1] > 0.55


@pytest.mark.parametrize("scene", GREEN_SCENES)
def test_winter_and_autumn_take_the_green_away(scene: str) -> None:
    """The sky stays as it is."""
    summer = SCENES[scene](np.random.default_rng(4), "day", SIDE, SIDE)
    for season in ("winter", "autumn"):
        made = in_season(summer, season, "day")
        red, green, blue = np.moveaxis(made, -1, 0)
        assert (green > np.maximum(red, blue) + 0.1).mean() < 0.01
        assert np.allclose(made[:8], summer[:8], atol=0.02)


@pytest.mark.parametrize("kind", KIND_SHARES)
def test_instructions_name_what_is_asked_for(kind: str) -> None:
    """In many wordings, of which the plainest is frequent."""
    rng = np.random.default_rng(1)
    pair = next(pairs(kind, 3))
    words = [instruction(rng, pair.change) for _ in range(120)]
    plain = canonical(pair.change)
    assert len(set(words)) > 8
    assert not [said for said in [*words, plain] if "{" in said or "  " in said]
    thing = (pair.change.after or pair.change.before).split()[-1]
    if thing in OBJECTS and kind != "colour":
        assert all(thing in said.lower() for said in [*words, plain])


def test_plain_wordings() -> None:
    """Those of the guide."""
    asked = {
        Change("region", "snow", "green grass"): "turn the green grass into snow",
        Change("time", "night"): "make it night",
        Change("season", "winter"): "make it winter",
        Change("add", "orange boat"): "add an orange boat",
        Change("remove", before="red boat"): "remove the boat",
        Change("colour", "blue house", "red house"): "make the house blue",
        Change("thing", "red castle", "blue house"): "turn the house into a red castle",
        Change("whole", "lava"): "turn it into lava",
    }
    assert [canonical(change) for change in asked] == list(asked.values())


def test_numbered_families_have_their_parts_size() -> None:
    """One can be drawn again alone; a part has one size."""
    height, width = size_of(21, 3)
    made = family(21, 3 * PART, height, width)
    assert made.pictures.shape[1:] == (height, width, 3)
    assert np.array_equal(made.pictures, family(21, 3 * PART, height, width).pictures)
    assert {size_of(21, part) for part in range(40)} == {(144, 144), (112, 176), (176, 112)}


def test_figures_know_the_drawings_themselves() -> None:
    """The drawing after the change is right and leaves all else alone; that before it is not."""
    pair = next(pairs("add", 8))
    assert is_nearer(pair.after, pair)
    assert not is_nearer(pair.before, pair)
    assert left_alone(pair.after, pair) == left_alone(pair.before, pair) == 0
    brighter = Pair(pair.before, pair.after, pair.change)
    assert left_alone(np.clip(pair.after.astype(int) + 9, 0, 255).astype(np.uint8), brighter) > 4


def test_most_samples_are_noisy() -> None:
    """What changes is decided there."""
    times = late_times(400)
    assert 0 <= int(times.min()) < int(times.max()) < 1000
    assert float((times > 500).float().mean()) > 0.6


@pytest.fixture(scope="module")
def edits() -> Edits:
    """A tiny prepared set of random latents."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(4, 10, 18, 18, generator=generator).half()
    changes = [(0, 1, {"kind": "time", "after": "night"}), (2, 3, {"kind": "add", "after": "x"})]
    changes[1][2]["after"] = "red boat"
    tokenizer = CLIPTokenizer.from_pretrained(MODEL_FOLDER / "tokenizer")
    return Edits([Part(latents, changes)], tokenizer)


def test_a_batch_is_cropped_alike_on_both_sides(edits: Edits) -> None:
    """The same window of a pair, and one in ten without its picture, or without its words."""
    batch = edits.sample(np.random.default_rng(2), 400)
    assert batch.before.shape == batch.after.shape == (400, 10, 16, 16)
    assert batch.tokens.shape == (400, 40)
    assert 0.06 < float(batch.unseen.float().mean()) < 0.14
    empty = edits.tokenizer("", padding="max_length", return_tensors="pt").input_ids[0]
    assert 0.06 < float((batch.tokens == empty).all(1).float().mean()) < 0.14


def test_a_step_teaches_words_and_first_layer_alike(edits: Edits) -> None:
    """All of it has gradients, the picture's half of the first layer as well."""
    twin = build_twin()
    batch = edits.sample(np.random.default_rng(4), 4)
    batch = batch._replace(unseen=torch.zeros(4, dtype=torch.bool))
    loss = edit_loss(twin, batch, build_scheduler().alphas_cumprod, latent_factor())
    loss.backward()
    assert torch.isfinite(loss)
    assert bool(twin["unet"].conv_in.weight.grad[:, 10:].abs().any())
    assert bool(twin["text_encoder"].get_input_embeddings().weight.grad.abs().any())


def test_what_was_learned_is_written_as_a_difference(tmp_path: Path) -> None:
    """In four bits: read by the product, it is nearly what was learned."""
    twin = build_twin()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    path = tmp_path / "learned.safetensors"
    save_file(differences(twin), path)
    plain = {
        "unet": UNet2DConditionModel.from_pretrained(MODEL_FOLDER, subfolder="unet"),
        "text_encoder": CLIPTextModel.from_pretrained(MODEL_FOLDER / "text_encoder"),
    }
    put_difference(plain, path)
    assert path.stat().st_size < 6_000_000
    for name, network in plain.items():
        for place, learned in twin[name].named_parameters():
            found = network.get_parameter(place)
            assert float((found - learned).detach().square().mean().sqrt()) < 0.003
