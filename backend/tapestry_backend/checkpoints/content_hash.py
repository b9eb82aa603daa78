"""What a model is, whatever it is called and wherever it lies: a SHA-256 of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tapestry_protocol.messages import Request

from .adapter_recognition import Adapter
from .catalogue import Catalogue, Checkpoint
from .folders import is_file, is_folder
from .left_out import unreadable
from .upscaler_file import Upscaler

_COUNTED = (".safetensors", ".sft", ".gguf", ".json", ".txt", ".model")
"""How the names of files in a model's folder end that decide what it paints."""


def content_hash(entry: Checkpoint | Adapter | Upscaler) -> str:
    """SHA-256, as 64 hexadecimal digits, of the files of a model or adapter, and of their places.

    Two have the same one if they are the same files: a folder's name, the name of a single file,
    and notes that lie beside weights do not count. All of it is read, so that a large model takes
    seconds. Raises TapestryError where a file cannot be read.
    """
    digest = hashlib.sha256()
    for place, path in sorted(files_of(entry)):
        try:
            with path.open("rb") as file:
                own = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise unreadable(path, error) from error
        digest.update(f"{own} {place}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


class ContentHashes:
    """Those of a catalogue's models and adapters; each is read once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[Path, str] = {}

    def of_model(self, model_id: str) -> str:
        """A model's; raises TapestryError when there is none of this id."""
        return self._hash(self._catalogue.find(model_id))

    def of_adapters(self, request: Request) -> dict[str, str]:
        """Those that a request uses, also by words in a prompt: id -> hash."""
        adapters = self._catalogue.adapters
        read, _ = adapters.read(request)
        named = [*(lora.adapter for lora in read.all_loras)]
        named += [control.adapter for control in read.all_controls]
        return {name: self._hash(adapters.find(name)) for name in named}

    def _hash(self, entry: Checkpoint | Adapter) -> str:
        if entry.path not in self._known:
            self._known[entry.path] = content_hash(entry)
        return self._known[entry.path]


def files_of(entry: Checkpoint | Adapter | Upscaler) -> Iterator[tuple[str, Path]]:
    """Each file that counts, and its place in the model."""
    if is_folder(entry.path):
        for path in entry.path.rglob("*"):
            if path.suffix.lower() in _COUNTED and is_file(path):
                yield path.relative_to(entry.path).as_posix(), path
        return
    yield "", entry.path
    if isinstance(entry, Checkpoint):
        yield from entry.component_files.items()
