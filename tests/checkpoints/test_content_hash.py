"""A model's hash is that of what it paints with, and of nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tapestry_backend.checkpoints.catalogue import Catalogue, Checkpoint
from tapestry_backend.checkpoints.content_hash import content_hash
from tapestry_protocol.errors import TapestryError


@pytest.fixture
def copied(catalogue: Catalogue, tmp_path: Path) -> Checkpoint:
    """The bundled model in a folder of another name."""
    folder = tmp_path / "mine"
    shutil.copytree(catalogue.find("sample").path, folder)
    return Checkpoint("mine", folder, 128)


def test_the_same_files_are_the_same_model(catalogue: Catalogue, copied: Checkpoint) -> None:
    """Whatever the folder is called, and whatever notes lie in it."""
    (copied.path / "README.md").write_text("mine", encoding="utf-8")
    known = content_hash(catalogue.find("sample"))
    assert content_hash(copied) == known
    assert len(known) == 64


@pytest.mark.parametrize("name", ["unet/config.json", "vae/diffusion_pytorch_model.safetensors"])
def test_one_other_byte_is_another_model(copied: Checkpoint, name: str) -> None:
    """In weights as in what says how they are used."""
    known = content_hash(copied)
    file = copied.path / name
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)
    assert content_hash(copied) != known


def test_files_that_change_places_are_another_model(copied: Checkpoint) -> None:
    """A folder is more than the sum of its files."""
    known = content_hash(copied)
    one, other = copied.path / "unet/config.json", copied.path / "vae/config.json"
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert content_hash(copied) != known


def test_a_file_counts_with_those_that_lend_it_parts(tmp_path: Path) -> None:
    """And its own name does not."""
    for name in ("a", "b", "vae"):
        (tmp_path / f"{name}.safetensors").write_bytes(name.encode() if name == "vae" else b"unet")
    vae = {"vae": tmp_path / "vae.safetensors"}
    alone, named, lent = (
        content_hash(Checkpoint("x", tmp_path / f"{name}.safetensors", 64, component_files=parts))
        for name, parts in (("a", {}), ("b", {}), ("a", vae))
    )
    assert alone == named
    assert alone != lent


def test_what_is_gone_is_said(tmp_path: Path) -> None:
    """A sentence, no exception of the system's."""
    with pytest.raises(TapestryError, match="cannot be read"):
        content_hash(Checkpoint("x", tmp_path / "gone.safetensors", 64))
