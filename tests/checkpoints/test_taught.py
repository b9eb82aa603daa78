"""What a file of taught weights says about itself, and how it is found again."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tapestry_backend.checkpoints.adapter_catalogue import AdapterCatalogue
from tapestry_backend.checkpoints.taught import CARD, Card, name_of, read_card, token_of
from tapestry_backend.models.adapters.taught_files import taught_file

FACTORS = {
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": torch.ones(
        1, 768
    ),
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_B.weight": torch.ones(
        320, 1
    ),
}
WORD = {"text_encoder": torch.ones(2, 768)}
CARD_OF_WOOL = Card(("my wool",), "fabric", "key-locked", "mine", ("a" * 64,), {"rank": 1}, "mine")


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our own models folder."""
    folder = tmp_path / "models"
    monkeypatch.setenv("TAPESTRY_MODELS", str(folder))
    return folder


def test_a_card_is_read_as_it_was_written() -> None:
    """And one that is damaged is none."""
    assert read_card({CARD: CARD_OF_WOOL.text()}) == CARD_OF_WOOL
    for text in ("", "{", "[]", "7", '{"words": []}', '{"words": 5}', "x" * 30_000):
        assert read_card({CARD: text}) is None
    assert read_card({CARD: json.dumps({"words": ["a"], "new": 1})}) == Card(("a",))


@pytest.mark.parametrize(
    ("word", "name"), [("my wool", "my-wool"), (" My  Wool ", "my-wool"), ("größe", "größe")]
)
def test_a_word_names_its_file(word: str, name: str) -> None:
    """Plainly, and its token alike."""
    assert (name_of(word), token_of(word)) == (name, f"<{name}>")


def test_a_file_is_a_lora_and_a_word(tmp_path: Path) -> None:
    """In kohya's names, and as A1111 bundles a word."""
    path = tmp_path / "my-wool.safetensors"
    path.write_bytes(taught_file(FACTORS, WORD, CARD_OF_WOOL))
    names = safetensors.torch.load_file(path)
    flat = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    assert set(names) == {
        *(f"{flat}.{end}" for end in ("lora_down.weight", "lora_up.weight", "alpha")),
        "bundle_emb.my-wool.<my-wool>",
    }
    catalogue = AdapterCatalogue([str(path)])
    lora = catalogue.find("my-wool", "lora")
    assert (lora.words, lora.gated, lora.family, lora.unused) == (("my wool",), True, "sd1", None)
    (word,) = catalogue.taught_words
    assert word == ("my wool", "<my-wool>", "my-wool")


def test_what_has_come_to_the_models_folder_is_found(models: Path) -> None:
    """Once; a file that cannot be used is no reason to stop."""
    catalogue = AdapterCatalogue()
    known = len(catalogue.infos)
    (models / "embeddings").mkdir(parents=True)
    (models / "embeddings" / "broken.safetensors").write_bytes(b"none")
    (models / "embeddings" / "my-wool.safetensors").write_bytes(
        taught_file({}, WORD, Card(("my wool",), method="word"))
    )
    assert [info.kind for info in catalogue.look_for_taught()] == ["embedding"]
    assert catalogue.look_for_taught() == ()
    assert len(catalogue.infos) == known + 1
    assert catalogue.taught_words[0].token == "<my-wool>"
