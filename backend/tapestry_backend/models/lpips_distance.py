"""How alike two pictures look to a trained eye (LPIPS), where it is installed; never downloads."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]
"""(pixels [B, 3, H, W] in -1..1, likewise) -> how unlike they look, [B, 1, 1, 1], with gradient."""

_LINEAR = Path("weights") / "v0.1" / "vgg.pth"
"""The linear layers, inside the package; not every build of it has them."""

_TRUNK = Path("checkpoints") / "vgg16-397923af.pth"
"""VGG-16 in torch hub's folder, where torchvision looks for it before it asks the network."""


def find_perceptual_distance(device: torch.device) -> Distance | None:
    """LPIPS with VGG-16 (Zhang et al. 2018) on a device; None where anything of it is missing.

    It takes the packages lpips and torchvision, the linear layers and the trunk: without a file,
    the package would fetch it from the network.
    """
    found = importlib.util.find_spec("lpips")
    if found is None or found.origin is None or importlib.util.find_spec("torchvision") is None:
        return None
    files = (Path(found.origin).parent / _LINEAR, Path(torch.hub.get_dir()) / _TRUNK)
    if not all(file.is_file() for file in files):
        return None
    lpips = importlib.import_module("lpips")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls torchvision with deprecated arguments
        network = lpips.LPIPS(net="vgg", verbose=False)
    return network.to(device).eval().requires_grad_(requires_grad=False)
