"""Models that somebody might send: each is refused with a sentence before anything is loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tapestry_backend.checkpoints.folder_checks import check_folder
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


@pytest.mark.parametrize("name", ["x" * 201, "caf\udce9", "~nobody-here/model"])
def test_names_that_cannot_travel_are_refused(name: str) -> None:
    """A model's name is its id on the wire."""
    with pytest.raises(TapestryError) as raised:
        Catalogue([name])
    assert raised.value.code is ErrorCode.MODEL_NOT_FOUND
