"""Files as teaching leaves them, with random numbers; tests nothing itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.taught import Card
from tapestry_backend.models.adapters.learned import KEY_LAYERS, VALUE_LAYERS
from tapestry_backend.models.adapters.taught_files import taught_file
from tapestry_backend.models.model_cache import ModelCache

RANK = 3


def save_taught(
    path: Path, folder: str, word: str, seed: int, scale: float = 0.3, **said: str
) -> Path:
    """A file as teaching by keys and values leaves it, with random numbers."""
    generator = torch.Generator().manual_seed(seed)
    network = ModelCache(Catalogue([folder]), "cpu").load(folder)
    lora = network.new_lora(RANK, KEY_LAYERS + VALUE_LAYERS)
    for tensor in lora.tensors.values():
        tensor.copy_(scale * torch.randn(tensor.shape, generator=generator))
    encoders = [name for name in network.adapter_manager.networks if "text_encoder" in name]
    vectors = {
        name: 0.05
        * torch.randn(
            2, network.adapter_manager.networks[name].config.hidden_size, generator=generator
        )
        for name in encoders
    }
    card = replace(Card((word,), "snow", "attention", folder, (f"{seed}" * 64,)), **said)
    path.write_bytes(taught_file(lora.tensors, vectors, card))
    return path
