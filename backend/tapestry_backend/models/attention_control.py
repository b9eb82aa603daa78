"""Rows of a batch that take over how another row attends (Prompt-to-Prompt, Hertz et al. 2023).

What a U-Net draws where is decided by its attention: to the words, and of the picture's parts to
each other. A row that takes both over from another keeps its shapes, with the values of its own
words in them. Firmer still are the features of one coarse layer on the way up, which hold what is
where and hardly a colour (Plug-and-Play Diffusion Features, Tumanyan et al. 2023).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention_pairs import AttentionPair, Taken, TokenMap

_MOST_POSITIONS = 32 * 32
"""Layers with more positions than this attend on their own: they draw what is fine (as in the
paper)."""

_WORD = re.compile(r"\w+|[^\w\s]")

Span = tuple[int, int]


class Tokens(NamedTuple):
    """A text without marks, and the place in it of each token."""

    text: str
    offsets: Sequence[Span]


def map_tokens(source: Tokens, target: Tokens) -> TokenMap:
    """Words that both have are matched, replaced ones take each other's places, the rest is new.

    Tokens that are no words (a prompt's marks, and what fills it up) are matched by their order.
    """
    words, others = _words(source.text), _words(target.text)
    moved = torch.zeros(len(source.offsets), len(target.offsets))
    own = torch.zeros(len(target.offsets), dtype=torch.bool)
    before, after = (
        [text[start:end].lower() for start, end in spans]
        for text, spans in ((source.text, words), (target.text, others))
    )
    changes = difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
    for kind, first, last, other_first, other_last in changes:
        old = [i for word in words[first:last] for i in _tokens(source.offsets, word)]
        new = [j for word in others[other_first:other_last] for j in _tokens(target.offsets, word)]
        if kind == "insert":
            own[new] = True
        for i, j, share in _spread(old, new):
            moved[i, j] += share
    marks = [[i for i, (a, b) in enumerate(p.offsets) if a == b] for p in (source, target)]
    for place, j in enumerate(marks[1]):
        moved[marks[0][min(place, len(marks[0]) - 1)], j] = 1
    return TokenMap(moved, own)


@contextmanager
def shapes_taken_over(
    unet: Any, pairs: Sequence[AttentionPair], row_count: int, taken: Taken
) -> Iterator[None]:
    """Inside, batches of `row_count` rows have the shapes of their pairs' sources.

    A layer that is asked for other rows (those that `SharedStart` asks once) works on its own.
    """
    changed: list[tuple[Any, Any]] = []
    hooks = []
    try:
        if taken.features:
            layer = _features_layer(unet)
            hooks.append(layer.register_forward_hook(_taking_features(pairs, row_count)))
        for name, module in unet.named_modules():
            if (taken.words and name.endswith("attn2")) or (taken.parts and name.endswith("attn1")):
                changed.append((module, module.processor))
                module.processor = _TakingOver(module.processor, pairs, row_count)
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module, processor in changed:
            module.processor = processor


def _features_layer(unet: Any) -> nn.Module:
    """The residual block of the paper's choice (the fifth of twelve), in U-Nets of other sizes."""
    blocks = [resnet for block in unet.up_blocks for resnet in block.resnets]
    return blocks[len(blocks) // 3]


def _taking_features(pairs: Sequence[AttentionPair], row_count: int) -> Callable[..., Tensor]:
    """A hook that gives rows the output [B, C, h, w] of their pairs' sources."""

    def taken_over(_module: nn.Module, _inputs: object, found: Tensor) -> Tensor:
        if len(found) != row_count:
            return found
        found = found.clone()
        for pair in pairs:
            found[pair.target] = found[pair.source]
        return found

    return taken_over


class _TakingOver:
    """A processor of diffusers' `Attention` for a batch with pairs."""

    def __init__(self, plain: Any, pairs: Sequence[AttentionPair], row_count: int) -> None:
        self._plain = plain
        self._pairs = pairs
        self._row_count = row_count

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """As the plain processor: hidden states [B, N, D], of the words [B, T, E]."""
        too_many = hidden_states.shape[1] > _MOST_POSITIONS
        if hidden_states.ndim != 3 or len(hidden_states) != self._row_count or too_many:
            return self._plain(attn, hidden_states, encoder_hidden_states, *args, **kwargs)
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            project(states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for project, states in (
                (attn.to_q, hidden_states),
                (attn.to_k, seen),
                (attn.to_v, seen),
            )
        )
        if encoder_hidden_states is None:
            query, key = query.clone(), key.clone()
            for pair in self._pairs:
                query[pair.target], key[pair.target] = query[pair.source], key[pair.source]
            found = functional.scaled_dot_product_attention(query, key, value)
        else:
            found = functional.scaled_dot_product_attention(query, key, value)
            for pair in self._pairs:
                source, own = (_shares(query[row], key[row]) for row in (pair.source, pair.target))
                found[pair.target] = _mapped(source, own, pair.tokens) @ value[pair.target]
        out = attn.to_out[0](found.transpose(1, 2).flatten(2))
        return attn.to_out[1](out) / attn.rescale_output_factor


def _shares(query: Tensor, key: Tensor) -> Tensor:
    """How each of N positions shares its attention among T tokens: [heads, N, T]."""
    scores = query.float() @ key.float().transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores.softmax(dim=-1)


def _mapped(source: Tensor, own: Tensor, tokens: TokenMap) -> Tensor:
    """Attention [heads, N, K] of a source and of the row itself -> what the row attends to.

    Where K is a multiple of a prompt's tokens they are repeated, each with an equal share.
    """
    moved, new = (each.to(source.device) for each in tokens)
    count = own.shape[-1] // len(new)
    taken = source.unflatten(-1, (-1, len(moved))).sum(dim=-2) @ moved
    alone = own.unflatten(-1, (-1, len(new))).sum(dim=-2)
    shares = torch.where(new, alone, taken)
    return (shares / count).repeat(1, 1, count).to(own.dtype)


def _words(text: str) -> list[Span]:
    return [match.span() for match in _WORD.finditer(text)]


def _tokens(offsets: Sequence[Span], word: Span) -> list[int]:
    """The tokens that lie in a word, or reach into it."""
    return [i for i, (a, b) in enumerate(offsets) if a < word[1] and b > word[0]]


def _spread(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[int, int, float]]:
    """Which of the old tokens goes where, and with what share; each is spread in equal parts."""
    if not new:
        return
    if len(old) == len(new):
        yield from ((i, j, 1.0) for i, j in zip(old, new, strict=True))
        return
    yield from ((i, j, 1 / len(new)) for i in old for j in new)
