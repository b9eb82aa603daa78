"""Loads and activates a model's adapters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ...checkpoints.adapter_catalogue import in_part, misfit, ungrounded
from ...checkpoints.adapter_recognition import Adapter
from ..device.offloading import Offloader
from .block_residuals import BLOCK_FAMILIES, load_block_control
from .grounding import KINDS, Box, Grounding
from .lora import Changes, Deltas, Hooks, by_layer, load_lora
from .references import ReferenceAdapter
from .residuals import load_control
from .vocabulary import Vocabulary

_MOST_KEPT = 8
"""Adapters of each kind that are kept; the least recently used goes first."""


class AdapterManager:
    """The adapters of one model on its device.

    networks: the model's parts by diffusers' names, such as "unet" and "text_encoder". offloader:
    which of them are on the device; control networks come and go with the backbone.
    """

    def __init__(
        self,
        model_id: str,
        networks: Mapping[str, nn.Module],
        tokenizers: Mapping[str, Any],
        device: torch.device,
        dtype: torch.dtype,
        offloader: Offloader,
    ) -> None:
        self._model_id = model_id
        self._offloader = offloader
        self.networks = networks
        self._place = device, dtype
        self._loras: OrderedDict[str, Deltas] = OrderedDict()
        self._hooks = Hooks()
        self._changes: OrderedDict[tuple[tuple[str, float], ...], Changes] = OrderedDict()
        self._controls: OrderedDict[str, nn.Module | ReferenceAdapter] = OrderedDict()
        self.active: tuple[tuple[str, float], ...] = ()
        """The LoRAs that are laid on just now, with their weights: texts read otherwise then."""
        self.vocabulary = Vocabulary(model_id, tokenizers, networks)

    @contextmanager
    def activated(self, loras: Sequence[tuple[Adapter, float]]) -> Iterator[None]:
        """Inside, the model runs with these LoRAs and no others.

        Raises TapestryError when one does not fit.
        """
        found = [(self._lora(adapter), weight) for adapter, weight in loras]
        chosen = tuple((adapter.id, weight) for adapter, weight in loras)
        before, self.active = self.active, chosen
        try:
            with self._hooks.on(_kept(self._changes, chosen, lambda: by_layer(found))):
                yield
        finally:
            self.active = before

    def take_off_loras(self) -> None:
        """The model runs as if none had ever been on; their hooks are called at every layer."""
        self._hooks.remove()

    def notices_about(self, adapter: Adapter) -> tuple[str, ...]:
        """Sentences about a LoRA of which only a part is used."""
        unused = [adapter.unused, getattr(self._loras.get(adapter.id), "unused", None)]
        return tuple(in_part(adapter, part).message for part in unused if part is not None)

    def control(self, adapter: Adapter) -> nn.Module | ReferenceAdapter:
        """What is shown a picture, loaded; raises TapestryError when it does not fit."""
        return _kept(self._controls, adapter.id, lambda: self._load(adapter), self._forget)

    def ground(self, phrases: Sequence[str], boxes: Sequence[Box], width: float) -> Grounding:
        """Boxes for a U-Net that reads them; raises TapestryError when this one does not."""
        unet: Any = self.networks.get("unet")
        if unet is None or unet.config.attention_type not in KINDS:
            raise ungrounded(self._model_id)
        device, dtype = self._place
        read = self.vocabulary.read_phrases(phrases).to(device, dtype)
        return Grounding(unet, read, boxes, width)

    def _load(self, adapter: Adapter) -> nn.Module | ReferenceAdapter:
        device, dtype = self._place
        if adapter.kind == "controlnet" and adapter.family in BLOCK_FAMILIES:
            network = load_block_control(adapter, self.networks, self._model_id, dtype)
            self._offloader.join("transformer", network)
            return network
        unet = self.networks.get("unet")
        if unet is None:
            raise misfit(adapter, self._model_id)
        if adapter.kind == "ip_adapter":
            visit = self._offloader.visit
            return ReferenceAdapter(adapter, unet, self._model_id, device, dtype, visit)
        network = load_control(adapter, unet, self._model_id, dtype)
        self._offloader.join("unet", network)
        return network

    def _forget(self, control: nn.Module | ReferenceAdapter) -> None:
        if isinstance(control, nn.Module):
            self._offloader.leave(control)

    def _lora(self, adapter: Adapter) -> Deltas:
        return _kept(
            self._loras,
            adapter.id,
            lambda: load_lora(adapter, self.networks, self._model_id, *self._place),
            lambda _: self._changes.clear(),  # they hold what is let go
        )


def _kept(
    shelf: OrderedDict[Any, Any],
    name: Any,
    load: Callable[[], Any],
    forget: Callable[[Any], None] = lambda _: None,
) -> Any:
    known = shelf.pop(name, None)
    shelf[name] = load() if known is None else known
    while len(shelf) > _MOST_KEPT:
        forget(shelf.popitem(last=False)[1])
    return shelf[name]
