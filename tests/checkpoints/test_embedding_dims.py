"""What adapters have to fit, told before anything is loaded: from folders and from single files."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file as save_tensors

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.embedding_dims import EmbeddingDims, read_embedding_dims
from tapestry_backend.checkpoints.families import FAMILIES
from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Region, Request
from tapestry_protocol.sentences import quoted
from tests.checkpoints.plain_loras import lora_of_width
from tests.models.adapters.parts import region
from tests.models.tiny_checkpoints import save_3, save_checkpoint, save_flux, save_xl, t5_tokenizer
from tests.models.tiny_files import build, save_file

WORDS = {
    "sd1": (64,),
    "sd2": (64,),
    "sdxl": (64, 64),
    "sd3": (64, 64),
    "flux": (64,),
    "z_image": (),
    "flux2": (),
    "chroma": (),
    "qwen_image": (),
}
TEXTS = {"sd1": 64, "sd2": 64, "sdxl": 128}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_says_how_wide_its_texts_are(tmp_path: Path, family: str) -> None:
    """By the shapes in its header; no embedding is trained for T5 or Qwen."""
    path = save_file(build(family), tmp_path / "it.safetensors", torch.half)

    assert read_embedding_dims(path, {}) == EmbeddingDims(TEXTS.get(family), WORDS[family])


def test_a_folder_says_how_wide_its_texts_are(tmp_path: Path) -> None:
    """By its configurations."""
    assert read_embedding_dims(save_checkpoint(tmp_path / "1"), {}) == EmbeddingDims(32, (32,))
    assert read_embedding_dims(save_xl(tmp_path / "xl"), {}) == EmbeddingDims(64, (32, 32))
    assert read_embedding_dims(save_3(tmp_path / "3"), {}) == EmbeddingDims(None, (32, 32))
    assert read_embedding_dims(save_flux(tmp_path / "flux"), {}) == EmbeddingDims(None, (32,))


def test_an_unreadable_file_has_no_dimensions(tmp_path: Path) -> None:
    """Others say what is wrong with it."""
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps([1]))

    for path in (tmp_path / "torn.safetensors", tmp_path, tmp_path / "nowhere"):
        assert read_embedding_dims(path, {}) == EmbeddingDims(None, ())


@pytest.mark.parametrize("stored", ["file", "folder"])
def test_a_lora_of_another_width_is_refused_at_once(tmp_path: Path, stored: str) -> None:
    """Also where the width is no family's."""
    if stored == "file":
        model = save_file(build("sdxl"), tmp_path / "xl.safetensors", torch.half)
    else:
        model = save_xl(tmp_path / "xl")
    lora_of_width(tmp_path / "odd.safetensors", 96)
    catalogue = Catalogue([str(model)], adapters=[str(tmp_path / "odd.safetensors")])
    request = Request("generate", 64, 64, "snow", model=str(model), loras=(Lora("odd"),))
    with pytest.raises(TapestryError, match="The LoRA “odd” was made for"):
        catalogue.check(request)


def in_prompt(model: str) -> Request:
    """It is named in the picture's prompt."""
    return Request("generate", 64, 64, "snow, <gloom>", model=model)


def in_region(model: str) -> Request:
    """In what a region does not want."""
    own, _ = region(0, 64, negative_prompt="<gloom>")
    assert isinstance(own, Region)
    return Request("generate", 64, 64, "snow", regions=(own,), model=model)


def in_style(model: str) -> Request:
    """In the style."""
    return Request("generate", 64, 64, "snow", style="(<gloom>:1.2)", model=model)


@pytest.mark.parametrize("asked", [in_prompt, in_region, in_style])
@pytest.mark.parametrize("stored", ["file", "folder"])
def test_a_word_of_another_model_is_refused_at_once(tmp_path: Path, stored: str, asked) -> None:
    """Wherever it stands; one that is not named does no harm."""
    if stored == "file":
        model, width = save_file(build("sd1"), tmp_path / "old.safetensors", torch.half), 64
    else:
        model, width = save_checkpoint(tmp_path / "old"), 32
    words = tmp_path / "gloom.safetensors"
    for wide, fits in ((1280, False), (width, True)):
        save_tensors({"emb_params": torch.zeros(1, wide)}, words)
        catalogue = Catalogue([str(model)], adapters=[str(words)])
        catalogue.check(Request("generate", 64, 64, "snow", model=str(model)))
        if fits:
            catalogue.check(asked(str(model)))
            continue
        with pytest.raises(TapestryError, match="The embedding “gloom” was made for"):
            catalogue.check(asked(str(model)))


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_without_t5s_words_it_says_at_once_what_to_get_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """The one thing that files of these lack and Tapestry does not bring; found without loading."""
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    path = save_file(build(family), tmp_path / "it.safetensors", torch.half)
    catalogue = Catalogue([str(path)])
    request = Request("generate", 64, 64, "snow", model=str(path))
    monkeypatch.setattr(ModelCache, "load", lambda *_: pytest.fail("something was loaded"))
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("it asked somebody"))
    with pytest.raises(TapestryError, match="needs the tokenizer of T5") as caught:
        catalogue.check(request)

    home = tmp_path / "models" / "tokenizers" / "t5"
    assert caught.value.code is ErrorCode.MODEL_BROKEN
    for said in ("tokenizer.json", "tokenizer_2 of FLUX.1", "huggingface.co", quoted(home)):
        assert said in caught.value.advice
    home.mkdir(parents=True)
    t5_tokenizer().save_pretrained(home)
    catalogue.check(request)


def test_t5s_words_are_found_in_a_model_that_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `tapestry models add` puts it into our own folder."""
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    path = save_file(build("flux"), tmp_path / "files" / "it.safetensors", torch.half)
    save_flux(tmp_path / "models" / "somebody" / "flux")
    Catalogue([str(path)]).check(Request("generate", 64, 64, "snow", model=str(path)))


def test_without_t5_none_of_its_words_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of Stable Diffusion 3 may do without."""
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    built = build("sd3")
    for name in [name for name in built.tensors if name.startswith("text_encoders.t5xxl.")]:
        del built.tensors[name]
    path = save_file(built, tmp_path / "it.safetensors", torch.half)
    Catalogue([str(path)]).check(Request("generate", 64, 64, "snow", model=str(path)))
