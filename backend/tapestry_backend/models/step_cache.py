"""A transformer whose later blocks are left out for rows that hardly change: first-block cache.

diffusers has it as a hook, with one memory for a whole batch, and for some of its transformers
alone. Here each row of a batch has its own memory (`engine.step_cache`), and decides for itself.
What is kept is what becomes of the picture's own tokens between the first block and the last norm:
neither the text's nor those of shown pictures are read behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.hooks import HookRegistry, ModelHook
from torch import Tensor, nn

from ..engine.step_cache import RowMemory

_BLOCKS = ("transformer_blocks", "single_transformer_blocks", "layers")
_ENDS = ("norm_out", "all_final_layer")
_NAME = "tapestry_step_cache"

Ask = Callable[[Sequence[int]], Tensor]
"""Numbers of rows -> the model's outputs for them [N, C, h, w]; asks the transformer once."""


class CachedBlocks:
    """Hooks on a transformer, which do nothing until rows with memories are asked for."""

    def __init__(self, transformer: nn.Module) -> None:
        self._pass: _Pass | None = None
        first, *others = blocks_of(transformer)
        _hook(first, _FirstBlock(self))
        for block in others:
            _hook(block, _OtherBlock(self))
        for end in _ends_of(transformer):
            _hook(end, _End(self))

    @property
    def current(self) -> _Pass | None:
        """What goes through the transformer now; None: rows without memories."""
        return self._pass

    def evaluate(self, memories: Sequence[RowMemory], tokens: int, ask: Ask) -> Tensor:
        """What `ask` makes of all rows, [B, C, h, w]; some of them from memory.

        tokens: those of the picture, which come first among those of a row
        """
        rows = range(len(memories))
        first = _Pass(memories, tokens)
        with self._passing(first):
            made = ask(rows)
        if not first.leaves_out:
            return made
        changed = [row for row in rows if not first.left_out[row]]
        if changed:
            whole = _Pass([memories[row] for row in changed], tokens, whole=True)
            with self._passing(whole):
                made = made.index_copy(0, torch.tensor(changed).to(made.device), ask(changed))
        memories[0].cache.left_out += len(memories) - len(changed)
        return made

    @contextmanager
    def _passing(self, current: _Pass) -> Iterator[None]:
        self._pass = current
        try:
            yield
        finally:
            self._pass = None


class _Pass:
    """One call of the transformer: either all rows are evaluated whole, or none is.

    whole: they are, whatever they remember
    """

    def __init__(self, memories: Sequence[RowMemory], tokens: int, *, whole: bool = False) -> None:
        self._memories = memories
        self._tokens = tokens
        self._whole = whole
        self.left_out = [False] * len(memories)
        """The rows whose other blocks change nothing that matters."""

    @property
    def leaves_out(self) -> bool:
        """Whether the blocks behind the first are left out."""
        return any(self.left_out)

    def begin(self, before: Tensor, after: Tensor) -> None:
        """Compare what the first block changes, of states [B, T, D], with what it did."""
        self._after = after[:, : self._tokens]
        self._first = self._after - before[:, : self._tokens]
        if self._whole:
            return
        changes = [
            memory.change(first) for memory, first in zip(self._memories, self._first, strict=True)
        ]
        self.left_out = [
            change <= memory.cache.threshold
            for memory, change in zip(self._memories, torch.stack(changes).tolist(), strict=True)
        ]

    def end(self, states: Tensor) -> Tensor:
        """What the last norm takes instead of states [B, T, D]; remembers them where they count."""
        if not self.leaves_out:
            for row, memory in enumerate(self._memories):
                rest = states[row, : self._tokens] - self._after[row]
                memory.remember(self._first[row].clone(), rest)
            return states
        states = states.clone()
        for row, memory in enumerate(self._memories):
            if self.left_out[row] and memory.rest is not None:
                states[row, : self._tokens] = self._after[row] + memory.rest
        return states


class _CacheHook(ModelHook):
    def __init__(self, cached: CachedBlocks) -> None:
        super().__init__()
        self._cached = cached


class _FirstBlock(_CacheHook):
    """Is always evaluated, and says what else is."""

    def new_forward(self, _block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        output = self.fn_ref.original_forward(*args, **kwargs)
        if self._cached.current is not None:
            after = output[1] if isinstance(output, tuple) else output
            self._cached.current.begin(_states(args, kwargs), after)
        return output


class _OtherBlock(_CacheHook):
    """Gives back what it is given while blocks are left out."""

    def __init__(self, cached: CachedBlocks) -> None:
        super().__init__(cached)
        self._gives_texts = False

    def new_forward(self, _block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        current = self._cached.current
        if current is None or not current.leaves_out:
            output = self.fn_ref.original_forward(*args, **kwargs)
            self._gives_texts = isinstance(output, tuple)
            return output
        states = _states(args, kwargs)
        return (kwargs["encoder_hidden_states"], states) if self._gives_texts else states


class _End(_CacheHook):
    """The last norm."""

    def pre_forward(self, _norm: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if self._cached.current is None:
            return args, kwargs
        return (self._cached.current.end(args[0]), *args[1:]), kwargs


def can_leave_out(transformer: nn.Module) -> bool:
    """Whether a transformer is one block after the other, with a norm behind them."""
    return len(blocks_of(transformer)) > 1 and bool(_ends_of(transformer))


def blocks_of(transformer: nn.Module) -> list[nn.Module]:
    """All blocks that the picture's states go through, in their order."""
    lists = [getattr(transformer, name) for name in _BLOCKS if hasattr(transformer, name)]
    return [block for blocks in lists for block in blocks]


def _ends_of(transformer: nn.Module) -> list[nn.Module]:
    ends = [getattr(transformer, name) for name in _ENDS if hasattr(transformer, name)]
    return [
        norm for end in ends for norm in (end.values() if isinstance(end, nn.ModuleDict) else [end])
    ]


def _hook(module: nn.Module, hook: ModelHook) -> None:
    HookRegistry.check_if_exists_or_initialize(module).register_hook(hook, _NAME)


def _states(args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """What a block is given of the picture."""
    states: Tensor = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
    return states
