"""Models, adapters and upscalers by what they hold: two computers may call one by two names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request

from .adapter_recognition import Adapter
from .catalogue import Catalogue, Checkpoint
from .content_hash import ContentHashes, files_of
from .upscaler_file import Upscaler


class Named(NamedTuple):
    """Something that a catalogue offers, and the id that it has there."""

    id: str
    entry: Checkpoint | Adapter | Upscaler


class Contents:
    """What a catalogue's entries hold, each as its size in bytes and its `content_hash`.

    file    where `ContentHashes` remembers
    """

    def __init__(self, catalogue: Catalogue, file: Path) -> None:
        self._catalogue = catalogue
        self._hashes = ContentHashes(catalogue, file)

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
        return f"{_size_bytes(named)} {self._hashes.of(named.entry)}"


def _size_bytes(named: Named) -> int:
    return sum(path.stat().st_size for _, path in files_of(named.entry))
