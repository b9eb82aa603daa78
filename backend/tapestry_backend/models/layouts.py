"""How other programs lay out models: where checkpoints are, what these lack, and adapters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_MAX_YAML_BYTES = 2**16
_MAX_SECTIONS = 32

_CHECKPOINTS = ("models/Stable-diffusion", "models/checkpoints", "checkpoints", "Stable-diffusion")
_BACKBONES = ("models/diffusion_models", "models/unet", "diffusion_models", "unet")
_COMPANIONS = (
    *("models/text_encoders", "models/clip", "models/text_encoder", "text_encoders", "clip"),
    *("models/vae", "models/VAE", "vae", "VAE"),
)
_ADAPTERS = (
    *("models/Lora", "models/loras", "Lora", "loras"),
    *("models/embeddings", "embeddings", "models/ControlNet", "models/controlnet"),
    *("ControlNet", "controlnet", "models/t2i_adapter", "t2i_adapter", "adapters"),
)
"""A1111's and Forge's names, and ComfyUI's; from the program's folder, or from its models'."""

_YAML = ("extra_model_paths.yaml", "extra_model_paths.yml")
_YAML_CHECKPOINTS = ("checkpoints", "diffusion_models", "unet")
_YAML_COMPANIONS = ("text_encoders", "clip", "vae")
_YAML_ADAPTERS = ("loras", "embeddings", "controlnet")


@dataclass(frozen=True)
class Layout:
    """Folders that are there: with checkpoints, with what these may lack, with adapters."""

    checkpoints: tuple[Path, ...]
    companions: tuple[Path, ...]
    adapters: tuple[Path, ...]


def layout_of(root: Path) -> Layout:
    """The folders of a program, if this is one; otherwise the folder itself.

    A plain folder of checkpoints may have text_encoders, clip and vae in it as well, and LoRAs.
    """
    sections = _extra_sections(root)
    checkpoints, companions, adapters = (
        [*_existing(root, names), *(path for s in sections for path in _named(root, s, keys))]
        for names, keys in (
            ((*_CHECKPOINTS, *_BACKBONES), _YAML_CHECKPOINTS),
            (_COMPANIONS, _YAML_COMPANIONS),
            (_ADAPTERS, _YAML_ADAPTERS),
        )
    )
    if not checkpoints and root.is_dir():
        checkpoints = [root]
        adapters = [root]
    return Layout(tuple(checkpoints), tuple(companions), tuple(adapters))


def _existing(root: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Each once, also where a file system does not tell VAE from vae."""
    seen = set()
    for name in names:
        folder = root / name
        if folder.is_dir() and folder.resolve() not in seen:
            seen.add(folder.resolve())
            yield folder


def _extra_sections(root: Path) -> list[dict[str, Any]]:
    """What ComfyUI's extra_model_paths.yaml adds; nothing where it cannot be read."""
    for name in _YAML:
        file = root / name
        try:
            if file.stat().st_size > _MAX_YAML_BYTES:
                continue
            sections = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(sections, dict):
            return [s for s in sections.values() if isinstance(s, dict)][:_MAX_SECTIONS]
    return []


def _named(root: Path, section: dict[str, Any], keys: tuple[str, ...]) -> Iterator[Path]:
    """The folders under these keys; a key may name several, one a line."""
    base = root / Path(str(section.get("base_path") or ".")).expanduser()
    for key in keys:
        for line in str(section.get(key) or "").splitlines():
            folder = base / Path(line.strip()).expanduser()
            if line.strip() and folder.is_dir():
                yield folder
