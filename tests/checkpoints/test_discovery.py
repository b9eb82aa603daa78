"""Checkpoints are found where other programs keep them; nothing is loaded, copied or fetched."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from tapestry_backend.checkpoints import catalogue as catalogue_module
from tapestry_backend.checkpoints import discovery as discovery_module
from tapestry_backend.checkpoints.adapter_catalogue import AdapterCatalogue
from tapestry_backend.checkpoints.adapter_recognition import read_adapter
from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.discovery import (
    adapter_folders,
    discover,
    entries_for,
    told_apart,
)
from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_backend.cli import main
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.sentences import quoted
from tests.checkpoints.closed_folders import close_folder
from tests.checkpoints.plain_loras import lora_of_width
from tests.models.tiny_checkpoints import (
    qwen3,
    save_checkpoint,
    save_tokenizers,
    save_xl,
    t5_tokenizer,
)
from tests.models.tiny_files import Built, build, save_file
from tests.models.tiny_gguf import llama_names, save_gguf

FACTS = {"id", "family", "variant", "path", "size_bytes", "dtype", "window_px"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny checkpoints to link to: one file of each kind that matters here, and a folder."""
    folder = tmp_path_factory.mktemp("stock")
    save_file(build("sd1"), folder / "dream.safetensors", torch.half)
    own = {k: t for k, t in build("sd1").tensors.items() if k.startswith("first_stage_model.")}
    save_file(Built({}, own), folder / "vae.safetensors", torch.half)
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
    (tmp_path / "models").mkdir()
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


