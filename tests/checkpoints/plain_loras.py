"""LoRAs of one layer."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

ATTENTION = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"


def lora_of_width(path: Path, width: int, name: str = ATTENTION) -> Path:
    """A LoRA whose attention reads texts of this width."""
    down, up = torch.zeros(4, width), torch.zeros(8, 4)
    kohya = name.startswith(("lora_", "lycoris_"))
    ends = (
        (".lora_down.weight", ".lora_up.weight") if kohya else (".lora_A.weight", ".lora_B.weight")
    )
    save_file({f"{name}{ends[0]}": down, f"{name}{ends[1]}": up}, path)
    return path
