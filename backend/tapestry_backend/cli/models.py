"""`tapestry models`: what there is, and fetching more by explicit wish."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..checkpoints.catalogue import Catalogue, Checkpoint
from ..checkpoints.discovery import adapter_folders, discover, upscaler_places
from .render_options import ADAPTER, MODEL

FOLDER: dict[str, Any] = {
    "metavar": "DIR",
    "action": "append",
    "default": [],
    "type": Path,
    "help": "look for checkpoints here as well: a folder of them, or that of A1111, Forge or "
    "ComfyUI (may be repeated)",
}

_GIB = 2**30


def add_models_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command, and its own commands."""
    parser.add_argument("--model", **MODEL, action="append", default=[])
    parser.add_argument("--folder", **FOLDER)
    parser.add_argument("--adapter", **ADAPTER)
    parser.add_argument("--json", action="store_true", help="as JSON, for other programs")
    parser.set_defaults(run=_list)
    commands = parser.add_subparsers(metavar="COMMAND")
    add = commands.add_parser("add", help="fetch a model from the Hugging Face hub")
    add.add_argument("id", metavar="OWNER/NAME[/FILE.safetensors]")
    add.add_argument("--yes", action="store_true", help="do not ask before fetching")
    add.set_defaults(run=_add)


def _list(options: argparse.Namespace) -> int:
    found = discover(options.folder)
    catalogue = Catalogue(
        options.model,
        found=found.entries,
        adapters=options.adapter,
        adapter_folders=adapter_folders(options.folder),
        upscaler_folders=upscaler_places(options.folder),
        problems=found.problems,
        components=found.components,
    )
    for problem in catalogue.left_out:
        print(f"left out: {problem}", file=sys.stderr)
    if options.json:
        print(json.dumps([_described(entry) for entry in catalogue.entries], indent=2))
        return 0
    for entry in catalogue.entries:
        size = f"{entry.size_bytes / _GIB:.2f} GiB"
        facts = (entry.family, entry.variant, f"{entry.window_px} px", entry.dtype, size)
        print("\t".join((entry.id, *facts, str(entry.path))))
    return 0


def _described(entry: Checkpoint) -> dict[str, object]:
    return {
        "id": entry.id,
        "family": entry.family,
        "variant": entry.variant,
        "path": str(entry.path),
        "size_bytes": entry.size_bytes,
        "dtype": entry.dtype,
        "window_px": entry.window_px,
    }


def _add(options: argparse.Namespace) -> int:
    from ..checkpoints.download import fetch  # noqa: PLC0415  the hub's client is slow to import

    return fetch(options.id, sure=options.yes)
