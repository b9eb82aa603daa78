"""Checkpoints are found where other programs keep them; nothing is loaded, copied or fetched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tapestry_backend.cli import main
from tapestry_backend.models.catalogue import Catalogue
from tapestry_backend.models.discovery import adapter_folders, discover, told_apart
from tapestry_backend.models.places import MODELS_VARIABLE
from tapestry_backend.models.store import ModelStore
from tests.models.tiny_checkpoints import save_checkpoint, save_xl, t5_tokenizer
from tests.models.tiny_files import Built, build, save_file

FACTS = {"id", "family", "variant", "path", "size_bytes", "dtype", "window_px"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny checkpoints to link to: one file of each kind that matters here, and a folder."""
    folder = tmp_path_factory.mktemp("stock")
    save_file(build("sd1"), folder / "dream.safetensors", torch.half)
    flux = build("flux")
    save_file(flux, folder / "flux-all.safetensors", torch.half)
    for name, prefix, bare in [
        ("flux1-dev", "model.diffusion_model.", ""),
        ("ae", "vae.", ""),
        ("clip_l", "text_encoders.clip_l.transformer.", ""),
        ("t5xxl_fp16", "text_encoders.t5xxl.transformer.", ""),
    ]:
        part = {bare + k.removeprefix(prefix): t for k, t in flux.tensors.items() if prefix in k}
        save_file(Built({}, part), folder / f"{name}.safetensors", torch.half)
    save_file(Built({}, {"lora_unet.alpha": torch.ones(1)}), folder / "lora.safetensors")
    save_xl(folder / "xl")
    return folder


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer without any models."""
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def link(stock: Path, name: str, place: Path) -> Path:
    """A symbolic link to something in stock."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(stock / name, target_is_directory=(stock / name).is_dir())
    return place


def found(*folders: Path) -> dict[str, str]:
    """The family of each model that is found, by its id."""
    return {entry.id: entry.family for entry in discover(folders).entries}


def test_our_own_folder_holds_files_and_folders(stock: Path, tmp_path: Path) -> None:
    """At any depth, through links; what is no checkpoint is left out."""
    own = tmp_path / "models"
    link(stock, "dream.safetensors", own / "painterly" / "dream.safetensors")
    link(stock, "xl", own / "xl")
    link(stock, "lora.safetensors", own / "loras" / "lora.safetensors")
    link(stock, "dream.safetensors", own / "again.safetensors")

    assert found() == {"again": "sd1", "xl": "sdxl"}  # the same file once


def test_the_hubs_cache_is_looked_through(tmp_path: Path) -> None:
    """By the snapshot that its branch names."""
    model = tmp_path / "hub" / "models--somebody--tiny"
    save_checkpoint(model / "snapshots" / "abc")
    (model / "snapshots" / "older").mkdir()
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("abc")

    assert found() == {"somebody/tiny": "sd1"}


@pytest.mark.parametrize(
    "place", ["models/Stable-diffusion", "models/checkpoints", "checkpoints", "."]
)
def test_programs_keep_them_in_their_own_places(stock: Path, tmp_path: Path, place: str) -> None:
    """A1111 and Forge, ComfyUI, and a plain folder."""
    link(stock, "dream.safetensors", tmp_path / "program" / place / "v1" / "dream.safetensors")

    assert found(tmp_path / "program") == {"v1/dream": "sd1"}


def test_comfyuis_paths_elsewhere_are_followed(stock: Path, tmp_path: Path) -> None:
    """extra_model_paths.yaml: a base, and several folders under one key."""
    program, big = tmp_path / "ComfyUI", tmp_path / "big disk"
    (program / "models" / "checkpoints").mkdir(parents=True)
    link(stock, "dream.safetensors", big / "sd" / "dream.safetensors")
    link(stock, "flux-all.safetensors", big / "more" / "all.sft")
    text = f"a111:\n  base_path: {big}\n  checkpoints: |\n    sd\n    more\n  loras: nowhere\n"
    (program / "extra_model_paths.yaml").write_text(text)

    assert found(program) == {"all": "flux", "dream": "sd1"}


def test_folders_of_adapters(tmp_path: Path) -> None:
    """A program's own, those that ComfyUI's paths name, and a plain folder itself."""
    program, big = tmp_path / "ComfyUI", tmp_path / "big disk"
    for folder in (program / "models" / "checkpoints", program / "models" / "loras", big / "mine"):
        folder.mkdir(parents=True)
    text = f"a111:\n  base_path: {big}\n  loras: mine\n"
    (program / "extra_model_paths.yaml").write_text(text)

    assert adapter_folders([program]) == [program / "models" / "loras", big / "mine"]
    assert adapter_folders([big]) == [big]


@pytest.mark.parametrize("text", ["{", "- 1", "a: [*b]", "a:\n  checkpoints: 7\n", "\0"])
def test_paths_that_cannot_be_read_add_nothing(tmp_path: Path, text: str) -> None:
    """A file that somebody wrote by hand stops nobody."""
    (tmp_path / "extra_model_paths.yaml").write_text(text)

    assert found(tmp_path) == {}