def test_packed_checkpoints_are_found_with_what_belongs_to_them(
    stock: Path, tmp_path: Path
) -> None:
    """A transformer and a language model as GGUF, an autoencoder and CLIP as safetensors."""
    program = tmp_path / "ComfyUI"
    models, tensors = program / "models", build("flux").tensors
    for name in ("ae", "clip_l"):
        place = models / {"ae": "vae", "clip_l": "text_encoders"}[name]
        link(stock, f"{name}.safetensors", place / f"{name}.safetensors")
    backbone, t5 = (
        {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        for prefix in ("model.diffusion_model.", "text_encoders.t5xxl.transformer.")
    )
    save_gguf(backbone, models / "unet" / "flux1-dev-Q8_0.gguf")
    talker = models / "text_encoders" / "t5xxl-Q8_0.gguf"
    save_gguf(llama_names(t5, "t5"), talker, architecture="t5encoder")
    unet = {"input_blocks.0.0.weight": torch.ones(4, 32)}
    save_gguf(unet, models / "unet" / "other.gguf", architecture="sdxl")
    search = discover([program])
    (entry,) = search.entries

    assert (entry.id, entry.family, entry.dtype) == ("flux1-dev-Q8_0", "flux", "q8_0")
    assert entry.component_files["text_encoder_2"] == talker
    assert [each.path.name for each in search.problems] == ["other.gguf"]
    assert "is no checkpoint that Tapestry can run" in str(search.problems[0])


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
    own, program, big = tmp_path / "models", tmp_path / "ComfyUI", tmp_path / "big disk"
    for folder in (program / "models" / "checkpoints", program / "models" / "loras", big / "mine"):
        folder.mkdir(parents=True)
    text = f"a111:\n  base_path: {big}\n  loras: mine\n"
    (program / "extra_model_paths.yaml").write_text(text)

    beside = program / "models" / "checkpoints"
    assert adapter_folders([program]) == [own, program / "models" / "loras", big / "mine", beside]
    assert adapter_folders([big]) == [own, big]


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
    prefix = "text_encoders.t5xxl.transformer."
    tensors = build("flux").tensors.items()
    t5 = {k.removeprefix(prefix): t for k, t in tensors if k.startswith(prefix)}
    wide = {k: torch.cat([t, t], dim=-1) if t.ndim == 2 else t for k, t in t5.items()}
    bias = t5["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    of_each = {"encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight": bias}
    for name, part in (("byt5_small", wide), ("a_umt5_xxl", t5 | of_each)):  # others' encoders
        save_file(Built({}, part), program / f"models/text_encoders/{name}.safetensors", torch.half)
    (entry,) = discover([program]).entries

    assert (entry.id, entry.family) == ("flux1-dev", "flux")
    assert entry.component_files["text_encoder_2"].stem == "t5xxl_fp16"
    assert entry.size_bytes > entry.path.stat().st_size
    (named,) = entries_for([str(entry.path)])
    assert (named.id, named.component_files) == (str(entry.path), entry.component_files)
    model = ModelCache(Catalogue(found=[entry]), "cpu").load("flux1-dev")
    latents = torch.zeros(1, 16, 8, 8)
    conditions = model.encode_prompts(["a fox"], [3.5])
    assert bool(torch.isfinite(model.predict(latents, torch.tensor(500.0), conditions)).all())


def test_a_language_model_is_taken_where_its_width_is_read(stock: Path, tmp_path: Path) -> None:
    """Z-Image as ComfyUI keeps it, beside a Qwen3 of another size; its tokenizer is asked for."""
    program = tmp_path / "ComfyUI"
    built, names = build("z_image"), {"other": "other", "qwen_3_4b": "text_encoders.qwen3_4b."}
    link(stock, "ae.safetensors", program / "models/vae/ae.safetensors")
    for name, prefix in {"z_image_turbo_bf16": "model.diffusion_model.", **names}.items():
        folder = "text_encoders" if name in names else "diffusion_models"
        bare = prefix if "diffusion" in prefix else f"{prefix}transformer."
        part = {key.removeprefix(bare): t for key, t in built.tensors.items() if prefix in key}
        if name == "other":
            part = {f"model.{key}": t for key, t in qwen3(32).model.state_dict().items()}
        path = program / f"models/{folder}/{name}.safetensors"
        save_file(Built({}, part), path, torch.half)
    (entry,) = discover([program]).entries

    assert (entry.family, entry.variant) == ("z_image", "turbo")
    assert entry.component_files["text_encoder"].stem == "qwen_3_4b"
    catalogue = Catalogue(found=[entry])
    request = Request("generate", 64, 64, "snow", model=entry.id)
    with pytest.raises(TapestryError, match="needs the tokenizer of Qwen") as caught:
        catalogue.check(request)
    assert "tokenizer of Z-Image" in caught.value.advice
    save_tokenizers(tmp_path / "models")
    catalogue.check(request)
    model = ModelCache(catalogue, "cpu").load(entry.id)
    latents, conditions = torch.zeros(1, 16, 8, 8), model.encode_prompts(["a fox"])
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

    assert entry.component_files["vae"].name == "vae-ft-mse-840000.safetensors"


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


def test_a_broken_checkpoint_is_left_out_with_a_sentence(
    stock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A truncated file and a pickle stop nothing else from being listed."""
    own = tmp_path / "models"
    link(stock, "dream.safetensors", own / "good.safetensors")
    (own / "cut.safetensors").write_bytes((stock / "dream.safetensors").read_bytes()[:-10])
    (own / "old.ckpt").write_bytes(b"PK")
    assert main(["models"]) == 0
    said = capsys.readouterr()

    listed = [line.split("\t")[0] for line in said.out.splitlines()]
    assert listed == ["sample", "sample-edit", "good"]
    assert said.err.count("left out:") == 2
    assert "pickle" in said.err


def test_found_checkpoints_are_listed_as_json(
    stock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For other programs: every fact, and nothing but JSON."""
    link(stock, "dream.safetensors", tmp_path / "somewhere" / "dream.safetensors")
    assert main(["models", "--json", "--folder", str(tmp_path / "somewhere")]) == 0
    sample, editor, dream = json.loads(capsys.readouterr().out)

    assert set(dream) == FACTS
    assert sample["id"] == "sample"
    assert (editor["id"], editor["variant"]) == ("sample-edit", "instruct")
    assert (dream["family"], dream["variant"], dream["dtype"]) == ("sd1", "base", "float16")
    assert dream["size_bytes"] == (stock / "dream.safetensors").stat().st_size


def reasons(*folders: Path) -> dict[str, str]:
    """Why something is left out, by its name on the disk."""
    return {each.path.name: str(each) for each in discover(folders).problems}


def cached(
    hub: Path, name: str, missing: tuple[str, ...] = (), pickled: tuple[str, ...] = ()
) -> None:
    """The bundled model as the hub's client keeps it; what is missing was on its way."""
    sample = Catalogue().find("sample").path
    repository = hub / f"models--test--{name}"
    snapshot = repository / "snapshots" / "c0ffee"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("c0ffee")
    (repository / "blobs").mkdir()
    for number, file in enumerate(sorted(path for path in sample.rglob("*") if path.is_file())):
        place = file.relative_to(sample)
        blob = repository / "blobs" / f"{number:040}"
        if missing and place.as_posix().startswith(missing):
            blob.with_suffix(".incomplete").write_bytes(b"x")
            continue
        blob.write_bytes(file.read_bytes())
        target = snapshot / place
        if pickled and place.as_posix().startswith(pickled):
            target = target.with_suffix(".bin")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(os.path.relpath(blob, target.parent))


def test_a_model_that_was_fetched_in_part_is_told_of_and_not_offered(tmp_path: Path) -> None:
    """Whatever is missing: weights, tokenizer, index, everything; and one with pickles alone."""
    hub = tmp_path / "hub"
    cached(hub, "whole")
    cached(hub, "no-unet", missing=("unet/diffusion",))
    cached(hub, "no-config", missing=("vae/config",))
    cached(hub, "no-tokenizer", missing=("tokenizer/",))
    cached(hub, "no-words", missing=("tokenizer/tokenizer.json", "tokenizer/vocab", "tokenizer/me"))
    cached(hub, "no-index", missing=("model_index",))
    cached(hub, "nothing", missing=("",))
    cached(hub, "pickles", pickled=("unet/diffusion", "vae/diffusion", "text_encoder/model"))
    (hub / "models--test--words" / "snapshots" / "a").mkdir(parents=True)
    save_file(Built({}, {"lm_head": torch.ones(1)}), hub / "models--test--words/snapshots/a/m.sft")
    assert found() == {"test/whole": "sd1"}
    told = "\n".join(map(str, discover().problems))

    for part in ("unet/diffusion_pytorch_model.safetensors", "vae/config.json", "/tokenizer"):
        assert f"{part} is missing" in told
    assert "no-index" in told
    assert "“test/nothing” has not been fetched to its end" in told
    assert "no-words" in told
    assert "unet holds pickles alone" in told
    assert "words" not in told.replace("no-words", "")  # a model of another kind is no loss


def test_a_folder_without_rights_stops_nothing_else(
    stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model in the hub's cache, a folder among others, a named folder, and one that is gone."""
    own, hub = tmp_path / "models", tmp_path / "hub"
    link(stock, "dream.safetensors", own / "open" / "dream.safetensors")
    link(stock, "dream.safetensors", own / "shut" / "other.safetensors")
    cached(hub, "locked")
    (tmp_path / "disk").mkdir()
    for folder in (own / "shut", hub / "models--test--locked", tmp_path / "disk"):
        close_folder(monkeypatch, folder)
    named = (tmp_path / "disk" / "models", tmp_path / "gone", Path("~nobody-here/more"))
    told = reasons(*named)

    assert found(*named) == {"open/dream": "sd1"}
    assert "Permission denied" in told["shut"]
    assert "Permission denied" in told["snapshots"]
    assert "There is no folder" in told["gone"]
    assert len([each for each in told.values() if "/disk/models" in each]) == 1
    assert main(["models", "--folder", str(named[0])]) == 0
    assert told_apart([str(named[0])]) == ([str(named[0])], [])


def test_names_are_judged_as_those_that_somebody_gives(stock: Path, tmp_path: Path) -> None:
    """What cannot travel is left out; what is long, or taken, has another name."""
    own = tmp_path / "models"
    deep = own / "a" / ("b" * 100) / ("c" * 100)
    link(stock, "dream.safetensors", deep / "dream.SAFETENSORS")
    shutil.copytree(stock / "xl", own / "sample")
    link(stock, "flux-all.safetensors", own / ("d" * 210 + ".safetensors"))
    latin = own / os.fsdecode(b"caf\xe9")
    with suppress(OSError):  # where a file system takes no such name, there is none to be found
        latin.symlink_to(stock / "xl", target_is_directory=True)
    told = {each.path.name[:6]: str(each) for each in discover().problems}

    assert found() == {"dream": "sd1", str(own / "sample"): "sdxl"}
    assert "has 210 characters" in told["dddddd"]
    if latin.is_symlink():
        (reason,) = (reason for name, reason in told.items() if name.startswith("caf"))
        assert "not written in UTF-8" in reason
        assert reason.isprintable()


def test_a_file_that_is_no_checkpoint_is_reported_unless_it_is_something_else(
    stock: Path, tmp_path: Path
) -> None:
    """Files of other formats, models of other kinds, links to nothing; no adapters."""
    own = tmp_path / "models"
    link(stock, "ae.safetensors", own / "ae.safetensors")
    link(stock, "xl", own / "whole")
    save_file(Built({}, {"a.b": torch.ones(1), "c.d": torch.ones(2)}), own / "strange.safetensors")
    save_file(Built({}, {"emb_params": torch.ones(1, 768)}), own / "gloom.safetensors")
    (own / "packed.gguf").write_bytes(b"GGUF")
    (own / "old.CKPT").write_bytes(b"PK")
    (own / "rest.safetensors.crdownload").write_bytes(b"x")
    link(stock, "never-there.safetensors", own / "lost.safetensors")

    assert found() == {"whole": "sdxl"}
    assert {
        name: reason.partition(". ")[0].split("” ", 1)[-1] for name, reason in reasons().items()
    } == {
        "ae.safetensors": "is a text encoder or an autoencoder, which belongs into the folder "
        "text_encoders or vae",
        "strange.safetensors": "is neither a checkpoint nor an adapter that Tapestry knows: it "
        "holds “a.b”",
        "packed.gguf": "cannot be opened: packed.gguf ends inside its header",
        "old.CKPT": "is a pickle, which can run any program when it is opened",
        "rest.safetensors.crdownload": "has not been fetched to its end",
        "lost.safetensors": "is not there, or leads to something that is not there",
    }


def everything(*folders: Path) -> Catalogue:
    """As the backend starts with it."""
    search = discover(folders)
    return Catalogue(
        found=search.entries,
        adapter_folders=adapter_folders(folders),
        problems=search.problems,
        components=search.components,
    )


def test_a_file_in_another_kinds_folder_is_offered_or_reported(stock: Path, tmp_path: Path) -> None:
    """Adapters among checkpoints are offered; the rest is reported, with where it belongs."""
    program, models = tmp_path / "ComfyUI", tmp_path / "ComfyUI" / "models"
    word = Built({}, {"emb_params": torch.ones(1, 768)})
    for name in ("checkpoints", "diffusion_models"):
        (models / name).mkdir(parents=True)
    lora_of_width(models / "checkpoints" / "ink.safetensors", 768)
    lora_of_width(models / "diffusion_models" / "pen.safetensors", 768)
    save_file(word, models / "checkpoints" / "gloom.safetensors")
    save_file(word, program / "murk.safetensors")
    link(stock, "dream.safetensors", program / "loose.safetensors")
    link(stock, "flux-all.safetensors", models / "loras" / "flux-all.safetensors")
    link(stock, "ae.safetensors", models / "loras" / "ae.safetensors")
    link(stock, "clip_l.safetensors", models / "checkpoints" / "clip_l.safetensors")
    link(stock, "t5xxl_fp16.safetensors", models / "text_encoders" / "t5xxl_fp16.safetensors")
    link(stock, "xl", models / "diffusers" / "xl")
    for name in ("vae/old.ckpt", "vae/older.pt", "text_encoders/t5.GGUF", "ipadapter/plus.bin"):
        (models / name).parent.mkdir(exist_ok=True)
        (models / name).write_bytes(b"x")
    catalogue = everything(program)
    told = {each.path.name: each.message for each in catalogue.left_out}

    assert [entry.id for entry in catalogue.entries] == ["sample", "sample-edit", "loose", "xl"]
    assert {"ink", "pen", "gloom"} <= {info.id for info in catalogue.adapters.infos}
    assert told.keys() == {
        *("murk.safetensors", "flux-all.safetensors", "ae.safetensors", "clip_l.safetensors"),
        *("old.ckpt", "older.pt", "t5.GGUF", "plus.bin"),
    }
    assert "belongs into a folder such as loras" in told["murk.safetensors"]
    assert "belongs into the folder checkpoints" in told["flux-all.safetensors"]
    assert "belongs into the folder text_encoders or vae" in told["ae.safetensors"]
    assert "belongs into the folder text_encoders or vae" in told["clip_l.safetensors"]
    assert "is a pickle" in told["old.ckpt"]
    assert "t5.GGUF ends inside its header" in told["t5.GGUF"]


def test_a_file_called_config_json_makes_no_adapter_of_a_folder(
    stock: Path, tmp_path: Path
) -> None:
    """What lies beside it is looked at; an unfinished network is reported for the whole folder."""
    checkpoints = tmp_path / "ComfyUI" / "models" / "checkpoints"
    link(stock, "dream.safetensors", checkpoints / "dream" / "dream.safetensors")
    (checkpoints / "ink").mkdir()
    lora_of_width(checkpoints / "ink" / "ink.safetensors", 768)
    (checkpoints / "talker").mkdir()
    for folder, config in [("dream", "{}"), ("ink", "{}"), ("talker", '{"model_type": "llama"}')]:
        (checkpoints / folder / "config.json").write_text(config)
    catalogue = everything(tmp_path / "ComfyUI")

    assert [entry.id for entry in catalogue.entries] == ["sample", "sample-edit", "dream/dream"]
    assert "ink/ink" in {info.id for info in catalogue.adapters.infos}
    assert [each.path.name for each in catalogue.left_out] == ["talker"]


def test_an_autoencoder_beside_its_checkpoint_is_in_its_place(stock: Path, tmp_path: Path) -> None:
    """As A1111 has them; not one without its checkpoint, and none in its own folder is reported."""
    own = tmp_path / "models"
    link(stock, "dream.safetensors", own / "dream.safetensors")
    link(stock, "vae.safetensors", own / "dream.vae.safetensors")
    link(stock, "ae.safetensors", own / "vae" / "another.safetensors")
    link(stock, "t5xxl_fp16.safetensors", own / "text_encoders" / "t5" / "model.safetensors")
    (own / "text_encoders" / "t5" / "config.json").write_text('{"model_type": "t5"}')
    assert not everything().left_out
    shutil.copy(stock / "ae.safetensors", own / "gone.vae.safetensors")
    assert [each.path.name for each in everything().left_out] == ["gone.vae.safetensors"]


@pytest.mark.parametrize(
    ("name", "tensors", "reason"),
    [
        ("ip", {"image_proj.x": (1,), "ip_adapter.1.to_k_ip.weight": (2, 768)}, "another build"),
        ("lllite", {"lllite_unet_x.weight": (2, 2)}, "ControlNet-LLLite"),
        ("none", {"lora_unet_x.alpha": (1,)}, "beside a LoRA's changes"),
    ],
)
def test_a_broken_adapter_is_reported_wherever_it_lies(
    tmp_path: Path, name: str, tensors: dict[str, tuple[int, ...]], reason: str
) -> None:
    """The same sentence as it gets where it is named."""
    file = tmp_path / "models" / f"{name}.safetensors"
    save_file(Built({}, {key: torch.ones(shape) for key, shape in tensors.items()}), file)
    (told,) = discover().problems
    assert reason in told.message
    with pytest.raises(TapestryError) as named:
        read_adapter(file)
    assert named.value.message == told.message


@pytest.mark.parametrize(
    "name",
    [
        *("a.safetensors.crdownload", "Unconfirmed 12.crdownload", "b.ckpt.part", "c.part"),
        *("d.safetensors.aria2", "e.gguf.tmp", "f.SAFETENSORS.PART"),
    ],
)
def test_an_unfinished_download_is_reported(tmp_path: Path, name: str) -> None:
    """However browsers call it."""
    (tmp_path / "models" / name).write_bytes(b"x")
    assert "fetched to its end" in reasons()[name]


def test_a_model_without_its_index_is_told_of_as_one(stock: Path, tmp_path: Path) -> None:
    """Wherever it lies: its parts are neither checkpoints nor adapters."""
    for place in (tmp_path / "models" / "inner", tmp_path / "named"):
        shutil.copytree(stock / "xl", place)
        (place / "model_index.json").unlink()
    problems = discover([tmp_path / "named"]).problems
    assert [problem.path.name for problem in problems] == ["inner", "named"]
    assert all("model_index.json is missing" in str(problem) for problem in problems)
    adapters = AdapterCatalogue([], [tmp_path / "models"])
    assert [each.path.name for each in adapters.left_out_beside([])] == ["inner"]


def test_a_part_of_a_model_in_a_programs_folder_hides_nothing(stock: Path, tmp_path: Path) -> None:
    """People put a transformer with its configuration where files of that kind belong."""
    models = tmp_path / "models"
    for part in ("unet", "vae"):
        (models / part).mkdir(parents=True)
        (models / part / "config.json").write_text("{}")
    link(stock, "dream.safetensors", models / "checkpoints" / "dream.safetensors")
    assert [entry.id for entry in discover([models]).entries] == ["dream"]


@pytest.mark.parametrize("beside", ["model_index.json", "unet/config.json"])
def test_what_lies_beside_a_broken_model_is_offered(
    stock: Path, tmp_path: Path, beside: str
) -> None:
    """The model itself is reported."""
    checkpoints = tmp_path / "models" / "checkpoints"
    for folder in ("unet", "scheduler", "mine"):
        (checkpoints / folder).mkdir(parents=True)
    (checkpoints / beside).write_text("{}")
    link(stock, "dream.safetensors", checkpoints / "dream.safetensors")
    shutil.copy(stock / "flux-all.safetensors", checkpoints / "mine" / "flux.safetensors")
    found = discover()
    assert [entry.id for entry in found.entries] == ["dream", "mine/flux"]
    assert "model_index.json" in found.problems[0].message + found.problems[0].advice


@pytest.mark.parametrize("named", ["a file", "nowhere", "a:b"])
def test_the_variable_that_names_no_folder_is_told(tmp_path: Path, monkeypatch, named: str) -> None:
    """Otherwise the reason for the missing models is unknown."""
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / named))
    (problem,) = discover().problems
    assert problem.message == (
        f"There is no folder {quoted(tmp_path / named)}, which the variable TAPESTRY_MODELS names."
    )


@pytest.mark.parametrize("named", ['"{}"', "'{}'", " {} ", "$ROOM/models", "~/models"])
def test_the_variable_may_be_quoted_and_hold_others(
    stock: Path, tmp_path: Path, monkeypatch, named: str
) -> None:
    """On Windows, quotes around a path are part of it."""
    for variable in ("ROOM", "HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv(MODELS_VARIABLE, named.format(tmp_path / "models"))
    link(stock, "dream.safetensors", tmp_path / "models" / "dream.safetensors")
    assert [entry.id for entry in discover().entries] == ["dream"]


def test_folders_that_lie_too_deep_are_one_sentence(tmp_path: Path) -> None:
    """With their number and the first of them."""
    for number in range(9):
        (tmp_path / "models" / "a" / "b" / "c" / "d" / "e" / f"{number}").mkdir(parents=True)
    (problem,) = discover().problems
    assert "9 folders lie deeper" in problem.sentence
    assert str(Path("e") / "0") in problem.sentence


def test_component_files_of_no_use_are_reported(stock: Path, tmp_path: Path) -> None:
    """Also where nothing lacks it."""
    own = tmp_path / "models"
    (own / "vae").mkdir(parents=True)
    link(stock, "ae.safetensors", own / "vae" / "ae.safetensors")
    strange = {"a.b": torch.ones(1), "c.d": torch.ones(2)}
    save_file(Built({}, strange), own / "vae" / "strange.safetensors")
    assert "nor an autoencoder that Tapestry knows" in reasons()["strange.safetensors"]


def test_an_unforeseen_error_in_one_checkpoint_stops_no_other(
    stock: Path, tmp_path: Path, monkeypatch
) -> None:
    """A checkpoint that fails in a way of its own is left out and named."""
    whole = discovery_module.read_checkpoint_at

    def reads(model_id: str, path: Path, helpers: dict[str, Path]) -> object:
        if path.stem == "odd":
            raise IndexError("list index out of range")
        return whole(model_id, path, helpers)

    monkeypatch.setattr(discovery_module, "read_checkpoint_at", reads)
    (tmp_path / "all").mkdir()
    for name in ("good", "odd"):
        shutil.copy(stock / "dream.safetensors", tmp_path / "all" / f"{name}.safetensors")
    search = discover([tmp_path / "all"])

    assert [entry.id for entry in search.entries] == ["good"]
    assert ["could not be read" in each.message for each in search.problems] == [True]


@pytest.mark.parametrize("name", ["model_index.json", "unet/config.json", "vae/config.json"])
@pytest.mark.parametrize("content", ["{}", "[]", '{"sample_size": "x", "_class_name": 7}', "{"])
def test_no_sentence_names_a_class_of_ours(
    stock: Path, tmp_path: Path, name: str, content: str
) -> None:
    """Whatever a configuration lacks."""
    shutil.copytree(stock / "xl", tmp_path / "models" / "odd")
    (tmp_path / "models" / "odd" / name).write_text(content)
    told = " ".join(reasons().values())
    assert told or (name, content) == ("unet/config.json", "{}")  # all as usual, that is
    assert not re.search(r"\w+Error|None", told)


def test_the_list_tells_of_each_once(
    stock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    """A plain folder is looked through for checkpoints, what they lack, and adapters."""
    own = tmp_path / "models"
    link(stock, "flux-all.safetensors", own / "flux.safetensors")
    link(stock, "ae.safetensors", own / "vae" / "ae.safetensors")
    (own / "torn.safetensors").write_bytes(b"torn")
    (own / "words.pt").write_bytes(b"PK")
    for number in range(4):
        (own / f"{number}").mkdir()
        shutil.copy(stock / "dream.safetensors", own / f"{number}" / "d.safetensors")
    monkeypatch.setattr(catalogue_module, "MAX_MODELS", 5)
    assert main(["models"]) == 0
    said = capsys.readouterr()

    assert [line.split("\t")[0] for line in said.out.splitlines()] == [
        "sample",
        "sample-edit",
        "0/d",
        "1/d",
        "2/d",
    ]
    left_out = [line for line in said.err.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == 3
    assert "2 models more than a list holds are left out: “3/d” to “flux”" in left_out[0]


def test_looking_needs_no_torch(stock: Path, tmp_path: Path) -> None:
    """The server lists models; only a worker loads one."""
    link(stock, "dream.safetensors", tmp_path / "models" / "dream.safetensors")
    code = (
        "import sys; from tapestry_backend.checkpoints.discovery import adapter_folders, discover; "
    )
    code += "print(len(discover().entries), 'torch' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )

    assert told.stdout.split() == ["1", "False"]


def test_what_macos_notes_beside_files_is_no_model(stock: Path, tmp_path: Path) -> None:
    """On other disks it lies beside each file, with "._" before its name."""
    own = tmp_path / "models"
    link(stock, "dream.safetensors", own / "checkpoints" / "dream.safetensors")
    link(stock, "lora.safetensors", own / "loras" / "._shown.safetensors")
    for place in (own, own / "checkpoints", own / "loras", own / "vae", tmp_path / "loose"):
        place.mkdir(exist_ok=True)
        (place / "._dream.safetensors").write_bytes(b"\0\x05\x16\x07\0\2\0\0Mac OS X        ")
    catalogue = everything(tmp_path / "loose")

    assert [entry.id for entry in catalogue.entries] == ["sample", "sample-edit", "dream"]
    assert not catalogue.left_out


def test_a_checkpoint_that_lacks_tensors_is_told_of_as_where_it_is_used(tmp_path: Path) -> None:
    """It is no text encoder that lies in the wrong folder, though it has a whole one."""
    whole = build("sd1").tensors
    mark = "model.diffusion_model.input_blocks.0.0.weight"
    cut = tmp_path / "models" / "cut.safetensors"
    save_file(Built({}, {k: t for k, t in whole.items() if k != mark}), cut, torch.half)
    with pytest.raises(TapestryError, match="is no checkpoint that Tapestry can run") as raised:
        Catalogue([str(cut)])

    assert mark in whole
    assert reasons() == {"cut.safetensors": str(raised.value)}
