"""The command `tapestry doctor`: what of the backend works on this computer."""

from __future__ import annotations

import platform
import sys

from tapestry_protocol import VERSION
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.runtime import read_runtime_file, runtime_file

from ..checkpoints.catalogue import SAMPLE, Catalogue


def examine() -> int:
    """Print one line for each part; returns 1 when the backend cannot paint here, else 0."""
    print(f"Tapestry {VERSION}, Python {platform.python_version()}")
    try:
        import torch  # noqa: PLC0415  its absence is one of the answers

        from ..models.model_cache import best_device, device_name  # noqa: PLC0415  imports torch
    except (ImportError, OSError) as error:
        print(f"PyTorch cannot be loaded ({error}).", file=sys.stderr)
        return 1
    print(f"PyTorch {torch.__version__} paints on: {device_name(best_device())}")
    try:
        entry = Catalogue().find(SAMPLE)
    except TapestryError as error:
        print(f"The bundled model is not whole: {error}", file=sys.stderr)
        return 1
    print(f"bundled model with windows of {entry.window_px} pixels")
    server = read_runtime_file(runtime_file())
    print(f"server: runs on port {server.port}" if server else "server: not running")
    return 0
