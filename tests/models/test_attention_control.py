"""Rows that attend as others do, and which words belong together."""

from collections.abc import Callable

import pytest
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.attention_control import Tokens, map_tokens
from tapestry_backend.models.attention_pairs import AttentionPair, Taken
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.errors import TapestryError
from tests.models.tiny_checkpoints import save_3, save_xl

ALL = Taken(words=True, parts=True, features=True)


def words(text: str) -> Tokens:
    """A token for each word, one before them, and two behind."""
    spans, start = [(0, 0)], 0
    for word in text.split():
        start = text.index(word, start)
        spans.append((start, start + len(word)))
        start += len(word)
    return Tokens(text, [*spans, (0, 0), (0, 0)])


def moves(source: str, target: str) -> dict[int, dict[int, float]]:
    """Where the attention to each token of a text goes."""
    moved = map_tokens(words(source), words(target)).moved
    return {
        i: {int(j): float(row[j]) for j in row.nonzero().flatten()} for i, row in enumerate(moved)
    }


def test_equal_texts_map_onto_themselves() -> None:
    """Each token onto itself, and nothing is new."""
    tokens = map_tokens(words("red bricks"), words("red bricks"))
    assert torch.equal(tokens.moved, torch.eye(5))
    assert not tokens.own.any()


def test_a_replaced_word_takes_the_attention_of_the_other() -> None:
    """One for one; of several, each takes its part."""
    assert moves("red bricks", "red sand")[2] == {2: 1.0}
    assert moves("red bricks", "red wet sand")[2] == {2: 0.5, 3: 0.5}
    assert moves("red old bricks", "red sand")[3] == {2: 1.0}


def test_a_new_word_attends_by_itself() -> None:
    """And the words behind it keep what was theirs."""
    tokens = map_tokens(words("a house"), words("a red house"))
    assert tokens.own.tolist() == [False, False, True, False, False, False]
    assert tokens.moved[2, 3] == 1


@pytest.fixture
def rows(model) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and conditions of what is there, and of what shall be."""
    latents = torch.randn(2, model.channels, model.window, model.window)
    return latents, model.encode_prompts(["red bricks", "green grass"])


def test_a_pair_of_the_same_words_changes_nothing(model) -> None:
    """A row that takes over the shapes of an equal row is as it was."""
    latents = torch.randn(1, model.channels, model.window, model.window).repeat(2, 1, 1, 1)
    conditions = model.encode_prompts(["red bricks"] * 2)
    plain = model.predict(latents, torch.tensor(500), conditions)
    pair = AttentionPair(0, 1, model.token_map("red bricks", "red bricks"))
    with model.shapes_taken_over([pair], 2, ALL):
        kept = model.predict(latents, torch.tensor(500), conditions)
    assert torch.allclose(kept, plain, atol=1e-4)


def test_the_source_row_is_left_as_it_is(model, rows) -> None:
    """Only the target changes: by its words, by its parts, and by its features."""
    latents, conditions = rows
    plain = model.predict(latents, torch.tensor(500), conditions)
    pair = AttentionPair(0, 1, model.token_map("red bricks", "green grass"))
    for taken in (Taken(words=True), Taken(parts=True), Taken(features=True)):
        with model.shapes_taken_over([pair], 2, taken):
            kept = model.predict(latents, torch.tensor(500), conditions)
        assert torch.allclose(kept[0], plain[0], atol=1e-4)
        assert (kept[1] - plain[1]).abs().max() > 1e-3
    after = model.predict(latents, torch.tensor(500), conditions)
    assert torch.equal(after, plain)


def test_other_batches_attend_by_themselves(model, rows) -> None:
    """Rows that were not meant are not changed."""
    latents, conditions = rows
    pair = AttentionPair(0, 1, model.token_map("red bricks", "green grass"))
    plain = model.predict(latents[:1], torch.tensor(500), conditions[:1])
    with model.shapes_taken_over([pair], 2, ALL):
        assert torch.equal(model.predict(latents[:1], torch.tensor(500), conditions[:1]), plain)


def test_stable_diffusion_xl_has_pairs_too(tmp_path) -> None:
    """Its two encoders read the same words."""
    folder = str(save_xl(tmp_path / "xl"))
    model = ModelCache(Catalogue([folder])).load(folder)
    latents = torch.randn(2, model.channels, model.window, model.window)
    conditions = model.encode_prompts(["red bricks", "green grass"])
    plain = model.predict(latents, torch.tensor(500), conditions)
    pair = AttentionPair(0, 1, model.token_map("red bricks", "green grass"))
    with model.shapes_taken_over([pair], 2, ALL):
        kept = model.predict(latents, torch.tensor(500), conditions)
    assert torch.allclose(kept[0], plain[0], atol=1e-4)
    assert not torch.allclose(kept[1], plain[1], atol=1e-5)


def test_features_are_those_of_one_layer_a_third_of_the_way_up(model, rows) -> None:
    """What the third of six residual blocks finds for the source, the target has as well."""
    latents, conditions = rows
    pair = AttentionPair(0, 1, model.token_map("red bricks", "green grass"))
    unet = model._unet
    found: dict[str, bool] = {}

    def noted(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, out: found.update({name: torch.equal(out[0], out[1])})

    with model.shapes_taken_over([pair], 2, Taken(features=True)):
        hooks = [
            block.resnets[j].register_forward_hook(noted(f"{i}.{j}"))
            for i, block in enumerate(unet.up_blocks)
            for j in range(len(block.resnets))
        ]
        model.predict(latents, torch.tensor(500), conditions)
    for hook in hooks:
        hook.remove()
    assert len(found) == 6
    assert [name for name, is_equal in found.items() if is_equal] == ["1.0"]


def test_transformers_say_that_they_cannot(tmp_path) -> None:
    """With what to choose instead."""
    folder = str(save_3(tmp_path / "sd3"))
    model = ModelCache(Catalogue([folder])).load(folder)
    with pytest.raises(TapestryError, match="keeps no shapes") as caught:
        model.token_map("red bricks", "green grass")
    assert "diffedit" in caught.value.advice
