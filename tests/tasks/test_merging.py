"""Files that were taught apart are merged into one in which each word keeps what it means."""

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tapestry_backend.checkpoints.taught import Card, read_card, token_of
from tapestry_backend.checkpoints.taught_merging import cards_to_merge, merged_card
from tapestry_backend.engine import merging
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.merging import merge_taught
from tapestry_backend.tasks.run import run
from tapestry_backend.tasks.teaching import OTHER_TEXTS
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds
from tests.models.tiny_checkpoints import save_checkpoint, save_xl
from tests.models.tiny_taught import RANK, save_taught

WIDTH = 128
LAYER = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v"


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A tiny checkpoint, whose texts have so many numbers that tokens can be told apart."""
    return str(save_checkpoint(tmp_path / "tiny", text_width=WIDTH))


def merged(paths: list[Path], model: str) -> bytes:
    """By the model, which knows their words."""
    catalogue = Catalogue([model], adapters=[str(path) for path in paths])
    return merge_taught(paths, model, ModelCache(catalogue, "cpu"))


def change_of(content: dict[str, Tensor]) -> Tensor:
    """What is added to the weights of one layer."""
    name = "lora_unet_" + LAYER.replace(".", "_")
    down, up = (content[f"{name}.lora_{side}.weight"].double() for side in ("down", "up"))
    return up @ down * float(content[f"{name}.alpha"]) / len(down)


@pytest.mark.parametrize("save", [save_checkpoint, save_xl])
def test_the_weights_are_the_papers(save, tmp_path: Path, monkeypatch) -> None:
    """As the conditions of Lagrange give them, for the layer's own weights, from full texts."""
    monkeypatch.setattr(merging, "_ALIKE", 1e-10)
    folder = str(save(tmp_path / "model"))
    words = ("my wool", "my felt")
    paths = [
        save_taught(tmp_path / f"{i}.safetensors", folder, word, i) for i, word in enumerate(words)
    ]
    catalogue = Catalogue([folder], adapters=[str(path) for path in paths])
    network = ModelCache(catalogue, "cpu").load(folder)
    tokens = []
    for word in words:
        token = token_of(word)
        prompts = (token, f"a picture of {token}")
        tokens.append(torch.cat([network.states_from(prompt, token) for prompt in prompts]))
    # So many tokens as a tiny model can tell apart.
    tokens = [each[:4].double() for each in tokens]
    monkeypatch.setattr("tapestry_backend.tasks.merging._read_of", lambda *_: tokens.pop(0))
    expected_tokens = list(tokens)
    content = safetensors.torch.load(merge_taught(paths, folder, ModelCache(catalogue, "cpu")))

    texts = [*OTHER_TEXTS, *network.random_texts(200)]
    others = torch.cat([network.states_from(text, text) for text in texts]).double()
    first = network.adapter_manager.networks["unet"].get_submodule(LAYER).weight.double()
    changes = [change_of(safetensors.torch.load_file(path)) for path in paths]
    made = [each @ (first + own).T for each, own in zip(expected_tokens, changes, strict=True)]
    wide, both = first.shape[1], torch.cat(expected_tokens)
    covariance = others.T @ others
    covariance += merging._DAMPING * covariance.diagonal().mean() * torch.eye(wide)
    system = torch.zeros(wide + len(both), wide + len(both), dtype=torch.float64)
    system[:wide, :wide] = covariance
    system[:wide, wide:], system[wide:, :wide] = both.T, both
    right = torch.zeros(wide + len(both), len(first), dtype=torch.float64)
    right[wide:] = torch.cat(made) - both @ first.T
    expected = torch.linalg.solve(system, right)[:wide].T
    torch.testing.assert_close(change_of(content), expected.detach(), atol=2e-3, rtol=5e-3)


def test_one_file_knows_both_words(model: str, tmp_path: Path) -> None:
    """With what each was taught from; in it are as many factors as in both."""
    paths = [
        save_taught(tmp_path / "wool.safetensors", model, "my wool", 1, licence="CC0"),
        save_taught(
            tmp_path / "felt.safetensors", model, "my felt", 2, licence="mine", like="lava"
        ),
    ]
    both = tmp_path / "both.safetensors"
    both.write_bytes(merged(paths, model))
    with safetensors.safe_open(both, "pt") as file:
        card = read_card(file.metadata())
    assert card is not None
    assert (card.words, card.like, card.method) == (
        ("my wool", "my felt"),
        "snow, lava",
        "attention",
    )
    assert (card.examples, card.licence) == (("1" * 64, "2" * 64), "CC0; mine")
    assert len(card.settings["merged"]) == 2
    content = safetensors.torch.load_file(both)
    assert all(
        len(each) == 2 * RANK for name, each in content.items() if name.endswith("down.weight")
    )
    catalogue = Catalogue([model], adapters=[str(both)]).adapters
    assert {tuple(word) for word in catalogue.taught_words} == {
        ("my wool", "<my-wool>", "both"),
        ("my felt", "<my-felt>", "both"),
    }
    third = save_taught(tmp_path / "silk.safetensors", model, "my silk", 3)
    (tmp_path / "three.safetensors").write_bytes(merged([both, third], model))
    assert cards_to_merge([both, third])[0].words == ("my wool", "my felt")


