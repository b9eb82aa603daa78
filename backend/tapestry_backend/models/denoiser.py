"""The protocol behind which every family of checkpoints runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from tapestry_protocol.fields import Scheduler

from ..checkpoints.adapter_recognition import Adapter
from ..engine.multidiffusion import Rescale, WindowContext
from ..engine.windows import NO_CONTEXT, Size
from .adapters.control_input import ControlInput
from .attention_pairs import AttentionPair, Taken, TokenMap


class Adapters(Protocol):
    """The adapters of one model on its device, loaded when they are first asked for.

    Each method raises TapestryError when an adapter does not fit the model.
    """

    networks: Mapping[str, Any]
    """The model's parts by diffusers' names."""
    vocabulary: Any
    """The words that its text encoders were taught."""

    def activated(self, loras: Sequence[tuple[Adapter, float]]) -> AbstractContextManager[None]:
        """Inside, the model runs with these LoRAs, each with its weight, and no others."""
        ...

    def take_off_loras(self) -> None:
        """The model runs as if none had ever been on."""
        ...

    def notices_about(self, adapter: Adapter) -> tuple[str, ...]:
        """Sentences about a LoRA of which only a part is used."""
        ...

    def control(self, adapter: Adapter) -> Any:
        """The network that is shown a picture."""
        ...

    def ground(self, phrases: Sequence[str], boxes: Sequence[Any], width: float) -> Any:
        """Boxes (`adapters.grounding`) on a canvas of this width, for a U-Net that reads them."""
        ...


class Denoiser(Protocol):
    """A loaded checkpoint on `device`; its results are in `dtype`, what it is given need not be."""

    id: str
    window: int
    """The side of the square that the model paints best, in latent cells."""
    cell_step: int
    """Cells that the sides of other windows should be multiples of, for its layers to halve."""
    longest: float
    """Cells on a side that it can see at once; a draft may be longer than a window."""
    cell_px: int
    """Pixels on a side of a latent cell."""
    channels: int
    """C, the channels of the latents."""
    inpaints: bool
    """Whether the known part of the picture is an input as well; see `predict`."""
    distilled: bool
    """Whether guidance was distilled into the model: it takes the scale with the prompt, and
    negative prompts are not evaluated."""
    references: int
    """Pictures that it can be shown at once beside what it paints, as `encode` gives them; see
    `WindowContext`."""
    clip_skip: int
    """Layers of CLIP that are left out at its end when prompts are read; each job sets its own."""
    knows_clip_skip: bool
    """Whether that changes anything."""
    remembers_steps: bool
    """Whether `predict` reads the memories of `WindowContext`."""
    device: torch.device
    dtype: torch.dtype
    adapter_manager: Adapters
    """The adapters that can be laid on it, or shown to it."""

    @property
    def guidance_rescale(self) -> Rescale:
        """How much of what guidance adds is removed; see `guide`."""
        ...

    @property
    def decodes_locally(self) -> bool:
        """Whether a cell's pixels depend on its neighbours alone: no norm sees the whole picture.

        Then cells that are only seen (`decode`) change nothing but the pixels beside them.
        """
        ...

    @property
    def row_bytes(self) -> int:
        """What one row's activations take in `predict`, about."""
        ...

    @property
    def batch_size(self) -> int:
        """Rows per call of `predict`, by speed and by free memory."""
        ...

    def make_scheduler(self, name: Scheduler = "checkpoint", window: Size | None = None) -> Any:
        """A scheduler of diffusers with the noise the checkpoint was trained with, for one job.

        window: the size, in cells, that the noise levels of some depend on; None: the square's.
        Raises TapestryError when the two do not fit.
        """
        ...

    def encode_prompts(
        self, prompts: Sequence[str], guidance_scales: Sequence[float] | None = None
    ) -> Tensor:
        """Prompts -> conditions [N, T, D]: all that `predict` needs of each.

        `(word:1.2)` gives a word more to say, or less. Only a distilled model reads the scales.
        """
        ...

    def looking_at(self, pictures: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Inside, texts are read about these pictures, where the model reads them so.

        pictures: [1, 3, H, W] in -1..1 each; to a model that reads about one alone, the first
        """
        ...

    def stacked(self, conditions: Sequence[Tensor]) -> Tensor:
        """Conditions of several calls, of texts of any length, as one tensor [K, T, D]."""
        ...

    def unread(self, prompt: str) -> str:
        """The end of a prompt that is longer than the model reads; empty for nearly all."""
        ...

    def predict(
        self,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        contexts: Sequence[WindowContext] = (),
        shown: Sequence[ControlInput] = (),
    ) -> Tensor:
        """The model's output [B, C, h, w] for latents [B, C, h, w] at one timestep [].

        contexts    where each row lies on its canvas; without them each is a picture of its own
        shown       what control networks are shown, as `prepare_control` gives it

        A model that inpaints takes [B, 2 C + 1, h, w]: the latents, a mask (1 = paint here), and
        the latents of the picture with mid-grey where it is to be painted. One that follows
        instructions takes [B, 2 C, h, w]: the latents, and `shown_picture`.
        """
        ...

    def encode_with_gradient(self, prompt: str) -> Tensor:
        """As `encode_prompts` for one prompt without weights, for autograd, and never kept."""
        ...

    def word_deviation(self, encoder: str) -> float:
        """How far the numbers of a text encoder's word vectors lie from each other."""
        ...

    def state_of(self, prompt: str, part: str) -> Tensor:
        """What the backbone reads at the last token of a part of a prompt: [D]."""
        ...

    def states_from(self, prompt: str, part: str) -> Tensor:
        """What it reads from the first token of a part on to the end, padding and all: [T, D].

        Of a part without tokens, all of the prompt.
        """
        ...

    def random_texts(self, count: int) -> list[str]:
        """Texts of three words that its tokenizer knows; the same ones every time."""
        ...

    def whitened_states(self, count: int) -> Tensor:
        """The inverse [D, D] of how tokens vary together, over so many texts of random words."""
        ...

    def forget_texts(self) -> None:
        """Let go of the encoded texts that are kept: a word means something else now."""
        ...

    def new_lora(self, rank: int, layers: tuple[str, ...] = ...) -> Any:
        """A LoRA (`adapters.learned`) of its network; raises TapestryError where it has none.

        layers: how the names of the layers end that it changes.
        """
        ...

    def new_key_locked(self) -> Any:
        """A `KeyLocked` (`adapters.learned`) of its network; raises TapestryError likewise."""
        ...

    def predict_with_gradient(
        self,
        latents: Tensor,
        timesteps: Tensor,
        conditions: Tensor,
        contexts: Sequence[WindowContext] = (),
    ) -> Tensor:
        """As `predict`, for autograd, at a timestep for each row [B].

        Raises MemoryError where the network is not on the device as a whole.
        """
        ...

    def spare_gradients(self) -> None:
        """From now on compute what gradients need twice, rather than keep it."""
        ...

    def token_map(self, source: str, target: str) -> TokenMap:
        """What attention to the words of one prompt means for those of another.

        Raises TapestryError where a model's attention cannot be taken over.
        """
        ...

    def shapes_taken_over(
        self, pairs: Sequence[AttentionPair], row_count: int, taken: Taken
    ) -> AbstractContextManager[None]:
        """Inside, `predict` with `row_count` rows gives some the shapes of others."""
        ...

    def encode_collage(
        self, prompts: Sequence[str], whole: str, guidance_scale: float = 1.0
    ) -> tuple[Tensor, list[int]]:
        """Prompts in a row, each read by itself, as one condition [1, T, D]; and their tokens.

        whole: all of it as one text, for what a model reads besides tokens. Raises TapestryError
        where a model's attention cannot be biased.
        """
        ...

    def attention_biased(
        self, biases: Tensor, lengths: Sequence[int]
    ) -> AbstractContextManager[None]:
        """Inside, `predict` with B rows attends to some prompts more, and to others less.

        biases [B, P, h, w]: what is added to the scores of the prompts of `encode_collage`, of
        which each has so many tokens, at each cell of a window.
        """
        ...

    def prepare_control(self, network: Any, picture: Tensor) -> Tensor:
        """What a control network is shown of a picture [1, 3, H, W] uint8: as many rows."""
        ...

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in -1..1 -> latents [B, C, H / cell_px, W / cell_px]."""
        ...

    def shown_picture(self, pixels: Tensor) -> Tensor:
        """Pixels as in `encode`, as a model that follows instructions sees them: [B, C, h, w]."""
        ...

    def decode(self, latents: Tensor, context: Size = NO_CONTEXT) -> Tensor:
        """Latents [B, C, h, w] -> pixels [B, 3, h * cell_px, w * cell_px] in -1..1.

        Without the outermost cells, as many as `context` says above and below, and at both sides:
        they are only seen.
        """
        ...

    def decode_with_gradient(self, latents: Tensor) -> Tensor:
        """As `decode`, whole and for autograd: for a few windows at a time."""
        ...

    def preview(self, latents: Tensor) -> Tensor:
        """Latents [B, C, h, w] -> a rough picture [B, 3, h, w] in -1..1, at hardly any cost."""
        ...
