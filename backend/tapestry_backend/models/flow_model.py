"""What transformers that match flows share: patches, shifted noise levels, and T5's long texts."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import diffusers
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.fields import Scheduler

from ..engine.multidiffusion import WindowContext
from ..engine.step_cache import RowMemory
from ..engine.windows import Size
from .adapters.block_fits import sees_pixels
from .adapters.block_residuals import sees_unshifted
from .adapters.control_input import ControlInput
from .adapters.learned import PICTURE_LAYERS, LearnedLora
from .autoencoder import tiled_vae
from .device.memory import spare_bytes
from .latent_model import LatentModel, TextEncoding
from .schedulers import make_scheduler
from .step_cache import CachedBlocks, can_leave_out
from .text.chat import Template, chat_tokens

_MOST_ROWS = 16

_ALIVE_IN_A_ROW = 24
"""Activations of all tokens that may exist at once for a row."""


class WindowShiftedEuler(diffusers.FlowMatchEulerDiscreteScheduler):
    """Euler's steps with noise levels shifted for pictures of a window's size.

    Where the shift follows the size of the picture, it is the window's, not the canvas': that is
    what the model sees. `evenly`: levels fall evenly from 1 to 1 / steps before the shift.
    """

    tokens = 4096
    """Tokens of one window."""
    evenly = False

    def set_timesteps(self, num_inference_steps: int, device: torch.device | None = None) -> None:
        levels = None
        if self.evenly:
            levels = np.linspace(1.0, 1 / num_inference_steps, num_inference_steps).tolist()
        super().set_timesteps(
            num_inference_steps,
            device,
            sigmas=levels,
            mu=self._shift_of_window(num_inference_steps),
        )

    def stretch_shift_to_terminal(self, t: Any) -> Any:
        """As diffusers'; a single step begins and ends with nothing but noise, and stays there."""
        return t if float(t[-1]) == 1 else super().stretch_shift_to_terminal(t)

    def _shift_of_window(self, steps: int) -> float:  # noqa: ARG002  of these, however many they are
        """The line through the shifts of the smallest and the largest size (Esser et al. 2024)."""
        config = self.config
        slope = (config.max_shift - config.base_shift) / (
            config.max_image_seq_len - config.base_image_seq_len
        )
        return config.base_shift + slope * (self.tokens - config.base_image_seq_len)