def test_what_a_checkpoint_lacks_is_found_beside_it(stock: Path, tmp_path: Path) -> None:
    """A bare transformer with its text encoders and autoencoder, as ComfyUI keeps them; it runs."""
    program = tmp_path / "ComfyUI"
    link(stock, "flux1-dev.safetensors", program / "models/diffusion_models/flux1-dev.safetensors")
    t5_tokenizer().save_pretrained(program / "comfy/text_encoders/t5_tokenizer")
    problems = discover([program]).problems
    assert len(problems) == 1
    assert "autoencoder" in str(problems[0])
    link(stock, "ae.safetensors", program / "models/vae/ae.safetensors")
    for name in ("clip_l", "t5xxl_fp16"):
        link(stock, f"{name}.safetensors", program / f"models/text_encoders/{name}.safetensors")
    (entry,) = discover([program]).entries

    assert (entry.id, entry.family) == ("flux1-dev", "flux")
    assert entry.size_bytes > entry.path.stat().st_size
    model = ModelStore(Catalogue(found=[entry]), "cpu").load("flux1-dev")
    latents = torch.zeros(1, 16, 8, 8)
    conditions = model.encode_prompts(["a fox"], [3.5])
    assert bool(torch.isfinite(model.predict(latents, torch.tensor(500.0), conditions)).all())


def test_an_autoencoder_of_another_family_is_not_taken(stock: Path, tmp_path: Path) -> None:
    """By its channels, and by its name where those are the same."""
    program = tmp_path / "program"
    built = build("sd1")
    bare = {key: t for key, t in built.tensors.items() if not key.startswith("first_stage")}
    vae = {key: t for key, t in built.tensors.items() if key.startswith("first_stage")}
    save_file(Built({}, bare), program / "models/checkpoints/bare.safetensors", torch.half)
    link(stock, "ae.safetensors", program / "models/vae/ae.safetensors")
    save_file(Built({}, vae), program / "models/vae/sdxl_vae.safetensors", torch.half)
    assert found(program) == {}
    save_file(Built({}, vae), program / "models/vae/some.safetensors", torch.half)
    save_file(Built({}, vae), program / "models/vae/vae-ft-mse-840000.safetensors", torch.half)
    (entry,) = discover([program]).entries

    assert entry.companions["vae"].name == "vae-ft-mse-840000.safetensors"


def test_a_folder_of_models_is_told_from_a_model(stock: Path, tmp_path: Path) -> None:
    """An artist who names a folder may mean either; one that holds nothing gets the sentence."""
    link(stock, "dream.safetensors", tmp_path / "many" / "dream.safetensors")
    (tmp_path / "empty").mkdir()
    names = [str(stock / "xl"), str(tmp_path / "many"), str(tmp_path / "empty"), "owner/name"]
    models, folders = told_apart(names)

    assert models == [names[0], names[2], names[3]]
    assert folders == [tmp_path / "many"]


def test_links_in_a_circle_end(stock: Path, tmp_path: Path) -> None:
    """A folder that holds itself is looked through once."""
    own = tmp_path / "models"
    link(stock, "dream.safetensors", own / "dream.safetensors")
    (own / "self").symlink_to(own, target_is_directory=True)

    assert found() == {"dream": "sd1"}


def test_what_is_broken_is_left_out_with_a_sentence(
    stock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A truncated file and a pickle stop nothing else from being listed."""
    own = tmp_path / "models"
    link(stock, "dream.safetensors", own / "good.safetensors")
    (own / "cut.safetensors").write_bytes((stock / "dream.safetensors").read_bytes()[:-10])
    (own / "old.ckpt").write_bytes(b"PK")
    assert main(["models"]) == 0
    said = capsys.readouterr()

    assert [line.split("\t")[0] for line in said.out.splitlines()] == ["sample", "good"]
    assert said.err.count("left out:") == 2
    assert "pickle" in said.err


def test_they_are_listed_as_json(
    stock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For other programs: every fact, and nothing but JSON."""
    link(stock, "dream.safetensors", tmp_path / "somewhere" / "dream.safetensors")
    assert main(["models", "--json", "--folder", str(tmp_path / "somewhere")]) == 0
    sample, dream = json.loads(capsys.readouterr().out)

    assert set(dream) == FACTS
    assert sample["id"] == "sample"
    assert (dream["family"], dream["variant"], dream["dtype"]) == ("sd1", "base", "float16")
    assert dream["size_bytes"] == (stock / "dream.safetensors").stat().st_size


def test_looking_needs_no_torch(stock: Path, tmp_path: Path) -> None:
    """The server lists models; only a worker loads one."""
    link(stock, "dream.safetensors", tmp_path / "models" / "dream.safetensors")
    code = "import sys; from tapestry_backend.models.discovery import adapter_folders, discover; "
    code += "print(len(discover().entries), 'torch' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )

    assert told.stdout.split() == ["1", "False"]
