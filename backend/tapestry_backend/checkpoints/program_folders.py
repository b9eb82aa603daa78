"""How other programs lay out models: where checkpoints are, what these lack, and adapters."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .extra_paths import extra_paths
from .folders import is_folder
from .left_out import LeftOut

_CHECKPOINTS = (
    *("models/Stable-diffusion", "models/checkpoints", "checkpoints", "Stable-diffusion"),
    "models/diffusers",
)
_BACKBONES = ("models/diffusion_models", "models/unet", "diffusion_models", "unet")
_COMPANIONS = (
    *("models/text_encoders", "models/clip", "models/text_encoder", "text_encoders", "clip"),
    *("models/vae", "models/VAE", "vae", "VAE"),
)
_ADAPTERS = (
    *("models/Lora", "models/loras", "models/LyCORIS", "Lora", "loras", "LyCORIS"),
    *("models/embeddings", "embeddings", "models/ControlNet", "models/controlnet"),
    *("ControlNet", "controlnet", "models/t2i_adapter", "t2i_adapter", "adapters"),
    *("models/ipadapter", "ipadapter", "extensions/sd-webui-controlnet/models"),
)
"""A1111's and Forge's names, and ComfyUI's; from the program's folder, or from its models'."""

_UPSCALERS = (
    *("models/ESRGAN", "models/RealESRGAN", "models/upscale_models"),
    *("ESRGAN", "RealESRGAN", "upscale_models"),
)
_YAML_CHECKPOINTS = ("checkpoints", "diffusion_models", "unet", "diffusers")
_YAML_COMPANIONS = ("text_encoders", "clip", "vae")
_YAML_ADAPTERS = ("loras", "lycoris", "embeddings", "controlnet", "t2i_adapter", "ipadapter")


@dataclass(frozen=True)
class ProgramFolders:
    """Folders that are there: with checkpoints, with what these may lack, with adapters.

    adapters   those of checkpoints are among them: people put LoRAs there as well
    left_out   folders that are configured and not there
    """

    checkpoints: tuple[Path, ...]
    component_folders: tuple[Path, ...]
    adapters: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()


def program_folders(root: Path) -> ProgramFolders:
    """The folders of a program, if this is one; otherwise the folder itself.

    A plain folder of checkpoints may have text_encoders, clip and vae in it as well, and LoRAs.
    """
    left_out: list[LeftOut] = []
    extra = extra_paths(root, (*_YAML_CHECKPOINTS, *_YAML_COMPANIONS, *_YAML_ADAPTERS), left_out)
    checkpoints, component_folders, adapters = (
        list(_each_once([*(root / name for name in names), *(extra.get(key) for key in keys)]))
        for names, keys in (
            ((*_CHECKPOINTS, *_BACKBONES), _YAML_CHECKPOINTS),
            (_COMPANIONS, _YAML_COMPANIONS),
            (_ADAPTERS, _YAML_ADAPTERS),
        )
    )
    if not checkpoints and is_folder(root):
        checkpoints = [root]
        inside = os.path.realpath(root)
        adapters = [root, *(each for each in adapters if not _lies_in(each, inside))]
    else:
        adapters = list(_each_once([*adapters, *checkpoints]))
    return ProgramFolders(
        tuple(checkpoints), tuple(component_folders), tuple(adapters), tuple(left_out)
    )


def upscaler_folders(root: Path) -> list[Path]:
    """Where a program, or a plain folder, keeps networks that enlarge pictures."""
    extra = extra_paths(root, ("upscale_models",), [])
    places = [*(root / name for name in _UPSCALERS), extra.get("upscale_models"), root]
    return list(_each_once(places))


def _lies_in(folder: Path, real: str) -> bool:
    return Path(os.path.realpath(folder)).is_relative_to(real)


def _each_once(places: Sequence[Path | Sequence[Path] | None]) -> Iterator[Path]:
    """Those that are there, each once, also where a file system does not tell VAE from vae."""
    seen = set()
    for place in places:
        for folder in [place] if isinstance(place, Path) else place or ():
            real = os.path.realpath(folder)
            if real not in seen and is_folder(folder):
                seen.add(real)
                yield folder
