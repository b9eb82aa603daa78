"""The scenes of a batch, and what their pictures are called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import quoted

from .batch_manifest import Made

_LONGEST_NAME_BYTES = 150
"""File systems take 255; endings and numbers come behind it."""


class BatchScene(NamedTuple):
    """A scene, its place as seen from the batch's folder, and how its pictures' names begin."""

    path: Path
    place: str
    name: str


def find_scenes(
    named: Sequence[Path], folder: Path, made: Sequence[Made]
) -> tuple[list[BatchScene], list[tuple[Path, TapestryError]]]:
    """The scenes that are named, or lie in named folders; and what is wrong with the others.

    Each once, in this order. What lies in the batch's own folder counts only if it is named itself.
    A scene keeps the name that it has in the manifest; another one of the same name gets a number.
    """
    found: dict[str, Path] = {}
    missing: list[tuple[Path, TapestryError]] = []
    for path in named:
        if not path.is_dir():
            found.setdefault(os.path.realpath(path), path)
            continue
        inside = list(_scenes_in(path, folder))
        for scene in inside:
            found.setdefault(os.path.realpath(scene), scene)
        if not inside:
            missing.append((path, _no_scenes(path)))
    known = {each.scene: each.picture.removesuffix(f"-seed{each.seed}.png") for each in made}
    taken = {name.casefold() for name in known.values()}
    scenes = []
    for path in found.values():
        place = _place_of(path, folder)
        name = known.get(place) or _free_name(path.stem, taken)
        taken.add(name.casefold())
        scenes.append(BatchScene(path, place, name))
    return scenes, missing


def _scenes_in(folder: Path, aside: Path) -> Iterator[Path]:
    own = os.path.realpath(aside)
    for path in sorted(folder.rglob("*")):
        is_own = os.path.realpath(path.parent) == own
        if path.suffix.lower() == ".ora" and path.is_file() and not is_own:
            yield path


def _place_of(path: Path, folder: Path) -> str:
    """The path as seen from the folder, so that both can be moved together."""
    try:
        place = os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
    except ValueError:  # another drive of Windows
        place = os.path.realpath(path)
    return Path(place).as_posix()


def _free_name(stem: str, taken: set[str]) -> str:
    """The scene's own name, or with a number behind it; not longer than file systems take."""
    short = os.fsdecode(os.fsencode(stem)[:_LONGEST_NAME_BYTES]) or "scene"
    short = short.encode("utf-8", "ignore").decode()  # half a sign is none, and JSON takes no other
    short = short.lstrip(".") or "scene"
    names = chain([short], (f"{short}-{number}" for number in count(2)))
    return next(name for name in names if name.casefold() not in taken)


def _no_scenes(folder: Path) -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        f"No scene (.ora) lies in the folder {quoted(folder)}.",
        "Give scenes, or a folder that holds some.",
    )
