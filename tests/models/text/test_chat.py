"""Texts for language models: every token knows its place, and what is too long is said."""

from __future__ import annotations

from tapestry_backend.models.text.chat import Template, chat_tokens
from tests.models.tiny_checkpoints import qwen_tokenizer

TEMPLATE = Template("<|im_start|>user\n", "<|im_end|>\n")


def test_tokens_have_their_places_in_the_text_alone() -> None:
    """The words around it have none."""
    chunks = chat_tokens(qwen_tokenizer(), "a fox", TEMPLATE, 40)
    said = [("a fox"[start:end]) for start, end in chunks.offsets]

    assert chunks.ids.shape[1] == len(chunks.offsets) == 13
    assert "".join(said) == "a fox"
    assert not any(said[:6])
    assert not any(said[-2:])
    assert not chunks.unread


def test_what_is_too_long_is_cut_off_and_said() -> None:
    """As its own pipeline cuts it, at the end of everything."""
    chunks = chat_tokens(qwen_tokenizer(), "a fox, snow", TEMPLATE, 12)

    assert chunks.ids.shape == (1, 12)
    assert chunks.unread == " snow"


def test_the_rest_is_filled_where_a_model_sees_it() -> None:
    """With tokens that do not count as said."""
    tokenizer = qwen_tokenizer()
    chunks = chat_tokens(tokenizer, "a fox", TEMPLATE, 20, filled=True)

    assert chunks.ids[0, 13:].tolist() == [tokenizer.pad_token_id] * 7
    assert chunks.attended.sum() == 13
    assert chunks.offsets[13:] == [(0, 0)] * 7
