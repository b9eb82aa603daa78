"""Finds checkpoints where other programs keep them.

It looks into our own models folder, the cache of the Hugging Face hub, and folders named by the
user: of checkpoints, or of a whole program (A1111, Forge, ComfyUI). Links are followed; nothing is
copied or downloaded. What cannot be used is listed with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from .adapter_recognition import misplaced_adapter, read_adapter
from .catalogue import BUNDLED, Checkpoint, read_checkpoint_at
from .checkpoint_file import (
    FOREIGN_FORMATS,
    holds_a_network,
    misplaced_network,
    no_checkpoint,
)
from .component_files import ComponentFiles
from .folder_checks import PARTS, check_folder, lacks_index, without_index
from .folders import (
    check_folder_named,
    entries_of,
    exists,
    expanded,
    is_file,
    is_folder,
    is_gguf,
    is_network,
    is_weights,
    walk,
)
from .left_out import LeftOut, choose_id, unforeseen
from .model_paths import MODELS_VARIABLE, hub_cache, models_folder, named_models_folder
from .program_folders import program_folders, upscaler_folders
from .safetensors_header import BrokenFileError
from .weights_header import read_header

_INDEX = "model_index.json"
_USUAL_PARTS = {"unet", "transformer", "vae", "text_encoder", "scheduler"}
"""Of these folders, each model in diffusers' layout has several."""


@dataclass
class Found:
    """The checkpoints that were found, and what is wrong with those that cannot be used.

    components   files with a network that checkpoints may lack, where those are looked for
    """

    entries: list[Checkpoint] = field(default_factory=list)
    components: list[Path] = field(default_factory=list)
    problems: list[LeftOut] = field(default_factory=list)


_FOLDERS_UP = 4
"""A checkpoint may lie in folders of its kind: models/diffusion_models/flux/dev.safetensors."""


def discover(folders: Sequence[Path] = ()) -> Found:
    """All checkpoints of this computer, and of these folders; each once, sorted by id."""
    search = _Search()
    named = [expanded(str(folder)) for folder in folders]
    for folder in named:
        check_folder_named(folder, search.found.problems)
    own = named_models_folder()
    if own is not None and not is_folder(own):
        search.found.problems.append(_no_models_folder(own))
    for root in (models_folder(), *named):
        search.look_through(root)
    search.look_through_hub(hub_cache())
    search.found.entries.sort(key=lambda entry: entry.id.lower())
    return search.found


def _no_models_folder(folder: Path) -> LeftOut:
    return LeftOut.missing(
        folder,
        Sentence(
            "There is no folder {folder}, which the variable {variable} names.",
            folder=quoted(folder),
            variable=MODELS_VARIABLE,
        ),
        "Let it name one folder, without quotes; name further ones with --folder.",
    )


def adapter_folders(folders: Sequence[Path] = ()) -> list[Path]:
    """Where our own models folder, and these, keep LoRAs and the like."""
    roots = (models_folder(), *(expanded(str(folder)) for folder in folders))
    return [place for root in roots for place in program_folders(root).adapters]


def upscaler_places(folders: Sequence[Path] = ()) -> list[Path]:
    """Where the same keep networks that enlarge pictures; not beside their checkpoints."""
    roots = (models_folder(), *(expanded(str(folder)) for folder in folders))
    return [place for root in roots for place in upscaler_folders(root) if place != root]


def entries_for(names: Sequence[str]) -> Sequence[Checkpoint]:
    """The checkpoints of this computer, unless all names are paths and need no search.

    A file that lacks parts has those that lie beside it, in a program's folders.
    """
    paths = all(name in BUNDLED or exists(Path(name)) for name in names)
    return [*([] if paths else discover().entries), *_with_parts_beside(names)]


