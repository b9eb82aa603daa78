"""Loads models when needed, keeps those there is room for; decides device and precision."""

from __future__ import annotations

import gc
import os
from collections import OrderedDict
from importlib import import_module
from typing import Any

import torch

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.sentences import Sentence, quoted

from ..checkpoints.catalogue import Catalogue, Checkpoint
from ..checkpoints.families import FAMILIES, Family
from ..engine.out_of_memory import release
from .denoiser import Denoiser
from .device.card_settings import CardSettings
from .device.memory import host_bytes, keep_memory, spare_bytes

DEVICE_VARIABLE = "TAPESTRY_DEVICE"
"""An environment variable: "cpu", "cuda:0", "cuda:1", "mps" ..."""

_GIB = 2**30

_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
_BYTES |= {"float8_e4m3fn": 1, "float8_e5m2": 1}
"""Size of one number of each type that weights are stored as."""

_ROOM = 2.0
"""Room for a model, in sizes of its files: its weights, and what a picture takes besides."""


class ModelCache:
    """The models of one worker, on the best device where none is named.

    A model stays for the next job. When another one needs its room, that which was used longest ago
    goes first.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        device: str | None = None,
        card: CardSettings | None = None,
    ) -> None:
        self.catalogue = catalogue
        self._card = card or CardSettings()
        self.device = best_device() if device is None else torch.device(device)
        self._loaded: OrderedDict[str, Denoiser] = OrderedDict()
        if self.device.type == "cpu":
            keep_memory()

    def check(self, request: Request) -> None:
        """Raises TapestryError for what can be known about a request before anything is loaded."""
        self.catalogue.check(request)

    def variant_of(self, model_id: str) -> str:
        """What kind of checkpoint of its family a model is, as in its catalogue's entry."""
        return self.catalogue.find(model_id).variant

    def load(self, model_id: str) -> Denoiser:
        """The model with this id; raises TapestryError when there is none or it is damaged."""
        entry = self.catalogue.find(model_id)
        if model_id not in self._loaded:
            self._make_room(entry)
            self._check_room(entry)
            runner = runner_of(FAMILIES[entry.family])
            loaded: Denoiser = runner(entry, self.device, self._dtype(entry), card=self._card)
            self._loaded[model_id] = loaded
        self._loaded.move_to_end(model_id)
        model = self._loaded[model_id]
        # Some may have come since: a word that was taught.
        model.adapter_manager.vocabulary.embeddings = self.catalogue.adapters.embeddings
        return model

    def _dtype(self, entry: Checkpoint) -> torch.dtype:
        """The precision in which a model computes here."""
        if self.device.type == "cpu":
            return torch.float32
        return getattr(torch, FAMILIES[entry.family].half)

    def _check_room(self, entry: Checkpoint) -> None:
        """Raises TapestryError when the weights alone are more than this computer can hold.

        They come through its own memory, whichever device they are for, in the model's precision.
        """
        stored = _BYTES.get(entry.dtype, self._dtype(entry).itemsize)
        needed = entry.size_bytes * self._dtype(entry).itemsize / stored
        free = host_bytes()
        if needed > free:
            raise TapestryError(
                ErrorCode.OUT_OF_MEMORY,
                Sentence(
                    "{name} takes {needed} GiB of memory, and {free} GiB are free.",
                    name=quoted(entry.id),
                    needed=f"{needed / _GIB:.1f}",
                    free=f"{free / _GIB:.1f}",
                ),
                "Close other programs that use much memory, or choose a smaller model.",
            )

    def _make_room(self, entry: Checkpoint) -> None:
        """Let models go until there is room for another one, or none is left."""
        needed = _ROOM * entry.size_bytes
        while self._loaded and spare_bytes(self.device) < needed:
            self._loaded.popitem(last=False)
            gc.collect()
            release()


def runner_of(family: Family) -> Any:
    """The class that runs checkpoints of this family, behind the `Denoiser` protocol."""
    module, name = family.runner
    return getattr(import_module(f".{module}", __package__), name)


def best_device() -> torch.device:
    """The device that TAPESTRY_DEVICE names, where this machine has it; else its fastest."""
    wanted = os.environ.get(DEVICE_VARIABLE, "")
    if wanted in _known_devices():
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def device_named(name: str) -> torch.device:
    """A device of this machine: "cpu", "cuda:0", "mps"; raises TapestryError for any other."""
    known = _known_devices()
    if name not in known:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("There is no device {name} here to paint on.", name=quoted(name)),
            Sentence("Choose one of: {names}.", names=", ".join(known)),
        )
    return torch.device(name)


def sibling_devices() -> tuple[str, ...]:
    """The cards of the same kind as the best one, on which other workers may paint.

    None where TAPESTRY_DEVICE names one. A card of another kind may be much slower or smaller, and
    would make pictures late or fail: such a one has to be named.
    """
    if os.environ.get(DEVICE_VARIABLE) or not torch.cuda.is_available():
        return ()
    first, *others = map(torch.cuda.get_device_name, range(torch.cuda.device_count()))
    return tuple(f"cuda:{number}" for number, name in enumerate(others, 1) if name == first)


def _known_devices() -> list[str]:
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    first = ["cuda"] if cards else []
    return ["cpu", *first, *cards, *(["mps"] if torch.backends.mps.is_available() else [])]


def device_name(device: torch.device) -> str:
    """What an artist would call the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"cpu": "CPU", "mps": "Apple GPU"}[device.type]
