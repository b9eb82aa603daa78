"""What was taught, as a file: in the names that diffusers, kohya, A1111 and ComfyUI load.

Changes of a U-Net are called as kohya's trainers call them, those of a transformer as diffusers
does: these names all four read. A word's vectors stand under its token, or as clip_l and clip_g;
beside changes they stand as A1111 bundles them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import safetensors.torch
import torch
from torch import Tensor

from ...checkpoints.lora_keys import BUNDLED
from ...checkpoints.taught import CARD, Card, name_of, token_of

_ENCODERS = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
_UNET = "unet."
_DOWN, _UP, _ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"
_FIRST = ".lora_A.weight"
"""How diffusers calls what kohya calls down."""


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
    return _saved(tensors, card)


def merged_file(
    files: Sequence[Mapping[str, Tensor]], projectors: Sequence[Tensor], card: Card
) -> bytes:
    """Several such files as one, in which each file's changes read what its projector lets through.

    files         tensors by the names that they have in a file; two of them hold no word alike
    projectors    of each file [D, D], as in `engine.merging`
    """
    tensors: dict[str, Tensor] = {}
    factors: dict[str, dict[str, list[Tensor]]] = {}
    for content, projector in zip(files, projectors, strict=True):
        tensors |= {name: each for name, each in content.items() if name.startswith(BUNDLED)}
        for layer in (name.removesuffix(_DOWN) for name in content if name.endswith(_DOWN)):
            down, up, alpha = (content[layer + end].double() for end in (_DOWN, _UP, _ALPHA))
            parts = factors.setdefault(layer, {"down": [], "up": []})
            parts["down"].append(down @ projector.to(down))
            parts["up"].append(up * alpha / len(down))
    for layer, parts in factors.items():
        down, up = torch.cat(parts["down"]), torch.cat(parts["up"], dim=1)
        tensors |= {layer + _DOWN: down, layer + _UP: up, layer + _ALPHA: _alpha_of(down)}
    return _saved(tensors, card)


def _saved(tensors: Mapping[str, Tensor], card: Card) -> bytes:
    halves = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in tensors.items()
    }
    return safetensors.torch.save(halves, {**_notes(halves, card), CARD: card.text()})


def _word_names(word: Mapping[str, Tensor], card: Card) -> list[str]:
    return [token_of(card.words[0])] if len(word) == 1 else [""] * len(word)


def _named(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A factor of a U-Net by kohya's names, with the rank as its alpha; any other as it is."""
    if not name.startswith(_UNET):
        return {name: tensor}
    path, side, _ = name.rsplit(".", 2)
    flat = "lora_unet_" + path.removeprefix(_UNET).replace(".", "_")
    if side == "lora_B":
        return {flat + _UP: tensor}
    return {flat + _DOWN: tensor, flat + _ALPHA: _alpha_of(tensor)}


def _alpha_of(down: Tensor) -> Tensor:
    """The rank, so that nothing is divided by it."""
    return torch.tensor(float(len(down)))


def _notes(tensors: Mapping[str, Tensor], card: Card) -> dict[str, str]:
    """What other programs show of a file."""
    notes = {"modelspec.title": ", ".join(card.words), "modelspec.license": card.licence}
    ranks = [len(each) for name, each in tensors.items() if name.endswith((_DOWN, _FIRST))]
    if ranks:
        rank = min(ranks)
        notes |= {
            "ss_network_module": "networks.lora",
            "ss_network_dim": str(rank),
            "ss_network_alpha": str(rank),
        }
    return {name: text for name, text in notes.items() if text}
