"""A model whose work is counted, in the place of an ordinary one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ...checkpoints.catalogue import Catalogue
from ...engine.multidiffusion import WindowContext
from ...engine.windows import NO_CONTEXT, Size
from ...models.denoiser import Denoiser
from ...models.model_cache import ModelCache
from .clock import Clock

UNAVOIDABLE = ("unet", "decode", "encode")
"""The U-Net and the autoencoder; everything else in a run is overhead."""

WORK = (*UNAVOIDABLE, "text")
"""What a model does for a run."""


class Metered:
    """A Denoiser that counts its evaluations and its seconds, and keeps what was decoded last.

    batches    how many there were of each size
    """

    def __init__(self, model: Denoiser, clock: Clock) -> None:
        self._model = model
        self._clock = clock
        self.seconds = dict.fromkeys(WORK, 0.0)
        self.batches = Counter[int]()
        self.decoded: Tensor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def evaluations(self) -> int:
        """Rows that went through the model since it was reset."""
        return sum(size * count for size, count in self.batches.items())

    @property
    def weight_bytes(self) -> int:
        """What the model's weights take."""
        parts = (part for part in vars(self._model).values() if isinstance(part, nn.Module))
        return sum(weight.nbytes for part in parts for weight in part.parameters())

    def reset(self) -> None:
        """Count from nothing again."""
        self.seconds = dict.fromkeys(WORK, 0.0)
        self.batches = Counter[int]()

    def encode_prompts(
        self, prompts: Sequence[str], guidance_scales: Sequence[float] | None = None
    ) -> Tensor:
        with self._stage("text"):
            return self._model.encode_prompts(prompts, guidance_scales)

    def predict(
        self,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        contexts: Sequence[WindowContext] = (),
        *shown: Any,
    ) -> Tensor:
        self.batches[len(latents)] += 1
        with self._stage("unet"):
            return self._model.predict(latents, timestep, conditions, contexts, *shown)

    def encode(self, pixels: Tensor) -> Tensor:
        with self._stage("encode"):
            return self._model.encode(pixels)

    def decode(self, latents: Tensor, context: Size = NO_CONTEXT) -> Tensor:
        self.decoded = latents
        with self._stage("decode"):
            return self._model.decode(latents, context)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = self._clock.now()
        yield
        self.seconds[name] += self._clock.now() - start


class MeteredModelCache(ModelCache):
    """A model cache that gives out metered models."""

    def __init__(self, catalogue: Catalogue, device: str | None) -> None:
        super().__init__(catalogue, device)
        self.clock = Clock(self.device)
        self._metered: dict[str, Metered] = {}

    def load(self, model_id: str) -> Metered:
        """The model with this id; raises TapestryError when there is none or it is damaged."""
        if model_id not in self._metered:
            self._metered[model_id] = Metered(super().load(model_id), self.clock)
        return self._metered[model_id]