def test_both_words_paint_in_two_regions(scene, tmp_path: Path) -> None:
    """By one file nearly as by its own file each; not as with both everywhere.

    With the bundled model: a text encoder of random numbers says of padding hardly which word
    stands before it.
    """
    paths = [
        save_taught(tmp_path / "wool.safetensors", SAMPLE, "my wool", 1, scale=0.1),
        save_taught(tmp_path / "felt.safetensors", SAMPLE, "my felt", 2, scale=0.1),
    ]
    both = tmp_path / "both.safetensors"
    both.write_bytes(merged(paths, SAMPLE))
    regions = (
        scene.region("my wool", Bounds(0, 0, 128, 128)),
        scene.region("my felt", Bounds(0, 128, 128, 256)),
    )
    request = Request("generate", 128, 256, "snow", regions=regions, composition=0)
    request = replace(request, num_inference_steps=4)

    def paint(*adapters: Path, loras: tuple[Lora, ...] = ()) -> Tensor:
        cache = ModelCache(Catalogue([SAMPLE], adapters=[str(path) for path in adapters]), "cpu")
        *_, painted = run(replace(request, loras=loras), scene.blobs, cache)
        return torch.frombuffer(bytearray(painted.pixels.data), dtype=torch.uint8).float()

    by_own, by_one = paint(*paths), paint(both)
    everywhere = paint(*paths, loras=(Lora("wool"), Lora("felt")))
    apart = float((by_one - by_own).abs().mean())
    assert apart < 0.5 * float((everywhere - by_own).abs().mean())


def refused(*paths: Path) -> TapestryError:
    """The sentence."""
    with pytest.raises(TapestryError) as caught:
        cards_to_merge(paths)
    assert caught.value.advice
    return caught.value


def test_what_cannot_be_merged_is_told(model: str, tmp_path: Path) -> None:
    """One file; the same word; another model, method or file; none at all."""
    wool = save_taught(tmp_path / "wool.safetensors", model, "my wool", 1)
    again = save_taught(tmp_path / "again.safetensors", model, "My Wool", 2)
    other = save_taught(tmp_path / "other.safetensors", model, "my felt", 3, model="other")
    lora = save_taught(tmp_path / "lora.safetensors", model, "my silk", 4, method="lora")
    assert "nothing to merge" in str(refused(wool).message)
    assert "Two of the files hold the word" in str(refused(wool, again).message)
    assert "Two of the files hold the word" in str(refused(wool, wool).message)
    assert "taught to the model" in str(refused(wool, other).message)
    assert "only those by" in str(refused(wool, lora).message)
    assert "There is no adapter" in str(refused(wool, tmp_path / "nowhere.safetensors").message)
    plain = tmp_path / "plain.safetensors"
    safetensors.torch.save_file(safetensors.torch.load_file(wool), plain)
    assert "does not say which word" in str(refused(wool, plain).message)
    (tmp_path / "broken.safetensors").write_bytes(b"none")
    assert "cannot be opened" in str(refused(wool, tmp_path / "broken.safetensors").message)


def test_a_damaged_file_is_told(model: str, tmp_path: Path) -> None:
    """Numbers that are none, half a layer, or layers of another width."""
    wool = save_taught(tmp_path / "wool.safetensors", model, "my wool", 1)
    with safetensors.safe_open(wool, "pt") as file:
        notes = file.metadata()
    content = safetensors.torch.load_file(wool)
    name = "lora_unet_" + LAYER.replace(".", "_")
    felt = save_taught(tmp_path / "felt.safetensors", model, "my felt", 2)
    damages = {
        "none": {
            f"{name}.lora_up.weight": torch.full_like(content[f"{name}.lora_up.weight"], torch.nan)
        },
        "half": {f"{name}.lora_up.weight": None},
        "narrow": {f"{name}.lora_down.weight": torch.ones(RANK, 7)},
    }
    for damage, changed in damages.items():
        path = tmp_path / f"{damage}.safetensors"
        kept = {key: each for key, each in (content | changed).items() if each is not None}
        safetensors.torch.save_file(kept, path, notes)
        with pytest.raises(TapestryError) as caught:
            merged([path, felt], model)
        assert damage in str(caught.value.message)
        assert caught.value.advice


def test_more_than_a_card_holds_is_told() -> None:
    """Before the file is written, whose word nobody could read."""
    card = Card(("my wool",), examples=tuple(f"{i:064x}" for i in range(400)))
    with pytest.raises(TapestryError) as caught:
        merged_card([card, replace(card, words=("my felt",))], ["a" * 64, "b" * 64])
    assert caught.value.code is ErrorCode.TOO_LARGE
