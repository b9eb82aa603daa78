"""Tests of the drawn world: sizes, ranges, seeds, labels and wordings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.captions import caption, vocabulary
from training.classifier import PATCH, PictureNet, draw_pool, texture_crops
from training.draw import GROUPS, draw_one
from training.labels import KINDS, Label, draw_label, sample_label
from training.materials import MATERIAL_NAMES, MATERIALS, Material
from training.objects import COLOURS, OBJECT_COLOURS, OBJECT_PLACES, OBJECTS
from training.scenes import SCENES, TIMES


@pytest.mark.parametrize("material", MATERIALS, ids=lambda material: material.name)
def test_material_fills_any_size_and_repeats_by_seed(material: Material) -> None:
    """Size, type, range and seed of every texture."""
    first = material.draw(np.random.default_rng(4), 70, 133)
    again = material.draw(np.random.default_rng(4), 70, 133)
    other = material.draw(np.random.default_rng(5), 70, 133)
    assert first.shape == (70, 133, 3)
    assert first.dtype == np.float32
    assert first.min() >= 0.0
    assert first.max() <= 1.0
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("material", MATERIALS, ids=lambda material: material.name)
def test_material_looks_the_same_in_every_corner(material: Material) -> None:
    """Endless textures have no place of their own, so that tiles agree."""
    picture = material.draw(np.random.default_rng(6), 256, 256)
    corners = [picture[y : y + 128, x : x + 128].mean((0, 1)) for y in (0, 128) for x in (0, 128)]
    limit = 0.35 if material.name == "sunset sky" else 0.12
    assert np.ptp(np.stack(corners), axis=0).max() < limit


@pytest.mark.parametrize("scene", SCENES)
def test_night_is_darker_than_day(scene: str) -> None:
    """The time of day changes the light of every scene."""
    bright = [SCENES[scene](np.random.default_rng(2), time, 96, 160).mean() for time in TIMES]
    assert bright[2] < 0.6 * bright[0]


@pytest.mark.parametrize("thing", OBJECTS)
def test_object_shows_its_colour(thing: str) -> None:
    """Enough of the picture has the colour that the caption names."""
    colour = OBJECT_COLOURS[thing][0]
    label = Label("object", first="stone wall", colour=colour, thing=thing)
    picture = draw_label(np.random.default_rng(1), label, 128, 128)
    distance = np.abs(picture - np.array(COLOURS[colour])).max(-1)
    assert (distance < 0.12).mean() > 0.008


def test_object_tables_agree() -> None:
    """Every thing has colours, places and a drawing."""
    assert set(OBJECTS) == set(OBJECT_COLOURS) == set(OBJECT_PLACES)
    assert {place for places in OBJECT_PLACES.values() for place in places} <= set(MATERIAL_NAMES)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_data_sets_repeat_by_seed_and_number(group: Any) -> None:
    """Any picture of a set can be drawn again alone."""
    first, label = draw_one(1, group, 3)
    again, same = draw_one(1, group, 3)
    assert first.shape == (group.height, group.width, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert label == same
    assert not np.array_equal(first, draw_one(2, group, 3)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_captions_name_what_is_there(kind: str) -> None:
    """Whatever the wording, colour and thing are named."""
    rng = np.random.default_rng(9)
    for _ in range(40):
        label = sample_label(rng, kind)
        words = caption(rng, label)
        assert words == words.strip()
        assert "{" not in words
        if label.thing:
            assert f"{label.colour} {label.thing}" in words.lower()


def test_plain_name_is_the_most_frequent_caption() -> None:
    """Wordings vary, around the canonical prompt."""
    rng = np.random.default_rng(3)
    words = [caption(rng, Label("material", first="red bricks")) for _ in range(300)]
    counts = {word: words.count(word) for word in set(words)}
    assert max(counts, key=counts.__getitem__) == "red bricks"
    assert len(counts) > 15


def test_vocabulary_lists_every_kind() -> None:
    """The canonical prompts cover materials, scenes, objects and relations."""
    listed = vocabulary()
    assert listed["materials"] == list(MATERIAL_NAMES)
    assert len(listed["materials"]) >= 24
    assert "mountains at sunset" in listed["scenes"]
    assert "desert" in listed["scenes"]
    assert "a red house" in listed["objects"]
    assert "{first} above {second}" in listed["relations"]


def test_classifier_names_patches_row_by_row() -> None:
    """Only whole patches are named."""
    net = PictureNet(MATERIAL_NAMES)
    names = net.name_patches(np.zeros((70, 130, 3), np.uint8))
    assert [len(row) for row in names] == [4, 4]
    assert {name for row in names for name in row} <= set(MATERIAL_NAMES)


def test_texture_crops_have_their_material() -> None:
    """Crops come with class numbers."""
    pool = draw_pool(1, 1, 48)
    pictures, classes = texture_crops(pool, (PATCH,))(np.random.default_rng(0), 6)
    assert pictures.shape == (6, PATCH, PATCH, 3)
    assert classes.max() < len(MATERIAL_NAMES)
