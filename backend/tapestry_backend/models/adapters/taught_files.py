"""What was taught, as a file: in the names that diffusers, kohya, A1111 and ComfyUI load.

Changes of a U-Net are called as kohya's trainers call them, those of a transformer as diffusers
does: these names all four read. A word's vectors stand under its token, or as clip_l and clip_g;
beside changes they stand as A1111 bundles them.
"""

from __future__ import annotations

from collections.abc import Mapping

import safetensors.torch
import torch
from torch import Tensor

from ...checkpoints.lora_keys import BUNDLED
from ...checkpoints.taught import CARD, Card, name_of, token_of

_ENCODERS = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
_UNET = "unet."


def taught_file(changes: Mapping[str, Tensor], word: Mapping[str, Tensor], card: Card) -> bytes:
    """The bytes of the file, in half precision.

    changes    factors by diffusers' names, as in `LearnedLora.tensors`
    word       vectors [n, D] by the text encoder's name; empty where the words stay as they are
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in changes.items():
        tensors |= _named(name, tensor)
    for (encoder, vectors), name in zip(word.items(), _word_names(word, card), strict=True):
        inside = f"{BUNDLED}{name_of(card.words[0])}." if changes else ""
        tensors[inside + (name or _ENCODERS[encoder])] = vectors
    halves = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in tensors.items()
    }
    return safetensors.torch.save(halves, {**_notes(changes, card), CARD: card.text()})


def _word_names(word: Mapping[str, Tensor], card: Card) -> list[str]:
    return [token_of(card.words[0])] if len(word) == 1 else [""] * len(word)


def _named(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A factor of a U-Net by kohya's names, with the rank as its alpha; any other as it is."""
    if not name.startswith(_UNET):
        return {name: tensor}
    path, side, _ = name.rsplit(".", 2)
    flat = "lora_unet_" + path.removeprefix(_UNET).replace(".", "_")
    if side == "lora_B":
        return {f"{flat}.lora_up.weight": tensor}
    return {f"{flat}.lora_down.weight": tensor, f"{flat}.alpha": torch.tensor(float(len(tensor)))}


def _notes(changes: Mapping[str, Tensor], card: Card) -> dict[str, str]:
    """What other programs show of a file."""
    notes = {"modelspec.title": ", ".join(card.words), "modelspec.license": card.licence}
    if changes:
        rank = min(len(tensor) for name, tensor in changes.items() if ".lora_A." in name)
        notes |= {
            "ss_network_module": "networks.lora",
            "ss_network_dim": str(rank),
            "ss_network_alpha": str(rank),
        }
    return {name: text for name, text in notes.items() if text}
