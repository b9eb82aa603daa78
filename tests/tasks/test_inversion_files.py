"""Inversions on disk: what comes back, what is let go, and what only costs time."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tapestry_backend.tasks.inversion_files import InversionFiles
from tapestry_backend.tasks.run import run
from tapestry_backend.tasks.tensor_files import key_of
from tapestry_protocol.adapters import Lora
from tapestry_protocol.messages import Edit, Request

LEVELS = {index: torch.randn(1, 3, 4, 6) for index in (2, 3, 4)}


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """The same levels, to the bit."""
    files = InversionFiles(tmp_path / "inversions")
    assert files.find("a") is None
    files.keep("a", LEVELS)
    found = InversionFiles(tmp_path / "inversions").find("a")
    assert found is not None
    assert found.keys() == LEVELS.keys()
    assert all(torch.equal(found[index], LEVELS[index]) for index in LEVELS)


def test_the_one_used_longest_ago_goes_first(tmp_path: Path) -> None:
    """When there is no room for all."""
    size = 3 * 72 * 4 + 400
    files = InversionFiles(tmp_path, most_bytes=2 * size)
    for age, name in ((300, "a"), (200, "b")):
        files.keep(name, LEVELS)
        past = (tmp_path / f"{name}.safetensors").stat().st_mtime - age
        os.utime(tmp_path / f"{name}.safetensors", (past, past))
    assert files.find("a")  # and so "b" is the oldest
    files.keep("c", LEVELS)
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c"}


def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    """Nothing else goes for it."""
    files = InversionFiles(tmp_path, most_bytes=1500)
    files.keep("a", LEVELS)
    files.keep("b", {0: torch.zeros(1, 3, 40, 60)})
    assert {path.stem for path in tmp_path.iterdir()} == {"a"}


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_let_go(tmp_path: Path, damage: bytes | None) -> None:
    """It is made anew."""
    files = InversionFiles(tmp_path)
    files.keep("a", LEVELS)
    path = tmp_path / "a.safetensors"
    path.write_bytes(path.read_bytes()[:-8] if damage is None else damage)
    assert files.find("a") is None
    assert not path.exists()


def test_a_folder_that_cannot_be_made_costs_nothing(tmp_path: Path) -> None:
    """A file lies in its place."""
    (tmp_path / "file").write_bytes(b"")
    files = InversionFiles(tmp_path / "file" / "inversions")
    files.keep("a", LEVELS)
    assert files.find("a") is None


def test_keys_differ_with_all_that_counts(tmp_path: Path) -> None:
    """Numbers, shapes, settings, and the model's file."""
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"1")
    picture = torch.arange(6.0)
    key = key_of([picture], ("sample", 20), weights)
    assert key == key_of([picture.clone()], ("sample", 20), weights)
    others = {
        key_of([picture + 1], ("sample", 20), weights),
        key_of([picture.reshape(2, 3)], ("sample", 20), weights),
        key_of([picture], ("sample", 21), weights),
    }
    weights.write_bytes(b"12")
    others.add(key_of([picture], ("sample", 20), weights))
    assert len(others | {key}) == 5


def test_only_an_edit_of_the_same_picture_with_the_same_words_is_spared(
    model_cache, scene, tmp_path: Path
) -> None:
    """What it becomes may be another thing; LoRAs are not reckoned with."""
    files = InversionFiles(tmp_path)
    first = Request(
        "edit",
        64,
        64,
        prompt="lava",
        image=scene.picture(64, 64),
        edit=Edit("ddib", "snow"),
        num_inference_steps=2,
        strength=1.0,
        guidance_scale=1.0,
    )

    def evaluations(request: Request) -> int:
        *_, finished = run(request, scene.blobs, model_cache, inversions=files)
        return finished.report["unet_evaluations"]

    assert evaluations(first) == 4
    assert evaluations(replace(first, prompt="grass", seed=5)) == 2
    assert evaluations(replace(first, edit=Edit("ddib", "sand"))) == 4
    assert evaluations(replace(first, num_inference_steps=3)) == 6
    assert evaluations(replace(first, loras=(Lora("sample-ink", 1.0),))) == 4
