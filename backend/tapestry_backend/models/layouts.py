"""How other programs lay out their models: which folders hold checkpoints, which what they lack."""

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
"""A1111's and Forge's names, and ComfyUI's; from the program's folder, or from its models'."""

_YAML = ("extra_model_paths.yaml", "extra_model_paths.yml")
_YAML_CHECKPOINTS = ("checkpoints", "diffusion_models", "unet")
_YAML_COMPANIONS = ("text_encoders", "clip", "vae")


@dataclass(frozen=True)
class Layout:
    """Folders that are there: with checkpoints, and with what checkpoints may lack."""

    checkpoints: tuple[Path, ...]
    companions: tuple[Path, ...]


def layout_of(root: Path) -> Layout:
    """The folders of a program, if this is one; otherwise the folder itself.

    A plain folder of checkpoints may have text_encoders, clip and vae in it as well.
    """
    extra = _extra_paths(root)
    checkpoints = [*_existing(root, (*_CHECKPOINTS, *_BACKBONES)), *extra[0]]
    companions = [*_existing(root, _COMPANIONS), *extra[1]]
    if not checkpoints and root.is_dir():
        checkpoints = [root]
    return Layout(tuple(checkpoints), tuple(companions))


def _existing(root: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Each once, also where a file system does not tell VAE from vae."""
    seen = set()
    for name in names:
        folder = root / name
        if folder.is_dir() and folder.resolve() not in seen:
            seen.add(folder.resolve())
            yield folder


def _extra_paths(root: Path) -> tuple[list[Path], list[Path]]:
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
            wanted = [s for s in sections.values() if isinstance(s, dict)][:_MAX_SECTIONS]
            return (
                [path for s in wanted for path in _named(root, s, _YAML_CHECKPOINTS)],
                [path for s in wanted for path in _named(root, s, _YAML_COMPANIONS)],
            )
    return [], []


def _named(root: Path, section: dict[str, Any], keys: tuple[str, ...]) -> Iterator[Path]:
    """The folders under these keys; a key may name several, one a line."""
    base = root / Path(str(section.get("base_path") or ".")).expanduser()
    for key in keys:
        for line in str(section.get(key) or "").splitlines():
            folder = base / Path(line.strip()).expanduser()
            if line.strip() and folder.is_dir():
                yield folder
