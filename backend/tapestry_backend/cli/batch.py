"""The command `tapestry batch`: many scenes in, a folder of pictures and its manifest out."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapestry_protocol import VERSION
from tapestry_protocol.codec import encode
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_SEED
from tapestry_protocol.messages import Submit
from tapestry_protocol.sentences import quoted

from ..checkpoints.catalogue import Catalogue
from ..checkpoints.content_hash import ContentHashes, hashes_file
from ..openraster.png import encode_grey
from ..outputs import check_apart, check_output, unwritable, write_outputs
from ..server.persistence.lock import Lock
from ..tasks.events import Finished
from .batch_manifest import NAME, Manifest
from .batch_scenes import BatchScene, find_scenes
from .batch_table import BatchTable
from .provenance import Provenance, provenance_of
from .provenance_options import add_provenance
from .render import report_file
from .render_options import SCENES, add_layered, add_painting_options, add_quiet, add_report
from .scene_pictures import (
    ReadScene,
    catalogue_of,
    check_together,
    output_files,
    painted,
    read_with,
)

if TYPE_CHECKING:
    from ..models.model_cache import ModelCache

_LOCK = ".tapestry-batch.lock"
_MAX_SEEDS = 100_000


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """All of them; those that say what is painted are those of `render`."""
    parser.description = (
        "Paints many scenes, with one or several seeds each, into a folder. What is there and "
        "right is not painted again, so that the same command goes on where it was stopped; a "
        f"scene that cannot be painted stops no other. {NAME} in the folder has a line for each "
        f"picture. {SCENES}"
    )
    parser.add_argument(
        "scenes",
        metavar="SCENE.ora|FOLDER",
        nargs="+",
        type=Path,
        help="scenes, or folders of scenes (also further inside)",
    )
    parser.add_argument(
        *("-o", "--output"), metavar="FOLDER", type=Path, required=True, help="for the pictures"
    )
    parser.add_argument(
        "--seeds",
        metavar="N",
        type=_seeds,
        default=1,
        help="pictures of each scene: with the seed of --seed, the next one, and so on (1)",
    )
    parser.add_argument(
        "--labels",
        action="store_true",
        help="beside each picture NAME.labels.png, the number of the region of each pixel, and "
        "NAME.classes.json, what the numbers mean",
    )
    parser.add_argument(
        "--ora",
        action="store_true",
        help="beside each picture NAME.ora, the scene with the result as a new layer",
    )
    add_layered(parser.add_argument)
    add_report(parser.add_argument)
    add_quiet(parser.add_argument)
    add_painting_options(parser, seed="the first seed")
    add_provenance(parser)


def _seeds(text: str) -> int:
    """An argparse type: how many pictures of each scene."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MAX_SEEDS):
        raise argparse.ArgumentTypeError(
            f"{quoted(text[:40])} is no number between 1 and {_MAX_SEEDS}"
        )
    return int(text)


def batch(options: argparse.Namespace) -> None:
    """Carry out the command; raises TapestryError when anything could not be painted."""
    check_together(options)
    seeds = _seeds_of(options)
    if options.report is not None:
        check_output(options.report)
    with _made_folder(options.output) as folder, _held(folder):
        check_apart([options.report or folder / NAME, folder / NAME])
        manifest = Manifest(folder)
        catalogue = catalogue_of(options)
        provenance = provenance_of(options, catalogue)
        hashes = ContentHashes(catalogue, hashes_file())
        hashes.of_model(options.model)  # one that is not there is said once
        scenes, missing = find_scenes(options.scenes, folder, manifest.pictures)
        table = BatchTable((len(scenes) + len(missing)) * len(seeds), quiet=options.quiet)
        for note in manifest.notes:
            table.say(note)
        work = _Batch(options, folder, manifest, catalogue, hashes, seeds, table, provenance)
        try:
            for path, error in missing:
                work.fail(path, None, error)
            for scene in scenes:
                work.paint_scene(scene)
        finally:
            work.close()
    work.conclude()


def _seeds_of(options: argparse.Namespace) -> range:
    first = getattr(options, "seed", 0)
    if first + options.seeds - 1 > MAX_SEED:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{options.seeds} seeds from {first} on reach beyond {MAX_SEED}.",
            "Begin with a smaller --seed.",
        )
    return range(first, first + options.seeds)


