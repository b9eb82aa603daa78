"""Models and adapters on two computers that call them by other names."""

import shutil
from pathlib import Path

import pytest

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.contents import Contents
from tapestry_protocol.adapters import Lora
from tapestry_protocol.messages import Request

SAMPLE_FOLDER = Catalogue().find("sample").path


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The bundled model under another name."""
    return Path(shutil.copytree(SAMPLE_FOLDER, tmp_path / "copied"))


def contents(folder: Path, *models: str, **more: object) -> Contents:
    """A computer's, with these models beside the bundled one."""
    return Contents(Catalogue(models, **more), folder / "known.json")


def test_a_model_is_found_under_another_name(tmp_path: Path, copied: Path) -> None:
    """The request then finds it by the name that the other computer has for it."""
    wanted = contents(tmp_path, str(copied)).needed_by(
        Request("generate", 64, 64, model=str(copied))
    )
    assert wanted.keys() == {str(copied)}
    catalogue = Catalogue()
    assert Contents(catalogue, tmp_path / "theirs.json").take(wanted) == ()
    assert catalogue.find(str(copied)).path == SAMPLE_FOLDER
    assert catalogue.find("sample").id == "sample"


def test_another_content_under_the_same_name_is_not_taken(tmp_path: Path, copied: Path) -> None:
    """Also one of the same size; nor is what is not there at all."""
    ours = contents(tmp_path, str(copied))
    wanted = ours.needed_by(Request("generate", 64, 64, model=str(copied)))
    weights = next(copied.rglob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    changed = contents(tmp_path, str(copied))
    # The bundled one has it still.
    assert changed.take(wanted) == ()
    ((name, content),) = wanted.items()
    foreign = {name: content[:-1] + ("0" if content[-1] != "0" else "1")}
    assert changed.take(foreign) == (name,)
    assert changed.take({"elsewhere": "5 abc"}) == ("elsewhere",)


def test_files_are_read_once(tmp_path: Path, copied: Path, monkeypatch) -> None:
    """Also by a later process; again where one has changed."""
    request = Request("generate", 64, 64, model=str(copied))
    wanted = contents(tmp_path, str(copied)).needed_by(request)
    read = []
    monkeypatch.setattr(
        "tapestry_backend.checkpoints.content_hash.content_hash",
        lambda entry: read.append(entry) or "x",
    )
    later = contents(tmp_path, str(copied))
    assert later.needed_by(request) == wanted
    assert read == []
    next(copied.rglob("*.json")).touch()
    assert later.needed_by(request) != wanted
    assert len(read) == 1


def test_a_damaged_memory_costs_reading_again(tmp_path: Path) -> None:
    """Whatever stands in the file."""
    request = Request("generate", 64, 64)
    expected = contents(tmp_path).needed_by(request)
    for text in ("", "[1]", '{"a": 1}', '{"a": []}', "\x00"):
        (tmp_path / "known.json").write_text(text)
        assert contents(tmp_path).needed_by(request) == expected


def test_adapters_count_too(tmp_path: Path) -> None:
    """A LoRA that the request or its prompt names, by its content; what prompts say of others."""
    catalogue = Catalogue()
    lora = next(adapter for adapter in catalogue.adapters.all if adapter.kind == "lora")
    named = Request("generate", 64, 64, loras=(Lora(lora.id),))
    spelled = Request("generate", 64, 64, prompt=f"sand <lora:{lora.id}:1>")
    ours = Contents(catalogue, tmp_path / "known.json")
    wanted = ours.needed_by(named)
    assert wanted.keys() == {"sample", lora.id} == ours.needed_by(spelled).keys()
    theirs = Catalogue()
    renamed = {"ours": wanted[lora.id]}
    assert Contents(theirs, tmp_path / "theirs.json").take(renamed) == ()
    assert theirs.adapters.find("ours", "lora").path == lora.path
