"""Finds checkpoints where other programs keep them; reads headers and configurations alone.

Looked through are our own models folder, the cache of the Hugging Face hub, and folders that
somebody named: of checkpoints, or of a whole program (A1111, Forge, ComfyUI). Links are followed;
nothing is copied, and nothing is fetched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.limits import MAX_ID_CHARACTERS

from .catalogue import SAMPLE, Entry, read_entry
from .companions import Companions
from .layouts import layout_of
from .places import hub_cache, models_folder
from .weights import BrokenFileError

_INDEX = "model_index.json"
_MAX_DEPTH = 6
_MAX_FILES = 20_000
"""Seen in one folder; a folder with more is somebody's whole disk."""

_FILES = (".safetensors", ".sft")
_NAMED = (*_FILES, ".ckpt")
"""What checkpoints are called; the last kind is only named, never opened."""

_SKIPPED = {".git", ".venv", "venv", "__pycache__", "node_modules", "tokenizers"}


@dataclass
class Found:
    """The checkpoints that were found, and what is wrong with those that cannot be used."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[TapestryError] = field(default_factory=list)


def discover(folders: Sequence[Path] = ()) -> Found:
    """All checkpoints of this computer, and of these folders; each once, sorted by id."""
    found, seen = Found(), set()
    for root in (models_folder(), *(folder.expanduser() for folder in folders)):
        layout = layout_of(root)
        companions = Companions(layout.companions)
        for place in layout.checkpoints:
            for path in _checkpoints(place):
                if path.resolve() not in seen:
                    seen.add(path.resolve())
                    _add(found, path, _relative(path, place), companions)
    for name, snapshot in _snapshots(hub_cache()):
        if (snapshot / _INDEX).is_file():
            _add(found, snapshot, name, Companions(()))
        else:
            for path in sorted(snapshot.glob("*.safetensors")):
                _add(found, path, f"{name}/{path.stem}", Companions(()))
    found.entries.sort(key=lambda entry: entry.id.lower())
    return found


def adapter_folders(folders: Sequence[Path] = ()) -> list[Path]:
    """Where our own models folder, and these, keep LoRAs and the like."""
    roots = (models_folder(), *(folder.expanduser() for folder in folders))
    return [place for root in roots for place in layout_of(root).adapters]


def entries_for(names: Sequence[str]) -> Sequence[Entry]:
    """What there is on this computer; nobody looks around for what is named by its path."""
    paths = all(name == SAMPLE or os.path.exists(name) for name in names)  # noqa: PTH110  of any kind
    return () if paths else discover().entries


def told_apart(names: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Models, and folders that are none but hold some: an artist names either."""
    models, folders = [], []
    for name in names:
        path = Path(name)
        if path.is_dir() and not (path / _INDEX).is_file() and _holds_some(path):
            folders.append(path)
        else:
            models.append(name)
    return models, folders


def _holds_some(folder: Path) -> bool:
    return any(True for place in layout_of(folder).checkpoints for _ in _checkpoints(place))


def _add(found: Found, path: Path, name: str, companions: Companions) -> None:
    """A checkpoint under a name that nobody has yet; whatever is none is left out silently."""
    known = {entry.id for entry in found.entries}
    model_id = name if name not in known and len(name) <= MAX_ID_CHARACTERS else str(path)
    if len(model_id) > MAX_ID_CHARACTERS or model_id in known:
        return
    helpers: dict[str, Path] | None = {}
    if path.suffix in _FILES:
        with suppress(OSError, BrokenFileError):  # which `read_entry` puts into a sentence
            helpers = companions.of(path)
    if helpers is None:
        return
    try:
        found.entries.append(read_entry(model_id, path, helpers))
    except TapestryError as error:
        found.problems.append(error)


def _relative(path: Path, root: Path) -> str:
    """A checkpoint's name in its folder, with "/" on every system; files without their suffix."""
    inside = path.relative_to(root)
    plain = inside.with_suffix("") if path.suffix in _NAMED else inside
    return plain.as_posix() if plain.parts else path.name


def _checkpoints(root: Path) -> Iterator[Path]:
    """Files of weights, and folders in diffusers' layout, whose own files are theirs."""
    if (root / _INDEX).is_file():
        yield root
        return
    seen: set[Path] = set()
    count = 0
    for name, folders, files in os.walk(root, followlinks=True):
        here = Path(name)
        if here.resolve() in seen or len(here.relative_to(root).parts) >= _MAX_DEPTH:
            folders.clear()
            continue
        seen.add(here.resolve())
        count += len(files)
        if count > _MAX_FILES:
            return
        folders[:] = sorted(folder for folder in folders if folder not in _SKIPPED)
        if _INDEX in files:
            folders.clear()
            yield here
            continue
        yield from (here / file for file in sorted(files) if file.endswith(_NAMED))


def _snapshots(cache: Path) -> Iterator[tuple[str, Path]]:
    """The id of each cached model, and the snapshot that its branch "main" names, or any."""
    for folder in sorted(cache.glob("models--*--*")):
        name = "/".join(folder.name.split("--")[1:])
        try:
            commit = (folder / "refs" / "main").read_text(encoding="utf-8").strip()[:64]
        except (OSError, ValueError):
            commit = ""
        snapshots = sorted((folder / "snapshots").glob("*"))
        chosen = [s for s in snapshots if s.name == commit] or snapshots[:1]
        yield from ((name, snapshot) for snapshot in chosen)
