"""Long prompts: read in chunks where the model reads CLIP's tokens, or told of."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tapestry_backend.models.text.text_chunks import MOST_CHUNKS, chunks_of

LONG = "red bricks with moss, old and worn by wind, painted on a dry summer day " * 2


def test_what_fits_is_what_the_tokenizer_itself_makes(model) -> None:
    """Marks, filling and places, for one that fills with its end mark or with another token."""
    tokenizer = model._tokenizers["tokenizer"]
    for text in ("", "red bricks", "(sea), waves!", "\u6d77 \U0001f305"):
        theirs = tokenizer(
            [text],
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
            return_offsets_mapping=True,
        )
        ours = chunks_of(tokenizer, text, 10**6)
        assert torch.equal(ours.ids, theirs.input_ids)
        assert torch.equal(ours.attended, theirs.attention_mask)
        taken = int(ours.attended.sum())
        assert list(ours.offsets)[: taken - 1] == [
            tuple(place) for place in theirs.offset_mapping[0].tolist()[: taken - 1]
        ]
        assert ours.unread == ""


def test_a_long_prompt_is_read_in_chunks_each_as_a_prompt_of_its_own(model) -> None:
    """No word is cut in two; what the chunks hold is the whole text, in its order."""
    tokenizer = model._tokenizers["tokenizer"]
    chunks = chunks_of(tokenizer, LONG, 10**6, MOST_CHUNKS)
    length = tokenizer.model_max_length
    starts = [place[0] for place in chunks.offsets if place[1]]
    assert len(chunks.ids) in {2, 4}
    assert starts == sorted(starts)
    whole = model.encode_prompts([LONG])
    firsts = [next(p[0] for p in chunks.offsets[k * length :] if p[1]) for k in (0, 1)]
    assert LONG[firsts[1] - 1] == " "
    alone = model.encode_prompts([LONG[: firsts[1]].strip(), LONG[firsts[1] :].strip()])
    assert torch.allclose(whole[:, :length], alone[:1, :length], atol=1e-5)
    assert torch.allclose(whole[:, length : 2 * length], alone[1:, :length], atol=1e-5)


def test_a_short_prompt_beside_a_long_one_means_the_same(model) -> None:
    """Its states are repeated, and attention to them gives the same."""
    both, alone = model.encode_prompts(["lava", LONG]), model.encode_prompts(["lava"])
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(1, 5, both.shape[-1], generator=generator)
    seen = [functional.scaled_dot_product_attention(query, c, c) for c in (both[:1], alone)]
    assert both.shape[1] > alone.shape[1]
    assert torch.allclose(*seen, atol=1e-5)


def test_weights_reach_the_end_of_a_long_prompt(model) -> None:
    """The last word's tokens move, in the last chunk."""
    plain, more = model.encode_prompts([LONG + "lava"]), model.encode_prompts([LONG + "(lava:2)"])
    changed = (plain != more).any(dim=-1)[0].nonzero().flatten()
    assert len(changed)
    assert int(changed[0]) > model.encode_prompts([""]).shape[1]


def test_what_is_not_read_is_said(model) -> None:
    """The end of a text that is longer than all chunks; nothing of one that fits."""
    words = " ".join(f"brick{number}" for number in range(900))
    rest = model.unread(words)
    assert model.unread(LONG) == ""
    assert rest
    assert words.endswith(rest)
    assert words[-len(rest) - 1] == " "


@pytest.mark.parametrize("text", ["a" * 2000, "\u6d77" * 2000, "(" * 2000])
def test_words_without_end_are_divided(model, text: str) -> None:
    """Scripts without spaces, and what is no word at all."""
    tokenizer = model._tokenizers["tokenizer"]
    assert len(chunks_of(tokenizer, text, 10**6, MOST_CHUNKS).ids) == MOST_CHUNKS
