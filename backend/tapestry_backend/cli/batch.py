"""The command `tapestry batch`: many scenes in, a folder of pictures and its manifest out."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tapestry_protocol import VERSION
from tapestry_protocol.codec import encode
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_SEED
from tapestry_protocol.messages import Submit
from tapestry_protocol.sentences import quoted

from ..checkpoints.catalogue import Catalogue
from ..checkpoints.content_hash import ContentHashes, hashes_file
from ..outputs import check_apart, check_output, unwritable, write_outputs
from ..server.paint_queue import PaintQueue
from ..server.persistence.lock import Lock
from ..tasks.events import Finished
from ..workers.pool import real_worker_command
from .batch_manifest import NAME, Manifest
from .batch_painting import Painted, Painter, PainterHere, PainterOnWorkers
from .batch_pictures import Names, WantedPicture, label_files
from .batch_scenes import BatchScene, find_scenes
from .batch_table import BatchTable
from .cluster_options import add_cluster, checked_cluster_command
from .provenance import Provenance, provenance_of
from .provenance_options import add_provenance
from .render import report_file
from .render_options import SCENES, add_layered, add_painting_options, add_quiet, add_report
from .scene_pictures import (
    ReadScene,
    catalogue_of,
    check_together,
    output_files,
    read_with,
)

_LOCK = ".tapestry-batch.lock"
_LOG = ".tapestry-batch.log"
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
    add_cluster(parser)


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
            work.paint(scenes, _painter(options, folder, catalogue, table))
        finally:
            work.close()
    work.conclude()


def _painter(
    options: argparse.Namespace, folder: Path, catalogue: Catalogue, table: BatchTable
) -> Painter:
    """Who paints; raises TapestryError for a cluster that cannot be used."""
    if options.cluster is None:
        return PainterHere(catalogue, table)
    # The table says it, once workers start, if the cluster is not there.
    cluster = checked_cluster_command(options, [options.model], quiet=True)
    workers = real_worker_command([options.model], adapters=options.adapter)
    log = folder / _LOG
    return PainterOnWorkers(PaintQueue(catalogue, workers, cluster, log), table, log)


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

    def paint(self, scenes: Iterable[BatchScene], painter: Painter) -> None:
        """All pictures of these scenes; what goes wrong with one stops no other."""
        with closing(painter.paint(self._to_paint(scenes))) as outcomes:
            for picture, outcome in outcomes:
                self._take(picture, outcome)

    def _to_paint(self, scenes: Iterable[BatchScene]) -> Iterator[WantedPicture]:
        """Pictures that have to be painted; what else is missing is made at once."""
        for scene in scenes:
            for picture in self._wanted(scene):
                if picture.is_to_paint:
                    yield picture
                else:
                    self._take(picture, None)

    def _take(self, picture: WantedPicture, outcome: Painted | Exception | None) -> None:
        """Keep what was painted, or nothing but labels, or write down why it could not be."""
        if not isinstance(outcome, Exception):
            try:
                self._keep(picture, outcome)
            except _FolderLostError:
                raise
            except Exception as error:  # noqa: BLE001  one picture takes no other along
                outcome = error
        if isinstance(outcome, Exception):
            self.fail(picture.scene.path, picture.seed, outcome)
            if _is_device_lost(outcome):
                raise outcome

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

    def _wanted(self, scene: BatchScene) -> Iterator[WantedPicture]:
        """The pictures of a scene of which something is missing."""
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
                picture = self._picture(scene, seeded, adapters, notes)
            except Exception as error:  # noqa: BLE001  likewise
                self.fail(scene.path, seed, error)
                continue
            if picture.missing:
                yield picture
            else:
                self.kept += 1
                self.table.end(scene.name, seed, "was there")

    def _picture(
        self, scene: BatchScene, read: ReadScene, adapters: Mapping[str, str], notes: Sequence[str]
    ) -> WantedPicture:
        """A picture, and what of it is missing; raises TapestryError where that cannot be made."""
        request = read.scene.request
        stem = f"{scene.name}-seed{request.seed}"
        known_files = self.manifest.files_of(f"{stem}.png")
        names = Names(stem, self.options, known_files)
        asked = json.loads(encode(Submit("batch", request)))["request"]
        model_sha256 = self.hashes.of_model(request.model)
        facts = {"request": asked, "model": model_sha256, "adapters": dict(adapters)}
        if self.provenance is not None:
            facts["provenance"] = self.provenance.key
        made_from = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        right = self.manifest.right_files(names.picture, made_from)
        missing = [name for name in names.all if name not in right]
        self._refuse_foreign(name for name in missing if name not in known_files)
        return WantedPicture(scene, read, names, missing, facts, made_from, notes)

    def _keep(self, picture: WantedPicture, painted: Painted | None) -> None:
        """Write what was missing, and the picture's line; painted: None where only labels were."""
        names = picture.names
        files: dict[str, bytes] = {}
        told: Mapping[str, Any] = {}
        if painted is None:
            told = self.manifest.line_of(names.picture)
        else:
            files, told = self._pictures(picture, painted.finished), painted.finished.report
        if names.labels:
            files |= label_files(picture, told["plan"])
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        known = told.get("files", {})
        computer = told.get("computer", "") if painted is None else painted.computer
        line = {
            "picture": names.picture,
            "scene": picture.scene.place,
            "seed": picture.seed,
            "made_from": picture.made_from,
            "files": {name: hashes.get(name) or known[name] for name in names.all},
            "request": picture.facts["request"],
            "model": {
                "id": picture.read.scene.request.model,
                "sha256": picture.facts["model"],
            },
            "adapters": picture.facts["adapters"],
            **{name: told[name] for name in ("plan", "seconds")},
            "notices": [*dict.fromkeys([*picture.notes, *told["notices"]])],
            **({"computer": computer} if computer else {}),
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
        self.painted += painted is not None
        self.kept += painted is None
        done = "labelled" if painted is None else "painted"
        self.table.end(picture.scene.name, picture.seed, done, painted=painted is not None)

    def _pictures(self, picture: WantedPicture, finished: Finished) -> dict[str, bytes]:
        document, scene = picture.read
        wanted = [Path(name) for name in (picture.names.picture, picture.names.scene) if name]
        made = output_files(document, scene, finished, wanted)
        if self.provenance is not None:
            record = self.provenance.record(scene.request, finished)
            made = self.provenance.written(made, record, document)
        return {path.name: data for path, data in made}

    def _refuse_foreign(self, names: Iterable[str]) -> None:
        """Raises TapestryError where a file is there that no batch has made: it would be lost."""
        for name in names:
            if os.path.lexists(self.folder / name):
                raise TapestryError(
                    ErrorCode.BAD_REQUEST,
                    f"{quoted(name)} is in the folder, and {NAME} does not know it.",
                    "Move it away, or choose another folder.",
                )


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