@contextmanager
def _made_folder(folder: Path) -> Iterator[Path]:
    """The folder, made where there is none, and gone afterwards where nothing came into it.

    Raises TapestryError where nothing can be written.
    """
    if folder.exists() and not folder.is_dir():
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{quoted(folder)} is a file, and pictures go into a folder.",
            "Give -o a folder, or the name of one that shall be made.",
        )
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        check_output(folder / NAME)
        yield folder
    finally:
        with suppress(OSError):  # what is not empty stays
            for each in made:
                each.rmdir()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Inside, no other batch paints into this folder; raises TapestryError where one does.

    Where nothing else is in the folder then, the lock's file goes: the folder may be a new one.
    """
    lock = Lock(folder / _LOCK)
    try:
        is_free = lock.acquire()
    except OSError as error:
        raise unwritable(folder, error) from error
    if not is_free:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"Another batch paints into {quoted(folder)}.",
            "Wait until it is over, or choose another folder.",
        )
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            if [each.name for each in folder.iterdir()] == [_LOCK]:
                (folder / _LOCK).unlink()


class _FolderLostError(TapestryError):
    """Nothing can be written any more: what is painted from now on would be lost."""


@dataclass
class _Batch:
    """A batch at work: what it paints with, and what became of its pictures so far."""

    options: argparse.Namespace
    folder: Path
    manifest: Manifest
    catalogue: Catalogue
    hashes: ContentHashes
    seeds: range
    table: BatchTable
    provenance: Provenance | None
    failures: list[dict[str, Any]] = field(default_factory=list)
    painted: int = 0
    kept: int = 0
    _begun_s: float = field(default_factory=time.monotonic)
    _cache: ModelCache | None = None

    def paint_scene(self, scene: BatchScene) -> None:
        """All pictures of a scene; what goes wrong with it is written down, and stops no other."""
        notes: list[str] = []
        try:
            read = read_with(scene.path, self.options, self.catalogue, notes.append)
            adapters = self.hashes.of_adapters(read.scene.request)
        except Exception as error:  # noqa: BLE001  one scene takes no other along
            self.fail(scene.path, None, error)
            return
        for seed in self.seeds:
            request = replace(read.scene.request, seed=seed)
            seeded = ReadScene(read.document, replace(read.scene, request=request))
            try:
                self._paint_picture(scene, seeded, adapters, notes)
            except _FolderLostError:
                raise
            except Exception as error:
                self.fail(scene.path, seed, error)
                if _is_device_lost(error):
                    raise

    def fail(self, path: Path, seed: int | None, error: Exception) -> None:
        """Write down what went wrong; seed: None for all pictures of a scene."""
        sentence = _sentence_of(error)
        self.failures.append({"scene": str(path), "seed": seed, "message": sentence})
        if seed is None:
            self.table.skip(path.stem, len(self.seeds), "failed")
        else:
            self.table.end(path.stem, seed, "failed")
        self.table.say(f"  {sentence}")

    def close(self) -> None:
        """Leave the manifest with one line for each picture, and the report."""
        try:
            self.manifest.tidy()
        except OSError as error:
            raise unwritable(self.folder / NAME, error) from error
        finally:
            write_outputs(report_file(self._report(), self.options.report))

    def conclude(self) -> None:
        """Say what became of all; raises TapestryError when something failed."""
        failed = self._count_failed()
        self.table.say(f"{self.painted} painted, {self.kept} were there, {failed} failed.")
        if not failed:
            return
        if self.options.quiet:
            for each in self.failures:
                sys.stderr.write(f"{each['scene']}: {each['message']}\n")
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{failed} of {failed + self.painted + self.kept} pictures could not be painted.",
            "Do what their sentences say, and give the same command again: what is there is not "
            "painted again.",
        )

    def _count_failed(self) -> int:
        return sum(len(self.seeds) if each["seed"] is None else 1 for each in self.failures)

    def _report(self) -> dict[str, Any]:
        return {
            "painted": self.painted,
            "kept": self.kept,
            "failed": self._count_failed(),
            "failures": self.failures,
            "seconds": time.monotonic() - self._begun_s,
        }

    def _paint_picture(
        self, scene: BatchScene, read: ReadScene, adapters: Mapping[str, str], notes: Sequence[str]
    ) -> None:
        """One picture and what lies beside it, unless all of that is there and right."""
        request = read.scene.request
        stem = f"{scene.name}-seed{request.seed}"
        known_files = self.manifest.files_of(f"{stem}.png")
        names = _Names(stem, self.options, known_files)
        asked = json.loads(encode(Submit("batch", request)))["request"]
        model_sha256 = self.hashes.of_model(request.model)
        facts = {"request": asked, "model": model_sha256, "adapters": dict(adapters)}
        if self.provenance is not None:
            facts["provenance"] = self.provenance.key
        made_from = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        right = self.manifest.right_files(names.picture, made_from)
        missing = [name for name in names.all if name not in right]
        if not missing:
            self.kept += 1
            self.table.end(scene.name, request.seed, "was there")
            return
        self._refuse_foreign(name for name in missing if name not in known_files)
        self.table.begin(scene.name, request.seed)
        files, told = self._made(read, names, missing)
        if told is None:
            told = self.manifest.line_of(names.picture)
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        known = told.get("files", {})
        line = {
            "picture": names.picture,
            "scene": scene.place,
            "seed": request.seed,
            "made_from": made_from,
            "files": {name: hashes.get(name) or known[name] for name in names.all},
            "request": asked,
            "model": {"id": request.model, "sha256": model_sha256},
            "adapters": dict(adapters),
            **{name: told[name] for name in ("plan", "seconds")},
            "notices": [*dict.fromkeys([*notes, *told["notices"]])],
            "version": VERSION,
        }
        try:
            self.manifest.add(line, files)
        except OSError as error:
            raise _FolderLostError(
                ErrorCode.BAD_REQUEST,
                f"{quoted(self.folder)} takes no more files ({error.strerror or error}).",
                "Make room, and give the same command again: it goes on where it stopped.",
            ) from error
        is_painted = names.picture in files
        self.painted += is_painted
        self.kept += not is_painted
        done = "painted" if is_painted else "labelled"
        self.table.end(scene.name, request.seed, done, painted=is_painted)

    def _made(
        self, read: ReadScene, names: _Names, missing: Sequence[str]
    ) -> tuple[dict[str, bytes], Mapping[str, Any] | None]:
        """The files that are missing, and the report of painting; None where nothing is painted."""
        files: dict[str, bytes] = {}
        report = None
        if set(missing) & {names.picture, names.scene}:
            finished = painted(read.scene, self._model_cache(), self.table.show)
            files, report = self._pictures(read, finished, names), finished.report
        if names.labels:
            files |= self._labels(read, names)
        return files, report

    def _pictures(self, read: ReadScene, finished: Finished, names: _Names) -> dict[str, bytes]:
        wanted = [Path(name) for name in (names.picture, names.scene) if name]
        made = output_files(read.document, read.scene, finished, wanted)
        if self.provenance is not None:
            record = self.provenance.record(read.scene.request, finished)
            made = self.provenance.written(made, record, read.document)
        return {path.name: data for path, data in made}

    def _labels(self, read: ReadScene, names: _Names) -> dict[str, bytes]:
        from ..tasks.plan import make_plan  # noqa: PLC0415  imports torch
        from ..tasks.region_map import region_map  # noqa: PLC0415  likewise

        request = read.scene.request
        plan = make_plan(request, self._model_cache().load(request.model))
        labels = region_map(request, read.scene.blobs, plan)
        text = json.dumps(labels.classes, indent=1, ensure_ascii=False)
        return {
            names.labels: encode_grey(labels.numbers),
            names.classes: text.encode("utf-8", "backslashreplace") + b"\n",
        }

    def _refuse_foreign(self, names: Iterable[str]) -> None:
        """Raises TapestryError where a file is there that no batch has made: it would be lost."""
        for name in names:
            if os.path.lexists(self.folder / name):
                raise TapestryError(
                    ErrorCode.BAD_REQUEST,
                    f"{quoted(name)} is in the folder, and {NAME} does not know it.",
                    "Move it away, or choose another folder.",
                )

    def _model_cache(self) -> ModelCache:
        """Made when the first picture is painted: it imports torch."""
        from ..models.model_cache import ModelCache  # noqa: PLC0415

        self._cache = self._cache or ModelCache(self.catalogue)
        return self._cache


class _Names:
    """What the files of a picture are called; empty for those that are not wanted.

    known: files of it that are there from an earlier run; they are wanted too, so that none of them
    belongs to another picture than the rest.
    """

    def __init__(self, stem: str, options: argparse.Namespace, known: Container[str]) -> None:
        self.picture = f"{stem}.png"
        scene, labels, classes = f"{stem}.ora", f"{stem}.labels.png", f"{stem}.classes.json"
        has_labels = options.labels or labels in known
        self.scene = scene if options.ora or scene in known else ""
        self.labels = labels if has_labels else ""
        self.classes = classes if has_labels else ""

    @property
    def all(self) -> list[str]:
        return [name for name in (self.picture, self.scene, self.labels, self.classes) if name]


def _sentence_of(error: Exception) -> str:
    """What an artist reads about an error."""
    if isinstance(error, TapestryError):
        return str(error)
    from ..workers.failures import failure_of  # noqa: PLC0415  imports torch

    failure = failure_of("", error)
    return f"{failure.message} {failure.advice}"


def _is_device_lost(error: Exception) -> bool:
    from ..workers.device_loss import is_device_lost  # noqa: PLC0415  only when something failed

    return is_device_lost(error)
