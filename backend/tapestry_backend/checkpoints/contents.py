"""Models, adapters and upscalers by what they hold: two computers may call one by two names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.files import write_whole
from tapestry_protocol.messages import Request

from .adapter_recognition import Adapter
from .catalogue import Catalogue, Checkpoint
from .content_hash import content_hash, files_of
from .upscaler_file import Upscaler


class Named(NamedTuple):
    """Something that a catalogue offers, and the id that it has there."""

    id: str
    entry: Checkpoint | Adapter | Upscaler


class Contents:
    """What a catalogue's entries hold, each as its size in bytes and its `content_hash`.

    file    remembers hashes for as long as sizes and times of the files stay what they are
    """

    def __init__(self, catalogue: Catalogue, file: Path) -> None:
        self._catalogue = catalogue
        self._file = file
        self._known = _read(file)

    def needed_by(self, request: Request) -> dict[str, str]:
        """What a request needs: id -> content. Raises TapestryError for what cannot be read."""
        needed = self._catalogue.names_needed(request)
        return {each.id: self._content(each) for each in self._all() if each.id in needed}

    def take(self, wanted: Mapping[str, str]) -> tuple[str, ...]:
        """Have the catalogue call these contents by these ids; gives the ids of what is not here.

        What has the size of one that is wanted is read to compare it; nothing else is. An embedding
        is found under its own name alone, since that is what prompts say.
        """
        return tuple(name for name, content in wanted.items() if not self._take(name, content))

    def _take(self, name: str, content: str) -> bool:
        for each in sorted(self._all(), key=lambda each: each.id != name):
            with suppress(TapestryError, OSError):  # what cannot be read is not what is wanted
                has_its_size = content.startswith(f"{_size_bytes(each)} ")
                if has_its_size and self._content(each) == content:
                    return each.id == name or self._catalogue.call(each.entry, name)
        return False

    def _all(self) -> Iterator[Named]:
        for model in self._catalogue.entries:
            yield Named(model.id, model)
        for adapter in self._catalogue.adapters.all:
            yield Named(adapter.id, adapter)
        yield from (Named(name, found) for name, found in self._catalogue.all_upscalers())

    def _content(self, named: Named) -> str:
        key, state = str(named.entry.path), _state(named)
        known = self._known.get(key)
        if known is None or known[0] != state:
            content = f"{_size_bytes(named)} {content_hash(named.entry)}"
            known = self._known[key] = [state, content]
            with suppress(OSError):  # it is read again next time
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self._file, [json.dumps(self._known).encode("utf-8")], 0o600)
        return known[1]


def _read(file: Path) -> dict[str, list[str]]:
    """What was remembered; nothing where that makes no sense."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): [str(value[0]), str(value[1])] for key, value in found.items()}
    except (OSError, ValueError, AttributeError, IndexError, TypeError, KeyError):
        return {}


def _size_bytes(named: Named) -> int:
    return sum(path.stat().st_size for _, path in files_of(named.entry))


def _state(named: Named) -> str:
    """Changes with its files: their places, sizes and times."""
    digest = hashlib.sha256()
    for place, path in sorted(files_of(named.entry)):
        status = path.stat()
        digest.update(f"{place} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