def _with_parts_beside(names: Sequence[str]) -> Iterator[Checkpoint]:
    for name in names:
        path = Path(name)
        if name in BUNDLED or not is_file(path) or not is_network(path.name):
            continue
        for root in list(path.absolute().parents)[:_FOLDERS_UP]:
            layout = program_folders(root)
            if layout.component_folders and any(
                map(path.absolute().is_relative_to, layout.checkpoints)
            ):
                with suppress(OSError, BrokenFileError, TapestryError):  # the catalogue says why
                    parts = ComponentFiles(layout.component_folders).of(path)
                    if parts:
                        yield read_checkpoint_at(name, path, parts)
                break


def told_apart(names: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Models, and folders that are none but hold some: an artist names either."""
    models, folders = [], []
    for name in names:
        path = Path(name)
        if is_folder(path) and not is_file(path / _INDEX) and _holds_some(path):
            folders.append(path)
        else:
            models.append(name)
    return models, folders


def _holds_some(folder: Path) -> bool:
    return any(
        True for place in program_folders(folder).checkpoints for _ in _checkpoints(place, [])
    )


class _Search:
    """Looks into one place after the other, and remembers what it has seen."""

    def __init__(self) -> None:
        self.found = Found()
        self._seen: set[str] = set()
        self._ids = {*BUNDLED}

    def look_through(self, root: Path) -> None:
        """A program's folder, or one of checkpoints."""
        problems = self.found.problems
        if lacks_index(root):
            problems.append(without_index(root))
            return
        layout = program_folders(root)
        problems.extend(layout.left_out)
        component_files = ComponentFiles(layout.component_folders, problems)
        for place in layout.checkpoints:
            for path in _checkpoints(place, problems):
                self._add(path, _relative(path, place), component_files)
        if root not in layout.checkpoints:
            self._add_loose(root, component_files)
        self.found.components += component_files.scan()

    def _add_loose(self, root: Path, component_files: ComponentFiles) -> None:
        """What lies beside the folders of a program, in none of them."""
        problems = self.found.problems
        for path in entries_of(root, []):
            if not is_file(path) or not (is_network(path.name) or _is_pickled(path.name)):
                continue
            if _is_component(path):
                problems.append(LeftOut(path, misplaced_network(path)))
            elif _is_adapter(path):
                problems.append(LeftOut(path, misplaced_adapter(path)))
            else:
                self._add(path, _relative(path, root), component_files)

    def look_through_hub(self, cache: Path) -> None:
        """The cache of the hub, which other programs fill with models of every kind."""
        problems = self.found.problems
        for folder in entries_of(cache, problems):
            if not folder.name.startswith("models--"):
                continue
            name = "/".join(folder.name.split("--")[1:])
            snapshot = _snapshot(folder, problems)
            content = entries_of(snapshot, problems) if snapshot else []
            names = {path.name for path in content}
            single = [p for p in content if is_network(p.name) or _is_pickled(p.name)]
            if snapshot and (_INDEX in names or len(names & _USUAL_PARTS) > 1):
                self._add(snapshot, name, ComponentFiles(()))
            elif not single and _is_unfinished(folder):
                problems.append(_unfinished(folder, name))
            for path in [] if _INDEX in names else single:
                self._add(path, f"{name}/{path.stem}", ComponentFiles(()), others_too=True)

    def _add(
        self, path: Path, name: str, component_files: ComponentFiles, *, others_too: bool = False
    ) -> None:
        """Add a checkpoint, once, or the problem with it.

        others_too: models of every kind lie here, so that one of another kind is no problem.
        """
        real = os.path.realpath(path)
        if real in self._seen:
            return
        try:
            entry = self._read(path, name, component_files)
        except LeftOut as problem:
            self.found.problems.append(problem)
            return
        except TapestryError as problem:
            self.found.problems.append(LeftOut(path, problem))
            return
        except Exception as error:  # noqa: BLE001  it stops no other
            self.found.problems.append(unforeseen(path, error))
            return
        if entry is not None:
            self._seen.add(real)
            self._ids.add(entry.id)
            self.found.entries.append(entry)
        elif not others_too and is_gguf(path.name):  # no adapter comes like that
            self.found.problems.append(LeftOut(path, no_checkpoint(path)))
        elif not others_too:
            try:
                read_adapter(path)  # which is offered, if it is one
            except TapestryError as problem:
                self.found.problems.append(LeftOut(path, problem))

    def _read(self, path: Path, name: str, component_files: ComponentFiles) -> Checkpoint | None:
        """None for a file that is sound, and no checkpoint; raises TapestryError for the rest."""
        model_id = choose_id(path, (name, path.stem, str(path)), self._ids.__contains__)
        if isinstance(model_id, LeftOut):
            raise model_id
        helpers: dict[str, Path] | None = {}
        if is_network(path.name) and is_file(path):
            with suppress(
                OSError, BrokenFileError
            ):  # which `read_checkpoint_at` puts into a sentence
                helpers = component_files.of(path)
        if helpers is None:
            return None
        entry = read_checkpoint_at(model_id, path, helpers)
        if is_folder(path):
            check_folder(path)
        return entry


def _relative(path: Path, root: Path) -> str:
    """A checkpoint's name in its folder, with "/" on every system; files without their suffix."""
    inside = path.relative_to(root)
    named = is_network(path.name) or _is_foreign(path.name)
    plain = inside.with_suffix("") if named else inside
    return plain.as_posix() if plain.parts else path.name


def _is_foreign(name: str) -> bool:
    """Whether a file is called as checkpoints are that we name, but never open."""
    return Path(name).suffix.lower() in FOREIGN_FORMATS


def _is_pickled(name: str) -> bool:
    """Whether a file is called as only checkpoints are, and is never opened."""
    return Path(name).suffix.lower() == ".ckpt"


def _checkpoints(root: Path, left_out: list[LeftOut]) -> Iterator[Path]:
    """Files of weights, also those beside a model in diffusers' layout, and such models."""
    for here, folders, files in walk(root, left_out):
        is_model = _INDEX in files or lacks_index(here)
        if _INDEX in files:
            yield here
        elif is_model:
            left_out.append(without_index(here))
        if is_model:
            folders[:] = [name for name in folders if name not in PARTS]
        for name in files:
            if is_model and not is_weights(name):
                continue
            if is_network(name) and _is_component(here / name):
                if not (is_model or _replaces_one(here / name)):
                    left_out.append(LeftOut(here / name, misplaced_network(here / name)))
            elif is_network(name) or _is_foreign(name):
                yield here / name


def _is_component(path: Path) -> bool:
    """Whether a file holds a text encoder or an autoencoder alone, which is no checkpoint."""
    with suppress(Exception):  # errors in it are reported where it is read
        return holds_a_network(read_header(path))
    return False


def _replaces_one(path: Path) -> bool:
    """Whether an autoencoder is called like the checkpoint beside it, of which it takes part."""
    stem = path.name.removesuffix(".vae.safetensors")
    return stem != path.name and is_file(path.with_name(f"{stem}.safetensors"))


def _is_adapter(path: Path) -> bool:
    try:
        read_adapter(path)
    except TapestryError:
        return False
    return True


def _snapshot(folder: Path, left_out: list[LeftOut]) -> Path | None:
    """The snapshot of a cached model that its branch "main" names, or any."""
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8").strip()[:64]
    except (OSError, ValueError):
        commit = ""
    snapshots = entries_of(folder / "snapshots", left_out)
    chosen = [each for each in snapshots if each.name == commit] or snapshots
    return chosen[0] if chosen else None


def _is_unfinished(folder: Path) -> bool:
    return any(path.name.endswith(".incomplete") for path in entries_of(folder / "blobs", []))


def _unfinished(folder: Path, name: str) -> LeftOut:
    return LeftOut.broken(
        folder,
        Sentence(
            "{name} has not been fetched to its end into the cache of the Hugging Face hub.",
            name=quoted(name),
        ),
        "Fetch it again with the program that began, or with `tapestry models add`.",
    )