class FlowModel(LatentModel):
    """A transformer over patches of a window, with positions of the patches inside the window."""

    patch: ClassVar[int] = 2
    """Cells on a side of a patch."""
    evenly: ClassVar[bool] = False
    """See `WindowShiftedEuler`."""
    scheduler_class: ClassVar[type[WindowShiftedEuler]] = WindowShiftedEuler

    _transformer: Any

    @abstractmethod
    def _ask(
        self,
        transformer: Any,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        shown: Sequence[ControlInput],
        references: Sequence[Tensor],
    ) -> Tensor:
        """The prediction [B, C, h, w] for whole patches and one timestep in 0..1000 for each row.

        latents as in `predict`; what is shown, and references [B, C, ...], in whole patches too.
        """

    @property
    def cell_step(self) -> int:  # type: ignore[override]
        return self.patch

    @property
    def row_bytes(self) -> int:
        return self._tokens * self._width * _ALIVE_IN_A_ROW * self.dtype.itemsize

    @property
    def batch_size(self) -> int:
        return min(max(spare_bytes(self.device) // self.row_bytes, 1), _MOST_ROWS)

    def make_scheduler(self, name: Scheduler = "checkpoint", window: Size | None = None) -> Any:
        own = self._scheduler
        euler = type(own) is diffusers.FlowMatchEulerDiscreteScheduler
        if not euler or name not in {"checkpoint", "flow_euler"}:
            return make_scheduler(name, own)
        scheduler = self.scheduler_class.from_config(own.config)
        scheduler.tokens = self._tokens if window is None else self._tokens_of(window)
        scheduler.evenly = self.evenly
        return scheduler

    @torch.no_grad()
    def predict(
        self,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        contexts: Sequence[WindowContext] = (),
        shown: Sequence[ControlInput] = (),
    ) -> Tensor:
        height, width = latents.shape[-2:]
        whole = self._whole(latents.to(self.dtype), width)
        seen = [each._replace(pictures=self._whole(each.pictures, width)) for each in shown]
        pictures = zip(*(context.references for context in contexts), strict=True)
        beside = [torch.cat(each).to(self.device, self.dtype) for each in pictures]
        beside = [self._whole(each, each.shape[-1]) for each in beside]
        timesteps = timestep.to(self.device).expand(len(latents))

        def ask(transformer: Any) -> Tensor:
            given = transformer, whole, timesteps, conditions
            memories = [each.memory for each in contexts if each.memory is not None]
            # Layers that come one by one are fetched in a fixed order; what steers later blocks
            # does not show in the first.
            remembers = memories and not seen and not self._parts.is_streamed("transformer")
            if remembers:
                made = self._ask_what_changed(*given, beside, memories)
            else:
                made = self._ask(*given, seen, beside)
            return made[..., :height, :width]

        if len(latents) > 1:  # as a U-Net: fewer rows are tried first
            return ask(self._parts.use("transformer"))
        return self._parts.run("transformer", ask)

    @property
    def remembers_steps(self) -> bool:  # type: ignore[override]
        return can_leave_out(self._transformer)

    def _ask_what_changed(
        self,
        transformer: Any,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        references: Sequence[Tensor],
        memories: Sequence[RowMemory],
    ) -> Tensor:
        """As `_ask`; rows that hardly change are evaluated as far as their first block."""
        made: dict[int, Tensor] = {}
        for group in self._asked_together(conditions):

            def ask(numbers: Sequence[int], group: Sequence[int] = group) -> Tensor:
                rows = [group[number] for number in numbers]
                beside = [each[rows] for each in references]
                given = latents[rows], timestep[rows], conditions[rows]
                return self._ask(transformer, *given, (), beside)

            remembered = [memories[row] for row in group]
            tokens = self._tokens_of(Size(*latents.shape[-2:]))
            made |= zip(group, self._cached_blocks.evaluate(remembered, tokens, ask), strict=True)
        return torch.stack([made[row] for row in range(len(latents))])

    def _asked_together(self, conditions: Tensor) -> list[list[int]]:
        """The rows of each call of the transformer."""
        return [list(range(len(conditions)))]

    @cached_property
    def _cached_blocks(self) -> CachedBlocks:
        return CachedBlocks(self._transformer)

    def new_lora(self, rank: int, layers: tuple[str, ...] = PICTURE_LAYERS) -> LearnedLora:
        return LearnedLora("transformer", self._transformer, rank, self.device, layers)

    def predict_with_gradient(
        self,
        latents: Tensor,
        timesteps: Tensor,
        conditions: Tensor,
        contexts: Sequence[WindowContext] = (),  # noqa: ARG002  as in `predict`
    ) -> Tensor:
        transformer = self._parts.use("transformer")
        if self._parts.is_streamed("transformer"):
            raise MemoryError("layers that come and go pass on no gradient")
        height, width = latents.shape[-2:]
        whole = self._whole(latents.to(self.dtype), width)
        asked = self._ask(transformer, whole, timesteps, conditions.to(self.dtype), (), ())
        return asked[..., :height, :width]

    def spare_gradients(self) -> None:
        self._transformer.enable_gradient_checkpointing()

    @torch.no_grad()
    def prepare_control(self, network: Any, picture: Tensor) -> Tensor:
        """The latents of this picture alone, as if it were the whole."""
        pixels = (picture.to(self.device) / 127.5 - 1).to(self.dtype)
        if sees_pixels(network):
            return pixels
        if not sees_unshifted(network):
            return self.encode(pixels)
        latents = self._precisely(tiled_vae.encode, pixels)
        return latents * self._scales(latents)[1]

    def _whole(self, values: Tensor, width: int) -> Tensor:
        """Cells, or pixels, of a window that is so many cells wide: continued to whole patches."""
        side = self.patch * values.shape[-1] // width
        height, width = values.shape[-2:]
        return functional.pad(values, (0, -width % side, 0, -height % side), mode="replicate")

    @property
    def _width(self) -> int:
        """Of the transformer's states."""
        config = self._transformer.config
        return int(config.num_attention_heads * config.attention_head_dim)

    @property
    def _tokens(self) -> int:
        return self._tokens_of(Size(self.window, self.window))

    def _tokens_of(self, window: Size) -> int:
        return math.prod(math.ceil(side / self.patch) for side in window)

    def _read_part(
        self,
        number: str,
        text: str,
        longest: int,
        take: Callable[[Any], tuple[Tensor, Tensor | None]],
    ) -> TextEncoding:
        """What a text encoder makes of a text: `take` gives states and pooled of its output."""
        chunks = self._chunks(f"tokenizer{number}", text, longest)
        ids = chunks.ids.to(self.device)
        states, pooled = self._parts.run(
            f"text_encoder{number}", lambda part: take(part(ids, output_hidden_states=True))
        )
        return TextEncoding(
            states.to(self.dtype),
            chunks.offsets,
            None if pooled is None else pooled.to(self.dtype),
            chunks.unread,
        )

    def _read_chat(
        self,
        text: str,
        template: Template,
        longest: int,
        take: Callable[[Sequence[Tensor]], Tensor],
        *,
        filled: bool = False,
    ) -> TextEncoding:
        """What a language model makes of a text: `take` gives states of those of its layers."""
        tokenizer = self._tokenizers["tokenizer"]
        chunks = chat_tokens(tokenizer, text, template, longest, filled=filled)
        ids, attended = chunks.ids.to(self.device), chunks.attended.to(self.device)
        asked = {"attention_mask": attended, "output_hidden_states": True, "use_cache": False}
        states = self._parts.run(
            "text_encoder", lambda part: take(part(ids, **asked).hidden_states)
        )
        return TextEncoding(states.to(self.dtype), chunks.offsets, None, chunks.unread)

    def _read_nothing(self) -> Sequence[TextEncoding]:
        """Where places in a text count, the last thing that is said of no text.

        Its tokens have no counterparts in an empty text, as those have that are filled up.
        """
        if not self.places_in_texts:
            return super()._read_nothing()
        return [each._replace(states=each.states[:, -1:]) for each in self._read("")]


def by_length(ask: Callable[[Sequence[int], Tensor], Tensor], texts: Sequence[Tensor]) -> Tensor:
    """What `ask` makes of each row, given those whose texts are as long together.

    So no row's text is filled up, and none of it has to be hidden again. ask: (rows, their texts
    [N, T, D]) -> a result for each of them.
    """
    made: dict[int, Tensor] = {}
    for rows in rows_by_length(texts):
        made |= zip(rows, ask(rows, torch.stack([texts[row] for row in rows])), strict=True)
    return torch.stack([made[row] for row in range(len(texts))])


def rows_by_length(texts: Sequence[Tensor]) -> list[list[int]]:
    """The numbers of the texts that are as long as each other, the first ones first."""
    alike: dict[int, list[int]] = {}
    for row, text in enumerate(texts):
        alike.setdefault(len(text), []).append(row)
    return list(alike.values())
