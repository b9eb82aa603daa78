"""What a model is, whatever it is called and wherever it lies: a SHA-256 of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tapestry_protocol.files import write_whole
from tapestry_protocol.messages import Request
from tapestry_protocol.runtime import data_folder

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
    """Those of a catalogue's models, adapters and upscalers.

    file    remembers them for as long as places, sizes and times of their files stay what they are
    """

    def __init__(self, catalogue: Catalogue, file: Path) -> None:
        self._catalogue = catalogue
        self._file = file
        self._known = _read(file)

    def of_model(self, model_id: str) -> str:
        """A model's; raises TapestryError when there is none of this id."""
        return self.of(self._catalogue.find(model_id))

    def of_adapters(self, request: Request) -> dict[str, str]:
        """Those that a request uses, also by words in a prompt: id -> hash."""
        adapters = self._catalogue.adapters
        read, _ = adapters.read(request)
        named = [*(lora.adapter for lora in read.all_loras)]
        named += [control.adapter for control in read.all_controls]
        return {name: self.of(adapters.find(name)) for name in named}

    def of(self, entry: Checkpoint | Adapter | Upscaler) -> str:
        """The `content_hash` of an entry; raises TapestryError where a file cannot be read."""
        key, state = str(entry.path), _state(entry)
        known = self._known.get(key)
        if known is None or known[0] != state:
            known = self._known[key] = [state, content_hash(entry)]
            with suppress(OSError):  # it is read again next time
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self._file, [json.dumps(self._known).encode("utf-8")], 0o600)
        return known[1]


def hashes_file() -> Path:
    """Where all of Tapestry's programs on this computer remember hashes."""
    return data_folder() / "hashes.json"


def _read(file: Path) -> dict[str, list[str]]:
    """What was remembered; nothing where that makes no sense."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): [str(value[0]), str(value[1])] for key, value in found.items()}
    except (OSError, ValueError, AttributeError, IndexError, TypeError, KeyError):
        return {}


def _state(entry: Checkpoint | Adapter | Upscaler) -> str:
    """Changes with its files: their places, sizes and times."""
    digest = hashlib.sha256()
    for place, path in sorted(files_of(entry)):
        try:
            status = path.stat()
        except OSError as error:
            raise unreadable(path, error) from error
        digest.update(f"{place} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def files_of(entry: Checkpoint | Adapter | Upscaler) -> Iterator[tuple[str, Path]]:
    """Each file that counts, and its place in the model."""
    if is_folder(entry.path):
        yield from _inside(entry.path)
        return
    yield "", entry.path
    if isinstance(entry, Checkpoint):
        yield from entry.component_files.items()
        if entry.base is not None:
            yield from ((f"base/{place}", path) for place, path in _inside(entry.base))


def _inside(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in _COUNTED and is_file(path):
            yield path.relative_to(folder).as_posix(), path
