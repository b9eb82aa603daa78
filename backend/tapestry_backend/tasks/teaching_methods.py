"""What each method of teaching learns, and what it leaves in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch
from torch import Tensor

from tapestry_protocol.messages import Teach

from ..checkpoints.taught import token_of
from ..models.adapters.learned import (
    KEY_LAYERS,
    PICTURE_LAYERS,
    VALUE_LAYERS,
    KeyLocked,
    LearnedLora,
    LearnedWord,
)
from ..models.denoiser import Denoiser

TEMPLATES = ("{}", "{}", "a picture of {}")
"""What a prompt says around the word; by itself it is a region's whole prompt."""

_LORA_RATE = 0.13
"""Of changes, divided by the width of the texts: 1e-3 with the bundled model, 1.7e-4 with Stable
Diffusion 1, 6e-5 with XL."""

_WORD_RATE = 0.1
"""Of a word's vectors, in parts of the deviation of all words'."""

_COMPARED = 64
"""Texts by which Perfusion learns how a text encoder's states vary together."""

_LOOKS_EVERY = 20
"""Steps after which a key-locked change looks at what its word has become."""


_OWN, _LOCKED = "seen.own", "seen.locked"


class Student:
    """A model while it is taught.

    prompts     what it is shown the examples with
    tensors     what is learned, by name, and `rates` of those that have their own
    """

    def __init__(
        self,
        model: Denoiser,
        teach: Teach,
        word: LearnedWord | None,
        changes: LearnedLora | KeyLocked | None,
    ) -> None:
        self._model = model
        self._like = teach.like.strip()
        self._word = word
        self._changes = changes
        said = teach.word.strip() if word is None else word.token
        self.prompts = tuple(template.format(said) for template in TEMPLATES)
        self._said = said
        self.tensors: dict[str, Tensor] = dict(changes.tensors) if changes else {}
        self.rates: dict[str, float] = {}
        for name, vectors in (word.tensors if word else {}).items():
            self.tensors[f"word.{name}"] = vectors
            self.rates[f"word.{name}"] = _WORD_RATE * model.word_deviation(name)
        self._encoded: dict[str, Tensor] = {}
        self._whitened: Tensor | None = None
        self.seen: dict[str, Tensor] = {}
        """What a key-locked change looked at last: its word and the locked one, [D] each."""

    @property
    def rate(self) -> float:
        """Of all that have no rate of their own."""
        return _LORA_RATE / self.condition("").shape[-1]

    @property
    def keeps_others(self) -> bool:
        """Whether what is learned may change what other words mean."""
        return isinstance(self._changes, LearnedLora)

    @contextmanager
    def laid_on(self) -> Iterator[None]:
        """Inside, the model runs with what was learned."""
        with ExitStack() as stack:
            for part in (self._word, self._changes):
                if part is not None:
                    stack.enter_context(part.laid_on())
            yield

    def condition(self, prompt: str) -> Tensor:
        """What the model reads of a prompt [1, T, D]; kept, where it does not change."""
        if self._word is not None and self._word.token in prompt:
            return self._model.encode_with_gradient(prompt)
        if prompt not in self._encoded:
            with torch.no_grad():
                self._encoded[prompt] = self._model.encode_prompts([prompt])
        return self._encoded[prompt]

    def conditions(self, prompts: Sequence[str]) -> Tensor:
        """Of each [B, T, D]; each text is encoded once."""
        known = {prompt: self.condition(prompt) for prompt in dict.fromkeys(prompts)}
        return self._model.stacked([known[prompt] for prompt in prompts])

    @torch.no_grad()
    def look(self, step: int, *, is_last: bool = False) -> None:
        """Before each step, and after the last: a key-locked change looks at its word."""
        if not isinstance(self._changes, KeyLocked) or self._word is None:
            return
        if step % _LOOKS_EVERY and not is_last:
            return
        with self._word.laid_on():
            states = [self._model.state_of(prompt, self._said) for prompt in self.prompts]
        other = self._like or "a picture"
        locked = [self._model.state_of(template.format(other), other) for template in TEMPLATES]
        mean, near = (torch.stack(each).mean(dim=0) for each in (states, locked))
        self._look_at({_OWN: mean, _LOCKED: near})

    def look_again(self, kept: Mapping[str, Tensor]) -> None:
        """At what was looked at last before learning was stopped."""
        if {_OWN, _LOCKED} <= kept.keys():
            self._look_at({name: kept[name] for name in (_OWN, _LOCKED)})

    def _look_at(self, seen: dict[str, Tensor]) -> None:
        if not isinstance(self._changes, KeyLocked):
            return
        if self._whitened is None:
            self._whitened = self._model.whitened_states(_COMPARED)
        self.seen = seen
        own, locked = (seen[name].to(self._whitened) for name in (_OWN, _LOCKED))
        self._changes.look_at(own, locked, self._whitened)

    @property
    def changes(self) -> Mapping[str, Tensor]:
        """Factors for the file, by diffusers' names."""
        if isinstance(self._changes, KeyLocked):
            return self._changes.kept()
        return {} if self._changes is None else self._changes.tensors

    @property
    def word(self) -> Mapping[str, Tensor]:
        """A word's vectors for the file, by their text encoders."""
        return {} if self._word is None else self._word.tensors


@contextmanager
def student_of(model: Denoiser, teach: Teach) -> Iterator[Student]:
    """What is taught by a method; raises TapestryError where the model cannot learn so."""
    with ExitStack() as stack:
        word = None
        if teach.method != "lora":
            learning: AbstractContextManager[LearnedWord] = (
                model.adapter_manager.vocabulary.learning(
                    token_of(teach.word), teach.like, teach.vectors
                )
            )
            word = stack.enter_context(learning)
        model.forget_texts()  # what a word meant earlier
        try:
            yield Student(model, teach, word, _changes_of(model, teach))
        finally:
            model.forget_texts()


def _changes_of(model: Denoiser, teach: Teach) -> LearnedLora | KeyLocked | None:
    if teach.method == "word":
        return None
    if teach.method == "key-locked":
        return model.new_key_locked()
    layers = PICTURE_LAYERS if teach.method == "lora" else KEY_LAYERS + VALUE_LAYERS
    return model.new_lora(teach.rank, layers)
