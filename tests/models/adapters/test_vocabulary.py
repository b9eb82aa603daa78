"""Textual inversions by their word in a prompt: what diffusers reads, for one encoder or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.models.text.pack_conditioning import unpack
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tests.models.adapters.conftest import near, open_pipeline
from tests.models.tiny_checkpoints import save_xl

WIDTH = 32


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    """Three vectors as A1111 writes them, one as diffusers does, and a pair for two encoders."""
    folder = tmp_path_factory.mktemp("words")
    torch.manual_seed(5)
    save_file({"emb_params": torch.randn(3, WIDTH)}, folder / "gloom.safetensors")
    save_file({"<cat>": torch.randn(WIDTH)}, folder / "pet.safetensors")
    both = {"clip_l": torch.randn(2, WIDTH), "clip_g": torch.randn(2, WIDTH)}
    save_file(both, folder / "mood.safetensors")
    return folder


def store_with(checkpoint: Path, words: Path) -> Any:
    """The checkpoint, freshly loaded, that may learn these."""
    return ModelCache(Catalogue([str(checkpoint)], adapters=[str(words)])).load(str(checkpoint))


def test_words_mean_what_diffusers_reads(checkpoint: Path, words: Path) -> None:
    """One vector or three, anywhere in the prompt; other words stay what they are."""
    pipeline = open_pipeline(checkpoint)
    pipeline.load_textual_inversion(words / "gloom.safetensors", token="<gloom>")
    pipeline.load_textual_inversion(words / "pet.safetensors", token="<cat>")
    model = store_with(checkpoint, words)
    plain = model.encode_prompts(["snow, gloom and cat"])
    for prompt in ("<gloom> snow", "snow, <cat> and <gloom>", "a <cat>, a <cat>"):
        theirs, _ = pipeline.encode_prompt(prompt, "cpu", 1, do_classifier_free_guidance=False)
        near(model.encode_prompts([prompt]), theirs)

    assert torch.equal(model.encode_prompts(["snow, gloom and cat"]), plain)
    assert not torch.equal(model.encode_prompts(["snow, <gloom> and cat"]), plain)


def test_a_word_can_have_a_weight(checkpoint: Path, words: Path) -> None:
    """All its vectors have it."""
    model = store_with(checkpoint, words)
    plain, more = model.encode_prompts(["snow (<gloom>:1.0)", "snow (<gloom>:1.5)"])
    differ = (more != plain).any(dim=-1)

    assert 3 <= int(differ.sum()) <= model.encode_prompts([""]).shape[1]


def test_words_in_a_loras_file_are_words(checkpoint: Path, adapters: Path, tmp_path: Path) -> None:
    """The same as in a file of their own; the LoRA is one too."""
    torch.manual_seed(5)
    vectors = torch.randn(2, WIDTH)
    save_file({"emb_params": vectors}, tmp_path / "alone.safetensors")
    bundled = {
        "bundle_emb.mood.string_to_param.*": vectors,
        **load_file(adapters / "peft.safetensors"),
    }
    save_file(bundled, tmp_path / "style.safetensors")
    catalogue = Catalogue([str(checkpoint)], adapters=[str(tmp_path)])
    assert not [each for each in catalogue.left_out if each.path.parent == tmp_path]
    assert catalogue.adapters.find("style", "lora").kind == "lora"
    model = ModelCache(catalogue).load(str(checkpoint))

    alone, mood, plain = model.encode_prompts(["<alone> snow", "<mood> snow", "mood snow"])
    assert torch.equal(alone, mood)
    assert not torch.equal(mood, plain)


def test_a_word_with_numbers_that_are_none_gets_a_sentence(
    checkpoint: Path, tmp_path: Path
) -> None:
    """It names the file."""
    save_file({"emb_params": torch.full((1, WIDTH), torch.nan)}, tmp_path / "gloom.safetensors")
    model = store_with(checkpoint, tmp_path)
    with pytest.raises(TapestryError, match=r"“gloom.safetensors” cannot be loaded \(1 of its"):
        model.encode_prompts(["<gloom> snow"])


def test_two_encoders_learn_a_vector_each(tmp_path: Path, words: Path) -> None:
    """As Stable Diffusion XL has them."""
    folder = save_xl(tmp_path / "xl")
    pipeline = open_xl(folder)
    pairs = ((pipeline.tokenizer, pipeline.text_encoder, "clip_l"),)
    pairs += ((pipeline.tokenizer_2, pipeline.text_encoder_2, "clip_g"),)
    content = load_file(words / "mood.safetensors")
    for tokenizer, encoder, name in pairs:
        pipeline.load_textual_inversion(
            content[name], token="<mood>", tokenizer=tokenizer, text_encoder=encoder
        )
    states, _, pooled, _ = pipeline.encode_prompt(
        "snow <mood>", device="cpu", do_classifier_free_guidance=False
    )
    model = store_with(folder, words)
    tokens, (own,) = unpack(model.encode_prompts(["snow <mood>"]), (WIDTH,))

    near(tokens, states)
    near(own, pooled)


def open_xl(folder: Path) -> Any:
    """Diffusers' own pipeline."""
    import diffusers

    return diffusers.StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)


