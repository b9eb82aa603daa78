"""The LoRA that the artist chose, for the picture or for a region, as requests have it; pure."""

from __future__ import annotations

from typing import Protocol

from tapestry_protocol.adapters import Lora
from tapestry_protocol.limits import MAX_ADAPTER_WEIGHT, MAX_ID_CHARACTERS

LORA_WEIGHTS = (-MAX_ADAPTER_WEIGHT, MAX_ADAPTER_WEIGHT)


class Choice(Protocol):
    """Settings with a LoRA by its id, empty for none, and its weight."""

    @property
    def lora(self) -> str: ...
    @property
    def lora_weight(self) -> float: ...


def loras_of(choice: Choice) -> tuple[Lora, ...]:
    """What a request says of it."""
    return (Lora(choice.lora, choice.lora_weight),) if choice.lora else ()


def choice_of(loras: tuple[Lora, ...]) -> dict[str, object]:
    """The settings that would ask for the same; the first where a request names several."""
    first = loras[0] if loras else Lora("")
    return {"lora": first.adapter, "lora_weight": first.weight}


def is_lora_id(text: str) -> bool:
    """Whether a text may be one, or none."""
    return len(text) <= MAX_ID_CHARACTERS
