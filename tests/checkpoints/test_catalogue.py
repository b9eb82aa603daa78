"""The catalogue: the bundled model is there, and folders that are no model get a sentence."""

import json
import os
import shutil
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest

from tapestry_backend.checkpoints.catalogue import Catalogue, Checkpoint
from tapestry_backend.checkpoints.families import FAMILIES
from tapestry_protocol.adapters import FamilyName
from tapestry_protocol.codec import decode, encode
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Welcome


def test_the_bundled_model_is_always_there(catalogue: Catalogue) -> None:
    """Without any setting there is one model, and its window is known without loading it."""
    (info,) = catalogue.models

    assert info.id == "sample"
    assert info.window_px == 128
    assert info.family == "sd1"


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

    assert [m.id for m in Catalogue([str(copy)]).models] == ["sample", str(copy)]


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
