"""Stable-Diffusion-format checkpoints (1.x, 2.x and the bundled one) as a Denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints.catalogue import inpainting_channels
from ..engine.multidiffusion import WindowContext
from ..prompts.weights import read_weights
from .adapters.control_input import ControlInput
from .adapters.learned import PICTURE_LAYERS, KeyLocked, LearnedLora
from .adapters.residuals import residuals
from .attention_bias import attention_biased
from .attention_control import Tokens, map_tokens, shapes_taken_over
from .attention_pairs import AttentionPair, Taken, TokenMap
from .device.memory import spare_bytes
from .latent_model import LatentModel, TextEncoding
from .loading.parts import Parts
from .prefix_sharing import SharedStart
from .text.text_chunks import MOST_CHUNKS, in_a_row

_MOST_ROWS = 16
"""Larger batches take more memory and no less time for a row; see docs/performance.md."""

_ALIVE_IN_A_ROW = 96
"""Activations of the first level that may exist at once for a row, the skips included."""


class StableDiffusion(LatentModel):
    """A U-Net that reads one text encoder's states."""

    def _keep(self, parts: Parts) -> None:
        self._unet: Any = parts.modules["unet"]
        self._text_encoder: Any = parts.modules["text_encoder"]
        self.cell_step = 2 ** max(0, len(self._unet.config.block_out_channels) - 2)
        self._shared_start = SharedStart(self._unet)
        self.inpaints = self._unet.config.in_channels == inpainting_channels(
            self._vae.config.latent_channels
        )
        self.distilled = self._unet.config.time_cond_proj_dim is not None

    @property
    def row_bytes(self) -> int:
        channels = self._unet.config.block_out_channels[0]
        return self.window**2 * channels * _ALIVE_IN_A_ROW * self.dtype.itemsize

    @property
    def batch_size(self) -> int:
        return min(max(spare_bytes(self.device) // self.row_bytes, 1), _MOST_ROWS)

    @torch.no_grad()
    def predict(
        self,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        contexts: Sequence[WindowContext] = (),
        shown: Sequence[ControlInput] = (),
    ) -> Tensor:
        kwargs = self._model_kwargs(latents, conditions, contexts)

        def ask(unet: nn.Module) -> Tensor:
            given = latents.to(self.dtype)
            besides = residuals(shown, given, timestep, kwargs)
            with self._shared_start.among(given):
                return unet(given, timestep, **kwargs, **besides, return_dict=False)[0]

        # The caller can try fewer rows at a time before parts are moved.
        return ask(self._parts.use("unet")) if len(latents) > 1 else self._parts.run("unet", ask)

    def new_lora(self, rank: int, layers: tuple[str, ...] = PICTURE_LAYERS) -> LearnedLora:
        if self.distilled:  # what it was taught is no denoising of one picture
            return super().new_lora(rank, layers)
        return LearnedLora("unet", self._unet, rank, self.device, layers)

    def new_key_locked(self) -> KeyLocked:
        return (
            super().new_key_locked()
            if self.distilled
            else KeyLocked("unet", self._unet, self.device)
        )

    def predict_with_gradient(
        self,
        latents: Tensor,
        timesteps: Tensor,
        conditions: Tensor,
        contexts: Sequence[WindowContext] = (),
    ) -> Tensor:
        unet = self._parts.use("unet")
        if self._parts.is_streamed("unet"):
            raise MemoryError("layers that come and go pass on no gradient")
        kwargs = self._model_kwargs(latents, conditions.to(self.dtype), contexts)
        return unet(latents.to(self.dtype), timesteps, **kwargs, return_dict=False)[0]

    def spare_gradients(self) -> None:
        self._unet.enable_gradient_checkpointing()

    def token_map(self, source: str, target: str) -> TokenMap:
        return map_tokens(self._tokens_of(source), self._tokens_of(target))

    def _tokens_of(self, prompt: str) -> Tokens:
        text = read_weights(self.adapter_manager.vocabulary.spell(prompt)).text
        return Tokens(text, self._read(text)[0].offsets)

    def shapes_taken_over(
        self, pairs: Sequence[AttentionPair], row_count: int, taken: Taken
    ) -> AbstractContextManager[None]:
        return shapes_taken_over(self._unet, pairs, row_count, taken)

    def encode_collage(
        self, prompts: Sequence[str], whole: str, guidance_scale: float = 1.0
    ) -> tuple[Tensor, list[int]]:
        *parts, joint = (self.encode_prompts([p], [guidance_scale]) for p in (*prompts, whole))
        lengths = [part.shape[1] - self._vector_rows for part in parts]
        tokens = [part[:, :length] for part, length in zip(parts, lengths, strict=True)]
        vectors = joint[:, joint.shape[1] - self._vector_rows :]
        return torch.cat([*tokens, vectors], dim=1), lengths

    def attention_biased(
        self, biases: Tensor, lengths: Sequence[int]
    ) -> AbstractContextManager[None]:
        return attention_biased(self._unet, biases.to(self.device), lengths)

    def _model_kwargs(
        self, _latents: Tensor, conditions: Tensor, _contexts: Sequence[WindowContext]
    ) -> dict[str, Any]:
        """The arguments of the U-Net besides latents and timestep."""
        tokens, vectors = self._unpack(conditions)
        return {"encoder_hidden_states": tokens, **self._guidance_kwargs(vectors)}

    def _guidance_kwargs(self, vectors: Sequence[Tensor]) -> dict[str, Any]:
        """The guidance scales of a distilled U-Net: [B, 1] as the last of the vectors.

        They are embedded by sines and cosines, as Latent Consistency Models (Luo et al. 2023) do.
        """
        if not self.distilled:
            return {}
        width = self._unet.config.time_cond_proj_dim
        scales = (vectors[-1].float() - 1) * 1000
        halves = torch.arange(width // 2, device=scales.device) / (width // 2 - 1)
        angles = scales * torch.exp(-torch.log(torch.tensor(10000.0)) * halves)
        embedded = torch.cat([angles.sin(), angles.cos()], dim=1)
        return {"timestep_cond": embedded.to(self.dtype)}

    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        config = self._text_encoder.config
        chunks = self._chunks("tokenizer", text, config.max_position_embeddings, MOST_CHUNKS)
        attention_mask = None
        if getattr(config, "use_attention_mask", False):
            attention_mask = chunks.attended.to(self.device)
        ids = chunks.ids.to(self.device)

        def states_of(part: Any) -> Tensor:
            output = part(ids, attention_mask=attention_mask, output_hidden_states=True)
            if not self.clip_skip:
                return output[0]
            whole = getattr(part, "text_model", part)
            return whole.final_layer_norm(self._layer(output.hidden_states, 0))

        states = self._parts.run("text_encoder", states_of).to(self.dtype)
        return [TextEncoding(in_a_row(states), chunks.offsets, unread=chunks.unread)]
