"""The catalogue: the bundled model is there, and folders that are no model get a sentence."""

import json
import os
import shutil
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest

from tapestry_backend.checkpoints import catalogue as catalogue_module
from tapestry_backend.checkpoints.catalogue import Catalogue, Checkpoint
from tapestry_backend.checkpoints.content_hash import files_of
from tapestry_backend.checkpoints.families import FAMILIES
from tapestry_protocol.adapters import FamilyName
from tapestry_protocol.codec import decode, encode
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Welcome


def test_the_bundled_model_is_always_there(catalogue: Catalogue) -> None:
    """Without any setting it is there, and its window is known without loading it.

    Beside it is what it became when it was taught to follow instructions.
    """
    info, editor = catalogue.models

    assert (info.id, editor.id) == ("sample", "sample-edit")
    for each in (info, editor):
        assert each.window_px == 128
        assert each.family == "sd1"
    assert editor.only_instructions
    assert not info.follows_instructions


def test_the_bundled_editor_is_small_and_has_a_hash_of_its_own(catalogue: Catalogue) -> None:
    """Less than 6 MB beside the model that it was made from, whose files count as well."""
    sample, editor = (catalogue.find(name) for name in ("sample", "sample-edit"))
    places = dict(files_of(editor))

    assert editor.path.stat().st_size < 6_000_000
    assert editor.size_bytes == sample.size_bytes + editor.path.stat().st_size
    assert places[""] == editor.path
    assert places["base/unet/config.json"] == sample.path / "unet" / "config.json"
    assert editor.materials == sample.materials


def test_a_damaged_editor_is_left_out_and_takes_nothing_along(tmp_path: Path, monkeypatch) -> None:
    """The bundled model itself is there as ever."""
    package = tmp_path / "tapestry_backend"
    for name in ("sample_model", "sample_adapters"):
        shutil.copytree(Path(str(files("tapestry_backend") / name)), package / name)
    (package / "sample_edit").mkdir()
    (package / "sample_edit" / "sample-edit.safetensors").write_bytes(b"torn")
    monkeypatch.setattr(catalogue_module, "files", lambda _: package)
    known = Catalogue()

    assert [entry.id for entry in known.entries] == ["sample"]
    (left_out,) = known.left_out
    assert "does not hold what a model differs by" in left_out.message


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_tells_the_family_of_its_adapters(tmp_path: Path, family: str) -> None:
    """Each of ours travels, by the name that adapters' files are matched by."""
    info = Checkpoint("mine", tmp_path, 64, family).info
    assert decode(encode(Welcome(1, "1", (info,)))) == Welcome(1, "1", (info,))
    assert info.family == family
    assert family in get_args(FamilyName)


def test_a_model_folder_is_found_by_its_path(catalogue: Catalogue, tmp_path: Path) -> None:
    """Any folder in diffusers layout can be named."""
    copy = tmp_path / "my model"
    shutil.copytree(catalogue.find("sample").path, copy)

    assert [m.id for m in Catalogue([str(copy)]).models] == ["sample", "sample-edit", str(copy)]


@pytest.mark.parametrize("damage", ["empty", "no json", "no unet", "another pipeline", "a file"])
def test_a_folder_that_is_no_model_gets_a_sentence(
    catalogue: Catalogue, tmp_path: Path, damage: str
) -> None:
    """Whatever is wrong with a folder, the error says what a model folder holds."""
    folder = tmp_path / "model"
    if damage == "a file":
        folder.write_text("not a folder")
    elif damage == "empty":
        folder.mkdir()
    else:
        shutil.copytree(catalogue.find("sample").path, folder)
        if damage == "no json":
            (folder / "model_index.json").write_text("{")
        elif damage == "no unet":
            shutil.rmtree(folder / "unet")
        else:
            index = json.loads((folder / "model_index.json").read_text())
            index["_class_name"] = "FluxPipeline"
            (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(TapestryError) as caught:
        Catalogue([str(folder)])

    assert caught.value.code is ErrorCode.MODEL_BROKEN
    assert caught.value.advice


@pytest.mark.parametrize("name", ["nobody/nothing", "not a name", "../.."])
def test_a_model_that_is_nowhere_gets_a_sentence(name: str, tmp_path: Path, monkeypatch) -> None:
    """A name that is neither a folder nor in the cache is refused without asking the network."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TapestryError) as caught:
        Catalogue([name])

    assert caught.value.code in (ErrorCode.MODEL_NOT_FOUND, ErrorCode.MODEL_BROKEN)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are Unix'")
def test_a_pipe_is_told_as_what_it_is(tmp_path: Path) -> None:
    """Nothing is waited for."""
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    with pytest.raises(TapestryError, match="is neither a file nor a folder"):
        Catalogue([str(pipe)])


def test_for_the_index_of_a_model_its_folder_is_asked() -> None:
    """Other programs take either."""
    index = Path(str(files("tapestry_backend") / "sample_model" / "model_index.json"))
    with pytest.raises(TapestryError, match="is one file of a model in a folder") as raised:
        Catalogue([str(index)])
    assert str(index.parent) in raised.value.advice


@pytest.mark.parametrize("name", ["", " "])
def test_a_name_without_a_word_is_told_as_such(name: str) -> None:
    """As a script gives it whose variable is empty."""
    with pytest.raises(TapestryError, match="named without a word"):
        Catalogue([name])
