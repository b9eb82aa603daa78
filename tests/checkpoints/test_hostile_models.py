"""Hostile models: each is refused with a sentence before anything is loaded."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tapestry_backend.checkpoints.folder_checks import check_configuration, check_folder
from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_backend.checkpoints.safetensors_header import BrokenFileError
from tapestry_backend.models.stable_diffusion import StableDiffusion
from tapestry_protocol.errors import ErrorCode, TapestryError
from tests.checkpoints.hostile_folders import HOSTILE, NAMES, config, hostile_folder, sound_folder

OPEN = Path(__file__).with_name("open_models.py")
MOST_GROWTH_BYTES = 64 * 2**20


@pytest.fixture(scope="module")
def sound(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model in a folder of its own."""
    folder = tmp_path_factory.mktemp("models") / "sound"
    return sound_folder(catalogue.find(SAMPLE).path, folder)


@pytest.mark.promise("S5")
def test_hostile_folders_are_refused(sound: Path, measured) -> None:
    """Each with a code and advice, quickly, without torch and without taking memory."""
    folders = {
        name: str(hostile_folder(sound, sound.parent / str(number), damage))
        for number, (name, damage) in enumerate(HOSTILE.items())
    }
    finished = subprocess.run(
        [sys.executable, str(OPEN)],
        input=json.dumps([str(sound), *folders.values()]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )
    told = json.loads(finished.stdout)
    outcomes = told["outcomes"]
    assert outcomes.pop(str(sound))["code"] == ""
    assert not told["torch"]
    opened = [name for name, folder in folders.items() if not outcomes[folder]["advice"]]
    assert not opened
    assert {outcome["code"] for outcome in outcomes.values()} == {ErrorCode.MODEL_BROKEN.value}
    slowest = max(outcome["seconds"] for outcome in outcomes.values())
    growth = max(outcome["growth_bytes"] for outcome in outcomes.values())
    assert slowest < 1
    assert growth < MOST_GROWTH_BYTES
    assert len(outcomes) >= 40
    measured(
        f"{len(outcomes)} hostile models refused; slowest {slowest:.2f} s, "
        f"at most {growth / 2**20:.0f} MiB, no torch loaded",
    )


@pytest.mark.promise("S5")
def test_a_model_is_named_by_its_id_alone(catalogue: Catalogue, measured) -> None:
    """Whatever else a client writes is no model, and nothing is looked up anywhere."""
    names = {**NAMES, "path of a model": str(catalogue.find(SAMPLE).path)}
    for name in names.values():
        with pytest.raises(TapestryError, match="There is no model") as raised:
            catalogue.find(name)
        assert raised.value.code is ErrorCode.MODEL_NOT_FOUND
    measured(f"{len(names)} names that are no ids: refused")


def test_what_is_looked_at_first_is_what_loading_looks_at(sound: Path) -> None:
    """A folder that is refused from outside does not reach torch by way of loading either."""
    folder = hostile_folder(sound, sound.parent / "loaded", HOSTILE["bytes that belong to none"])
    entry = Catalogue([str(folder)]).find(str(folder))
    with pytest.raises(TapestryError, match="cannot be opened"):
        StableDiffusion(entry, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    "damage",
    [
        config("text_encoder/config.json", num_hidden_layers=3),
        config("unet/config.json", block_out_channels=[96, 128, 192]),
        config("unet/config.json", cross_attention_dim=64),
        config("scheduler/scheduler_config.json", beta_schedule="none such"),
        config("model_index.json", vae=["diffusers", "VQModel"]),
        config("model_index.json", scheduler=["diffusers", "EvilScheduler"]),
    ],
    ids=["missing layer", "other width", "other texts", "odd betas", "other vae", "no scheduler"],
)
def test_what_only_loading_finds_is_a_sentence_too(
    sound: Path, tmp_path: Path, damage, request: pytest.FixtureRequest
) -> None:
    """Weights and configuration that do not fit together never give random numbers."""
    folder = hostile_folder(sound, sound.parent / f"late {request.node.name[-30:]}", damage)
    entry = Catalogue([str(folder)]).find(str(folder))
    with pytest.raises(TapestryError) as raised:
        StableDiffusion(entry, torch.device("cpu"), torch.float32)
    assert raised.value.code is ErrorCode.MODEL_BROKEN


def test_the_hubs_cache_may_link_to_its_store(sound: Path, tmp_path: Path) -> None:
    """There, files are links into a folder beside; links to anywhere else are refused."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    for number, path in enumerate(sorted(p for p in sound.rglob("*") if p.is_file())):
        place = snapshot / path.relative_to(sound)
        place.parent.mkdir(parents=True, exist_ok=True)
        (blobs / str(number)).write_bytes(path.read_bytes())
        place.symlink_to(blobs / str(number))
    check_folder(snapshot)
    outside = tmp_path / "outside.safetensors"
    weights = snapshot / "unet" / "diffusion_pytorch_model.safetensors"
    outside.write_bytes(weights.read_bytes())
    weights.unlink()
    weights.symlink_to(outside)
    with pytest.raises(TapestryError, match="leads out"):
        check_folder(snapshot)


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", MODELS_VARIABLE])
def test_links_may_lead_to_where_models_are_kept(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A folder made of links to files, or to whole parts, of the hub's cache or our own folder."""
    kept = tmp_path / "kept"
    shutil.copytree(sound, kept / "model")
    monkeypatch.setenv(variable, str(kept))
    linked = tmp_path / "linked"
    linked.mkdir()
    for path in (kept / "model").iterdir():
        (linked / path.name).symlink_to(path)
    check_folder(linked)
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    with pytest.raises(TapestryError, match="is a link that leads out") as raised:
        check_folder(linked)
    assert str(kept) in raised.value.message
    assert "the file itself" in raised.value.advice


WORDS = {
    "cut": ("vocab.json", b'{"a": 1, "b'),
    "an empty list of words": ("vocab.json", b"{}"),
    "no words at all": ("tokenizer.json", b'{"model": {"type": "BPE"}}'),
    "merges of nothing": ("merges.txt", b""),
    "a web page": ("tokenizer_config.json", b"<html>"),
}


@pytest.mark.parametrize("case", WORDS)
def test_a_damaged_tokenizer_is_found_from_outside(sound: Path, tmp_path: Path, case: str) -> None:
    """A model without a tokenizer is refused before it is loaded."""
    shutil.copytree(sound, tmp_path / "model")
    name, data = WORDS[case]
    (tmp_path / "model" / "tokenizer" / name).write_bytes(data)
    with pytest.raises(TapestryError, match=re.escape(name)) as raised:
        check_folder(tmp_path / "model")
    assert raised.value.code is ErrorCode.MODEL_BROKEN


@pytest.mark.parametrize("method", ["bitsandbytes", "torchao"])
def test_weights_that_another_library_has_packed_are_named(sound: Path, method: str) -> None:
    """As diffusers saves them, with what to get instead."""
    packed = config("unet/config.json", quantization_config={"quant_method": method, "bits": 4})
    folder = hostile_folder(sound, sound.parent / f"packed by {method}", packed)
    with pytest.raises(TapestryError, match=f"packed by “{method}”") as raised:
        check_folder(folder)
    assert "GGUF" in str(raised.value.advice)


def test_words_without_their_merges_are_none(sound: Path, tmp_path: Path) -> None:
    """A part of the files is not enough."""
    shutil.copytree(sound, tmp_path / "model")
    (tmp_path / "model" / "tokenizer" / "merges.txt").unlink(missing_ok=True)
    (tmp_path / "model" / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)
    (tmp_path / "model" / "tokenizer" / "vocab.json").write_text('{"a": 1}')
    with pytest.raises(TapestryError, match=r"merges\.txt is missing"):
        check_folder(tmp_path / "model")


@pytest.mark.parametrize("name", ["x" * 201, "caf\udce9", "~nobody-here/model"])
def test_names_that_cannot_travel_are_refused(name: str) -> None:
    """A model's name is its id on the wire."""
    with pytest.raises(TapestryError) as raised:
        Catalogue([name])
    assert raised.value.code is ErrorCode.MODEL_NOT_FOUND


@pytest.mark.parametrize(
    ("key", "most"), [("rope_theta", 1e9), ("max_pixels", 12845056), ("hidden_size", 2**20)]
)
def test_numbers_may_be_as_large_as_models_have_them(key: str, most: float) -> None:
    """And no larger: waves and limits take no memory, sizes do."""
    check_configuration({"inner": {key: most}}, "config.json")
    with pytest.raises(BrokenFileError, match=key):
        check_configuration({"inner": {key: most * 2**13}}, "config.json")
