"""Textual inversions: words that a text encoder is taught when a prompt uses them.

A word stands in a prompt as `<name>` and means one vector or several (Gal et al. 2022), which the
tokenizer and the encoder are given as tokens of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import safetensors
import torch
import transformers
from torch import Tensor, nn

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from ...checkpoints.adapter_catalogue import misfit
from ...checkpoints.adapter_recognition import Adapter, chosen_embeddings
from ..loading.networks import check_finite_weights, sentence_for
from .learned import LearnedWord
from .residuals import broken_adapter

_READERS = (transformers.CLIPTextModel, transformers.CLIPTextModelWithProjection)
_PAIRS = (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2"))


class Vocabulary:
    """The words of one model; those in `embeddings` are learned when they are first used."""

    def __init__(
        self, model_id: str, tokenizers: Mapping[str, Any], networks: Mapping[str, nn.Module]
    ) -> None:
        self._model_id = model_id
        self._readers: list[tuple[Any, Any]] = [
            (tokenizers[tokenizer], networks[encoder])
            for tokenizer, encoder in _PAIRS
            if isinstance(networks.get(encoder), _READERS)
        ]
        self._spelled: dict[str, str] = {}
        self._unsaid: dict[str, set[int]] = {}
        self._being_learned: dict[str, str] = {}
        self.embeddings: Sequence[Adapter] = ()

    def spell(self, prompt: str) -> str:
        """The prompt with every known word as the tokens it stands for.

        Raises TapestryError when one was made for another model.
        """
        for token, spelled in self._being_learned.items():
            prompt = prompt.replace(token, spelled)
        for adapter in chosen_embeddings(self.embeddings, self._widths):
            if adapter.token in prompt:
                prompt = prompt.replace(adapter.token, self._learned(adapter))
        return prompt

    def unsaid(self, tokenizer: str) -> Collection[int]:
        """Tokens that stand in a spelled prompt for the other text encoders alone.

        An embedding may have more vectors for one encoder than for another.
        """
        return self._unsaid.get(tokenizer, ())

    @property
    def _widths(self) -> tuple[int, ...]:
        return tuple(encoder.config.hidden_size for _, encoder in self._readers)

    @torch.no_grad()
    def read_phrases(self, phrases: Sequence[str]) -> Tensor:
        """What the first text encoder says about each phrase as a whole: [N, D]."""
        tokenizer, encoder = self._readers[0]
        tokens = tokenizer(
            [self.spell(phrase) for phrase in phrases],
            padding=True,
            truncation=True,
            max_length=encoder.config.max_position_embeddings,
            return_tensors="pt",
        ).to(encoder.device)
        return encoder(**tokens).pooler_output

    @contextmanager
    def learning(self, token: str, like: str, count: int) -> Iterator[LearnedWord]:
        """Inside, `token` is a word of `count` vectors, which begin as those of the words `like`.

        Raises TapestryError where no text encoder can learn one.
        """
        if not self._readers:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                Sentence("The model {name} can learn no word.", name=quoted(self._model_id)),
                'Choose the method "lora", or a checkpoint of Stable Diffusion 1, 2 or XL.',
            )
        tokens = [_numbered(token, number) for number in range(count)]
        encoders, places, vectors = {}, {}, {}
        for (tokenizer, encoder), (_, name) in zip(self._readers, _PAIRS, strict=False):
            begun = _vectors_like(tokenizer, encoder, like, count)
            places[name] = _teach(tokenizer, encoder, tokens, begun)
            encoders[name], vectors[name] = encoder, begun
        self._being_learned[token] = " ".join(tokens)
        try:
            yield LearnedWord(token, encoders, places, vectors)
        finally:
            del self._being_learned[token]

    def _learned(self, adapter: Adapter) -> str:
        if adapter.token not in self._spelled:
            self._spelled[adapter.token] = self._learn(adapter)
        return self._spelled[adapter.token]

    @torch.no_grad()
    def _learn(self, adapter: Adapter) -> str:
        if self._widths != adapter.widths:
            raise misfit(adapter, self._model_id)
        content = _tensors_of(adapter)
        two = len(self._readers) > 1
        found = [content["clip_l"], content["clip_g"]] if two else content.values()
        vectors = [each if each.ndim == 2 else each[None] for each in found]
        count = max(map(len, vectors))
        tokens = [_numbered(adapter.token, number) for number in range(count)]
        for (tokenizer, encoder), own, (name, _) in zip(
            self._readers, vectors, _PAIRS, strict=False
        ):
            places = _teach(tokenizer, encoder, tokens, own)
            self._unsaid.setdefault(name, set()).update(places[len(own) :])
        return " ".join(tokens)


def _tensors_of(adapter: Adapter) -> dict[str, Tensor]:
    """An embedding's own tensors, by their keys."""
    with (
        sentence_for(partial(broken_adapter, adapter.path)),
        safetensors.safe_open(adapter.path, framework="pt") as file,
    ):
        content: dict[str, Tensor] = {
            name.removeprefix(adapter.inside): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118  it is no mapping
            if name.startswith(adapter.inside)
        }
        check_finite_weights(content)
    return content


def _numbered(token: str, number: int) -> str:
    """`<name>`, `<name_1>`, ...: none is the beginning of another."""
    return token if number == 0 else f"{token.removesuffix('>')}_{number}>"


@torch.no_grad()
def _vectors_like(tokenizer: Any, encoder: Any, like: str, count: int) -> Tensor:
    """So many vectors [n, D] that mean what these words do, in single precision."""
    weight = encoder.get_input_embeddings().weight
    ids = tokenizer(like, add_special_tokens=False).input_ids
    # Of no words, or only unknown ones: any place among all of them is as good.
    known = weight[ids] if ids else weight.mean(dim=0, keepdim=True)
    parts = known.float().tensor_split(count) if len(known) >= count else [known.float()] * count
    return torch.stack([part.mean(dim=0) for part in parts])


@torch.no_grad()
def _teach(tokenizer: Any, encoder: Any, tokens: Sequence[str], vectors: Tensor) -> list[int]:
    """Teach both the tokens, as many as there are vectors; where each of them is."""
    tokenizer.add_tokens([transformers.AddedToken(token, normalized=False) for token in tokens])
    known = encoder.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > known:
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    weight = encoder.get_input_embeddings().weight
    places = tokenizer.convert_tokens_to_ids(list(tokens))
    weight[places[: len(vectors)]] = vectors.to(weight)
    return places