def test_an_embedding_for_another_model_gets_a_sentence(checkpoint: Path, words: Path) -> None:
    """When a prompt uses it, and not before."""
    model = store_with(checkpoint, words)
    model.encode_prompts(["snow"])
    with pytest.raises(TapestryError, match=r"The embedding “mood” was made for .* XL") as raised:
        model.encode_prompts(["snow <mood>"])

    assert raised.value.code is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize(("small", "large"), [(3, 2), (2, 3)])
def test_a_pair_may_have_more_vectors_for_one_encoder(
    tmp_path: Path, small: int, large: int
) -> None:
    """Each reads its own and nothing in the place of what the other has besides."""
    save_xl(tmp_path / "xl")
    torch.manual_seed(6)
    vectors = {"clip_l": torch.randn(small, WIDTH), "clip_g": torch.randn(large, WIDTH)}
    save_file(vectors, tmp_path / "odd.safetensors")
    few = min(small, large)
    save_file({k: v[:few].clone() for k, v in vectors.items()}, tmp_path / "even.safetensors")
    model_cache = ModelCache(
        Catalogue(
            [str(tmp_path / "xl")],
            adapters=[str(tmp_path / f"{n}.safetensors") for n in ("odd", "even")],
        )
    )
    model = model_cache.load(str(tmp_path / "xl"))
    odd, even = model.encode_prompts(["<odd> snow"]), model.encode_prompts(["<even> snow"])
    shorter = slice(0, WIDTH) if small == few else slice(WIDTH, None)
    longer = slice(WIDTH, None) if small == few else slice(0, WIDTH)

    assert odd.shape == even.shape
    near(odd[:, : few + 1, shorter], even[:, : few + 1, shorter])
    assert torch.equal(odd[:, few + 1, shorter], even[:, few + 1, shorter])
    assert not torch.equal(odd[:, few + 1, longer], even[:, few + 1, longer])


def test_of_two_that_are_called_alike_the_one_for_the_model_is_read(
    checkpoint: Path, words: Path, tmp_path: Path
) -> None:
    """As people have them: one for each family, in two folders."""
    for name, width in (("a", 48), ("b", WIDTH)):
        (tmp_path / name).mkdir()
        save_file({"emb_params": torch.ones(1, width)}, tmp_path / name / "gloom.safetensors")
    catalogue = Catalogue([str(checkpoint)], adapters=[str(tmp_path)])
    catalogue.check(Request("generate", 64, 64, "<gloom> snow", model=str(checkpoint)))
    model = ModelCache(catalogue).load(str(checkpoint))

    assert not torch.equal(*model.encode_prompts(["<gloom> snow", "gloom snow"]))


@pytest.mark.parametrize("shape", [(0, WIDTH), (1, 2, WIDTH)])
def test_a_word_without_vectors_is_none(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """And gets a sentence, as one of three dimensions does."""
    save_file({"emb_params": torch.zeros(shape)}, tmp_path / "it.safetensors")
    with pytest.raises(TapestryError, match="neither a checkpoint nor"):
        Catalogue(adapters=[str(tmp_path / "it.safetensors")])
