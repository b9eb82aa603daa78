"""What the checkpoints of all families share: texts that are kept, the autoencoder, the scheduler.

How a family reads a text and calls its network is in its own module.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.fields import Scheduler
from tapestry_protocol.sentences import Sentence, quoted

from ..checkpoints.catalogue import Checkpoint
from ..checkpoints.shapes import vae_cell_px, vae_channels
from ..engine.multidiffusion import Rescale, WindowContext
from ..engine.windows import NO_CONTEXT, Size
from ..prompts.weights import read_weights
from .adapters.learned import PICTURE_LAYERS, KeyLocked, LearnedLora
from .adapters.manager import AdapterManager
from .attention_pairs import AttentionPair, Taken, TokenMap
from .autoencoder import tiled_vae
from .autoencoder.banded_attention import attend_in_bands
from .device.card_settings import CardSettings
from .device.memory import spare_bytes
from .device.offloading import Offloader
from .loading.parts import Parts, load_parts
from .schedulers import make_scheduler
from .text.pack_conditioning import pack, unpack
from .text.prompt_weights import weigh
from .text.text_chunks import Chunks, chunks_of

_PREVIEW_FIT_CELLS = 16

_WHOLE_WINDOWS = 4
"""Canvases larger than so many windows are decoded in bands where that costs next to nothing."""

_GUIDANCE_RESCALE = 0.7
"""As Lin et al. (2024) recommend."""

_DAMPING = 1e-2
"""Of the mean variance, added to how states vary together: few texts leave that nearly singular."""

_MOST_TEXTS, _MOST_TEXT_BYTES = 64, 256 * 2**20
"""Encoded texts that are kept; one of Stable Diffusion's takes 231 KiB, one of FLUX.2's 12 MiB."""


class TextEncoding(NamedTuple):
    """What one text encoder makes of a text.

    states     [1, T, D], and `offsets`: the place of each of the T tokens in the text
    pooled     [1, P]: the text as a whole; None where the encoder has no pooled output
    unread     the end of the text that it did not read
    """

    states: Tensor
    offsets: Sequence[tuple[int, int]]
    pooled: Tensor | None = None
    unread: str = ""


class LatentModel(ABC):
    """A checkpoint on its device; see `Denoiser` for what each method gives.

    A family's class says how it reads texts (`_encode_anew`, `_join`) and asks its backbone
    (`predict`). Raises TapestryError when the checkpoint's files are not what its configuration
    says.
    """

    distilled = False
    clip_skip = 0
    knows_clip_skip = True
    remembers_steps = False
    packed = 1
    """Cells of the autoencoder on a side of one of ours, which has as many more channels."""
    places_in_texts = False
    """Whether the backbone knows each token's place in its text: then none is repeated."""
    longest = math.inf
    cell_step: int

    def __init__(
        self,
        entry: Checkpoint,
        device: torch.device,
        dtype: torch.dtype,
        parts: Parts | None = None,
        card: CardSettings | None = None,
    ) -> None:
        self.id = entry.id
        self.references = entry.references
        self.variant = entry.variant
        self._seen = ""
        """What texts are read beside: another text to the model for each picture."""
        self.device = device
        self.dtype = dtype
        parts = parts or load_parts(entry, dtype)
        self._tokenizers = parts.tokenizers
        self._scheduler = parts.scheduler
        self._options: Mapping[str, Any] = parts.options
        for part in parts.modules.values():
            part.requires_grad_(requires_grad=False)  # what is learned here lies beside them
        self._vae: Any = parts.modules["vae"]
        attend_in_bands(self._vae)
        self._keep(parts)
        card = card or CardSettings()
        if "transformer" in parts.modules:
            card.prepare(parts.modules["transformer"], dtype)
        # The autoencoder has ways of its own to make do with less.
        streamable = parts.modules.keys() - {"vae"}
        self._parts = Offloader(
            parts.modules, device, streamable=streamable, in_layers=card.in_layers
        )
        self.adapter_manager = AdapterManager(
            entry.id, parts.modules, parts.tokenizers, device, dtype, self._parts
        )
        self._texts: OrderedDict[Any, Sequence[TextEncoding]] = OrderedDict()
        self.cell_px = self.packed * vae_cell_px(self._vae.config)
        self.window = entry.window_px // self.cell_px
        self.channels = vae_channels(self._vae.config) * self.packed**2

    @property
    def guidance_rescale(self) -> Rescale:
        """How much of what guidance adds is removed; see `guide`.

        What a checkpoint needs that predicts velocities and was trained up to pure noise.
        """
        config = self._scheduler.config
        velocity = config.get("prediction_type") == "v_prediction"
        return _GUIDANCE_RESCALE if velocity and config.get("rescale_betas_zero_snr") else 0.0

    @property
    @abstractmethod
    def row_bytes(self) -> int:
        """As in `Denoiser`."""

    @abstractmethod
    def _keep(self, parts: Parts) -> None:
        """Take what the family needs of the loaded parts."""

    @abstractmethod
    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        """What each text encoder makes of a text without weights."""

    def _join(
        self,
        states: Sequence[Tensor],
        readings: Sequence[TextEncoding],  # noqa: ARG002  most say nothing of a text as a whole
    ) -> tuple[Tensor, ...]:
        """Tokens [1, T, D], and pooled [1, P] where the family reads that.

        states: those of the readings, weighted.
        """
        return (states[0],)

    def make_scheduler(
        self,
        name: Scheduler = "checkpoint",
        window: Size | None = None,  # noqa: ARG002  the noise levels do not depend on it
    ) -> Any:
        return make_scheduler(name, self._scheduler)

    def encode_prompts(
        self, prompts: Sequence[str], guidance_scales: Sequence[float] | None = None
    ) -> Tensor:
        scales = [1.0] * len(prompts) if guidance_scales is None else guidance_scales
        rows = []
        for prompt, scale in zip(prompts, scales, strict=True):
            tokens, *vectors = self._encode_prompt(prompt)
            if self.distilled:
                vectors.append(tokens.new_full((1, 1), scale))
            rows.append(pack(tokens, vectors))
            self._vector_rows = rows[-1].shape[1] - tokens.shape[1]
        return self.stacked(rows)

    def stacked(self, conditions: Sequence[Tensor]) -> Tensor:
        """Conditions as one tensor. Shorter ones are repeated, which attention does not notice.

        It weighs each token by its share of all, and all have as many copies. Where it would notice
        they end with zeros, which `_texts_of` takes away again.
        """
        rows = self._vector_rows
        lengths = [each.shape[1] - rows for each in conditions]
        if len(set(lengths)) == 1:
            return torch.cat(list(conditions))
        longest = max(lengths) if self.places_in_texts else math.lcm(*lengths)
        tokens = [
            functional.pad(each[:, :length], (0, 0, 0, longest - length))
            if self.places_in_texts
            else each[:, :length].repeat(1, longest // length, 1)
            for each, length in zip(conditions, lengths, strict=True)
        ]
        vectors = [each[:, length:] for each, length in zip(conditions, lengths, strict=True)]
        return torch.cat([torch.cat(tokens), torch.cat(vectors)], dim=1)

    @staticmethod
    def _texts_of(tokens: Tensor) -> list[Tensor]:
        """Tokens [N, T, D] -> those of each text, without the zeros behind it."""
        said = (tokens != 0).any(dim=-1)
        lengths = (said * torch.arange(1, said.shape[1] + 1, device=said.device)).amax(dim=1)
        return [
            each[: max(length, 1)] for each, length in zip(tokens, lengths.tolist(), strict=True)
        ]

    def unread(self, prompt: str) -> str:
        """The end of a prompt that is longer than the model reads; empty for nearly all."""
        weighted = read_weights(self.adapter_manager.vocabulary.spell(prompt))
        ends = [reading.unread for reading in self._read(weighted.text) if reading.offsets]
        return min(ends, key=len) if all(ends) else ""

    def _encode_prompt(self, prompt: str) -> tuple[Tensor, ...]:
        """Each text alone, so that its numbers do not depend on who was encoded beside it."""
        weighted = read_weights(self.adapter_manager.vocabulary.spell(prompt))
        readings = self._read(weighted.text)
        states = [reading.states for reading in readings]
        if weighted.spans:
            states = [
                weigh(reading.states, nothing.states, [weighted], [reading.offsets])
                for reading, nothing in zip(readings, self._read_nothing(), strict=True)
            ]
        return self._join(states, readings)

    def encode_with_gradient(self, prompt: str) -> Tensor:
        text = self.adapter_manager.vocabulary.spell(prompt)
        readings = self._encode_anew(text)
        tokens, *vectors = self._join([reading.states for reading in readings], readings)
        packed = pack(tokens, vectors)
        self._vector_rows = packed.shape[1] - tokens.shape[1]
        return packed

    def word_deviation(self, encoder: str) -> float:
        network: Any = self.adapter_manager.networks[encoder]
        return float(network.get_input_embeddings().weight.float().std())

    @torch.no_grad()
    def state_of(self, prompt: str, part: str) -> Tensor:
        states, places = self._states_of(prompt, part)
        return states[places[-1]]

    @torch.no_grad()
    def states_from(self, prompt: str, part: str) -> Tensor:
        states, places = self._states_of(prompt, part)
        return states[places[0] if places else 0 :]

    def _states_of(self, prompt: str, part: str) -> tuple[Tensor, list[int]]:
        """What is read of a prompt [T, D], and the places of a part's tokens in it."""
        spell = self.adapter_manager.vocabulary.spell
        text, said = spell(prompt), spell(part)
        start = text.rfind(said)
        readings = self._encode_anew(text)
        states = self._join([reading.states for reading in readings], readings)[0][0]
        places = [
            place
            for place, (begin, end) in enumerate(readings[0].offsets)
            if start <= begin < end <= start + len(said)
        ]
        return states.float(), places

    def random_texts(self, count: int) -> list[str]:
        words = sorted(
            word.removesuffix("</w>")
            for word in self._tokenizers["tokenizer"].get_vocab()
            if word.endswith("</w>") and word.removesuffix("</w>").isalpha()
        )
        chosen = torch.randint(
            len(words), (count, 3), generator=torch.Generator("cpu").manual_seed(0)
        )
        return [" ".join(words[number] for number in numbers) for numbers in chosen.tolist()]

    @torch.no_grad()
    def whitened_states(self, count: int) -> Tensor:
        rows = []
        for text in self.random_texts(count):
            readings = self._encode_anew(text)
            states = self._join([reading.states for reading in readings], readings)[0][0]
            said = [place for place, (begin, end) in enumerate(readings[0].offsets) if begin < end]
            rows.append(states[said].float())
        known = torch.cat(rows)
        covariance = known.T @ known / len(known)
        damped = covariance + _DAMPING * covariance.diagonal().mean() * torch.eye(
            len(covariance), device=covariance.device
        )
        return torch.linalg.inv(damped)

    def forget_texts(self) -> None:
        self._texts.clear()

    def _read_nothing(self) -> Sequence[TextEncoding]:
        """What a heavier word moves away from."""
        return self._read("")

    def _read(self, text: str) -> Sequence[TextEncoding]:
        """From an earlier job where there was one."""
        key = (text, self.adapter_manager.active, self.clip_skip, self._seen)
        known = self._texts.pop(key, None)
        with torch.no_grad():
            readings = self._encode_anew(text) if known is None else known
        self._texts[key] = readings  # the last one used is the last one forgotten
        room = min(_MOST_TEXTS, _MOST_TEXT_BYTES // sum(each.states.nbytes for each in readings))
        while len(self._texts) > max(room, 1):
            self._texts.popitem(last=False)
        return readings

    def _layer(self, hidden_states: Sequence[Tensor], usual: int) -> Tensor:
        """What CLIP says at a layer before its end, `usual` of them or more as the job asks.

        Raises TapestryError when there are no more.
        """
        back = usual + self.clip_skip
        if back >= len(hidden_states) - 1:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                Sentence(
                    "The model's text encoder has {count} layers: {skip} cannot be left out.",
                    count=len(hidden_states) - 1,
                    skip=self.clip_skip,
                ),
                "Choose a smaller clip skip.",
            )
        return hidden_states[-1 - back]

    def _unpack(self, conditions: Tensor, *sizes: int) -> tuple[Tensor, list[Tensor]]:
        """Tokens, vectors of these sizes, and the guidance scales [B, 1] of a distilled model."""
        return unpack(conditions, (*sizes, 1) if self.distilled else sizes)

    def _chunks(self, name: str, text: str, longest: int, most: int = 1) -> Chunks:
        """One tokenizer's tokens of a text, as many as the model reads, with their places."""
        unsaid = self.adapter_manager.vocabulary.unsaid(name)
        return chunks_of(self._tokenizers[name], text, longest, most, unsaid)

    def looking_at(self, pictures: Sequence[Tensor]) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    # A family whose attention can be changed, or that can learn, has these of its own.

    def token_map(self, source: str, target: str) -> TokenMap:  # noqa: ARG002
        raise _keeps_no_shapes()

    def shapes_taken_over(
        self,
        pairs: Sequence[AttentionPair],  # noqa: ARG002
        row_count: int,  # noqa: ARG002
        taken: Taken,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        raise _keeps_no_shapes()

    def new_lora(
        self,
        rank: int,  # noqa: ARG002
        layers: tuple[str, ...] = PICTURE_LAYERS,  # noqa: ARG002
    ) -> LearnedLora:
        raise _learns_nothing(self.id)

    def new_key_locked(self) -> KeyLocked:
        raise _learns_nothing(self.id)

    def predict_with_gradient(
        self,
        latents: Tensor,  # noqa: ARG002
        timesteps: Tensor,  # noqa: ARG002
        conditions: Tensor,  # noqa: ARG002
        contexts: Sequence[WindowContext] = (),  # noqa: ARG002
    ) -> Tensor:
        raise _learns_nothing(self.id)

    def spare_gradients(self) -> None:
        raise _learns_nothing(self.id)

    def encode_collage(
        self,
        prompts: Sequence[str],  # noqa: ARG002
        whole: str,  # noqa: ARG002
        guidance_scale: float = 1.0,  # noqa: ARG002
    ) -> tuple[Tensor, list[int]]:
        raise _places_no_words()

    def attention_biased(
        self,
        biases: Tensor,  # noqa: ARG002
        lengths: Sequence[int],  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        raise _places_no_words()

    def prepare_control(self, _network: Any, picture: Tensor) -> Tensor:
        return picture

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        latents = functional.pixel_unshuffle(self._precisely(tiled_vae.encode, pixels), self.packed)
        mean, scale = self._scales(latents)
        return (latents - mean) * scale

    def shown_picture(self, pixels: Tensor) -> Tensor:
        # InstructPix2Pix was trained on the autoencoder's own latents, without any scale.
        return self._unscaled(self.encode(pixels))

    @torch.no_grad()
    def decode(self, latents: Tensor, context: Size = NO_CONTEXT) -> Tensor:
        budget = int(min(spare_bytes(self.device), self._frugal_bytes))
        seen = Size(*(self.packed * cells for cells in context))
        return self._precisely(
            lambda vae, given: tiled_vae.decode(vae, self._unscaled(given), budget, seen),
            latents,
        )

    def decode_with_gradient(self, latents: Tensor) -> Tensor:
        return self._parts.run("vae", lambda vae: self._decode_whole(vae, latents))

    def preview(self, latents: Tensor) -> Tensor:
        matrix, offset = self._preview_map
        rgb = torch.einsum("rc,bchw->brhw", matrix, latents.to("cpu", torch.float32))
        return (rgb + offset[:, None, None]).clamp(-1, 1)

    def _precisely(self, through: Callable[[Any, Tensor], Tensor], given: Tensor) -> Tensor:
        """What the autoencoder makes of something, with numbers of as many bits as it takes.

        Some autoencoders, that of Stable Diffusion XL first, go beyond half precision on the way
        and give NaN for sound latents. One that does so works in single precision from then on.
        """
        made = self._parts.run(
            "vae",
            lambda vae: through(self._for_pictures(vae), given.to(self.device, self._vae.dtype)).to(
                self.dtype
            ),
        )
        narrow = self._vae.dtype.itemsize < torch.float32.itemsize
        if narrow and _is_finite(given) and not _is_finite(made):
            self._vae.to(torch.float32)
            return self._precisely(through, given)
        return made

    def _decode_whole(self, vae: Any, latents: Tensor) -> Tensor:
        unscaled = self._unscaled(latents.to(vae.dtype))
        return self._for_pictures(vae).decode(unscaled, return_dict=False)[0].to(self.dtype)

    def _for_pictures(self, vae: Any) -> Any:
        """The autoencoder, as one that takes pictures."""
        return vae

    def _unscaled(self, latents: Tensor) -> Tensor:
        mean, scale = self._scales(latents)
        return functional.pixel_shuffle(latents / scale + mean, self.packed)

    def _scales(self, latents: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """What is taken from the autoencoder's own latents, and by what the rest is multiplied.

        Both [] or [1, C, 1, 1].
        """
        config = self._vae.config
        mean, deviation = (config.get(name) for name in ("latents_mean", "latents_std"))
        if mean is None or deviation is None:
            return config.get("shift_factor") or 0.0, config.scaling_factor
        mean, deviation = (
            torch.tensor(values).to(latents).repeat_interleave(self.packed**2)[None, :, None, None]
            for values in (mean, deviation)
        )
        return mean, config.get("scaling_factor", 1.0) / deviation

    @cached_property
    def decodes_locally(self) -> bool:
        return tiled_vae.decodes_locally(self._for_pictures(self._vae))

    @cached_property
    def _frugal_bytes(self) -> float:
        cells = _WHOLE_WINDOWS * (self.window * self.packed) ** 2
        return tiled_vae.frugal_bytes(self._for_pictures(self._vae), cells)

    @cached_property
    def _preview_map(self) -> tuple[Tensor, Tensor]:
        """A linear map from latents to colours, fitted to this checkpoint's own autoencoder.

        Encodes one picture of smooth random colours and solves for the 3 x C matrix and the offset
        that explain it best: a preview costs nothing then and needs no file for each family.
        """
        generator = torch.Generator("cpu").manual_seed(0)
        cells = _PREVIEW_FIT_CELLS
        coarse = torch.rand(1, 3, cells // 2, cells // 2, generator=generator) * 2 - 1
        size = cells * self.cell_px
        pixels = functional.interpolate(coarse, (size, size), mode="bilinear")
        latents = self.encode(pixels).to("cpu", torch.float32)[0].flatten(1).T
        colours = functional.avg_pool2d(pixels, self.cell_px)[0].flatten(1).T
        ones = torch.ones(latents.shape[0], 1)
        solution = torch.linalg.lstsq(torch.cat([latents, ones], dim=1), colours).solution
        return solution[:-1].T.contiguous(), solution[-1]


def _keeps_no_shapes() -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        "This model's attention cannot be taken over: it keeps no shapes while words change.",
        'Choose the method "diffedit", or a checkpoint of Stable Diffusion.',
    )


def _learns_nothing(name: str) -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        Sentence("The model {name} cannot learn a picture.", name=quoted(name)),
        "Choose another method, or a checkpoint of Stable Diffusion 1, 2 or XL that was not made "
        "for few steps.",
    )


def _places_no_words() -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        "This model's words cannot be given places: its layers do not melt together.",
        'Set "Melt together" to 0, or choose a checkpoint of Stable Diffusion.',
    )


def _is_finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())
