"""The command `tapestry teach`: layers and pictures in, a file with a new word out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.limits import MAX_EXAMPLES
from tapestry_protocol.messages import Request, Teach
from tapestry_protocol.pixels import PixelsRef
from tapestry_protocol.request_checks import check_request
from tapestry_protocol.runtime import data_folder
from tapestry_protocol.sentences import quoted

from ..checkpoints.catalogue import SAMPLE, Catalogue
from ..checkpoints.discovery import adapter_folders, entries_for
from ..checkpoints.taught import taught_path
from ..openraster.document import Document, as_array
from ..openraster.png import encode_png, read_picture
from ..outputs import check_output, write_outputs
from ..tasks.events import Finished, last_of
from ..values import words_of
from .picture_files import kept, picture_data
from .render import ProgressLine, check_outputs, report_file
from .render_options import ADAPTER, MODEL, add_quiet, add_report, value_of
from .scene_pictures import open_document
from .teach_merge import merge

_PICTURES = {".png"}
_FOUND_IN_FOLDERS = {".png", ".ora"}
_DEFAULT_PX = 256
_TAUGHT_HOW = frozenset(field.name for field in fields(Teach)) - {"examples"}


def add_teach_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    parser.description = (
        "Teach a model a word from a few layers or pictures that show the same thing. Only what is "
        "painted in them counts: what is transparent is not learned. Stopped with Ctrl+C, the same "
        "command goes on from there; with --minutes 0 it makes the file of what it has learned. "
        "With --merge, files that were taught become one."
    )
    parser.add_argument(
        "examples",
        nargs="+",
        type=Path,
        metavar="SCENE.ora|FOLDER|PICTURE.png",
        help="every visible layer or group of a scene that has paint, or --layer; every picture "
        "and scene of a folder; with --merge the files",
    )
    parser.add_argument(
        "--merge",
        action="store_true",
        help="make one file of two or more that were taught by --method attention: all their "
        "words may then stand in one prompt",
    )
    parser.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME",
        help="of scenes only the layers and groups of this name, hidden ones too (may be repeated)",
    )
    what = parser.add_argument_group("what is taught")
    what.add_argument(
        "--word",
        default=argparse.SUPPRESS,
        help='as prompts will say it, for instance "my wool"; always wanted, but for --merge',
    )
    _add_field(what, "--like", "like", "WORDS", "what it is near to, in words that the model knows")
    _add_field(what, "--licence", "licence", "TEXT", "what you say about its use, for the file")
    how = parser.add_argument_group("how it is taught")
    how.add_argument(
        "--method",
        choices=words_of(Teach, "method"),
        default=argparse.SUPPRESS,
        help="lora: small changes of the layers, for most things; word: the word alone, tiny; "
        "attention: the layers that read the text, and the word; key-locked: tiny, opens for the "
        "word alone (lora)",
    )
    _add_field(how, "--minutes", "minutes", "N", "how long it learns; 0: what is learned so far")
    _add_field(how, "--rank", "rank", "N", "of the changes: more for what has more detail")
    _add_field(how, "--vectors", "vectors", "N", "of the word, but for lora")
    for name, meaning, default in (
        ("flips", "mirrored", True),
        ("turns", "turned a little", False),
        ("light", "a little lighter and darker", False),
    ):
        how.add_argument(
            f"--{name}",
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            help=f"show the examples {meaning} as well ({'yes' if default else 'no'})",
        )
    how.add_argument("--model", **MODEL)
    how.add_argument("--adapter", **ADAPTER)
    parser.add_argument(
        *("-o", "--output"),
        metavar="FILE.safetensors",
        type=Path,
        help="the file; without it, in the models folder, called as the word",
    )
    parser.add_argument(
        "--picture", metavar="OUT.png", type=Path, help="what the word means then, painted"
    )
    add_report(parser.add_argument)
    add_quiet(parser.add_argument)


def _add_field(
    group: argparse._ArgumentGroup, flag: str, field: str, metavar: str, meaning: str
) -> None:
    default = getattr(Teach, field)
    group.add_argument(
        flag,
        dest=field,
        type=value_of(field, Teach),
        default=argparse.SUPPRESS,
        metavar=metavar,
        help=meaning + ("" if default == "" else f" ({default:g})"),
    )


def teach(options: argparse.Namespace) -> None:
    """Carry out the command; raises TapestryError with a sentence for whatever is wrong."""
    if options.merge:
        merge(options)
        return
    _check_outputs(options)
    blobs: dict[str, bytes] = {}
    progress = ProgressLine(quiet=options.quiet)
    examples = tuple(_examples(options, blobs))
    if len(examples) > MAX_EXAMPLES:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            f"There are {len(examples)} examples; a model is taught from {MAX_EXAMPLES} at most.",
            "Name some of the layers with --layer: 3 to 5 are what the methods are made for.",
        )
    named = {name: value for name, value in vars(options).items() if name in _TAUGHT_HOW}
    model = options.model or SAMPLE
    request = Request(
        "teach",
        _DEFAULT_PX,
        _DEFAULT_PX,
        model=model,
        teach=Teach(**{"word": "", **named}, examples=examples),
    )
    check_request(request)
    catalogue = Catalogue(
        [model],
        found=entries_for([model]),
        adapters=options.adapter,
        adapter_folders=adapter_folders(),
    )
    catalogue.check(request)
    finished = _run(request, blobs, catalogue, options.output, progress)
    progress.note(
        f"{quoted(request.teach.word if request.teach else '')} is in "
        f"{quoted(finished.report['teach']['file'])}, "
        f"{finished.report['teach']['bytes'] / 1000:.0f} KB."
    )
    for notice in finished.report["notices"]:
        progress.note(notice)
    write_outputs(_files(finished, options))


def _check_outputs(options: argparse.Namespace) -> None:
    first = options.examples[0]
    if options.output is not None:
        check_outputs(first, [options.output], (".safetensors",), options.report)
    elif options.report is not None:
        check_outputs(first, [], (), options.report)
    if options.picture is not None:
        check_outputs(first, [options.picture], (".png",), None)
    if options.output is None:
        place = taught_path(getattr(options, "word", ""), getattr(options, "method", Teach.method))
        if place.parent.is_dir():
            check_output(place)


def _examples(options: argparse.Namespace, blobs: dict[str, bytes]) -> Iterator[PixelsRef]:
    wanted = {plain_name(name) for name in options.layer}
    found: set[str] = set()
    for path in _paths(options.examples):
        if path.suffix.lower() == ".ora":
            for name, picture in _layers(open_document(path), wanted):
                found.add(name)
                yield kept(picture, blobs)
        else:
            data = picture_data(path, "Give pictures (.png), scenes (.ora), or a folder of such.")
            yield kept(np.ascontiguousarray(read_picture(data, quoted(path.name))[0]), blobs)
    missing = sorted(wanted - found)
    if missing:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"No layer with some paint is called {quoted(missing[0][:40])}.",
            "Name layers or groups of the scene.",
        )


def _paths(given: list[Path]) -> Iterator[Path]:
    for path in given:
        if path.is_dir():
            inside = sorted(
                each for each in path.iterdir() if each.suffix.lower() in _FOUND_IN_FOLDERS
            )
            if not inside:
                raise TapestryError(
                    ErrorCode.BAD_REQUEST,
                    f"There is no picture in the folder {quoted(path)}.",
                    "Give a folder with pictures (.png) or scenes (.ora).",
                )
            yield from inside
        elif path.suffix.lower() in _FOUND_IN_FOLDERS:
            yield path
        else:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"{quoted(path.name or str(path))} is no kind of picture that is read here.",
                "Give pictures (.png), scenes (.ora), or a folder of such.",
            )


def _layers(document: Document, wanted: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The layers' own paint, cut to where there is some; with their names."""
    nodes = document.all_layers if wanted else document.layers
    for node in nodes:
        if (plain_name(node.name) not in wanted) if wanted else not node.is_shown:
            continue
        covered = document.alpha(node, document.bounds)
        if covered is not None:
            yield plain_name(node.name), document.colours(node, covered[0])


def _run(
    request: Request,
    blobs: dict[str, bytes],
    catalogue: Catalogue,
    output: Path | None,
    progress: ProgressLine,
) -> Finished:
    from ..models.model_cache import ModelCache  # noqa: PLC0415  torch, only once the input is sound
    from ..tasks.run import run  # noqa: PLC0415  likewise
    from ..tasks.teaching import half_learned_files  # noqa: PLC0415  likewise

    files = half_learned_files(data_folder())
    events = run(request, blobs, ModelCache(catalogue), half_learned=files, taught=output)
    finished = last_of(events, progress.show)
    progress.done()
    return finished


def _files(finished: Finished, options: argparse.Namespace) -> Iterator[tuple[Path, bytes]]:
    if options.picture is not None:
        yield options.picture, encode_png(as_array(finished.pixels))
    yield from report_file(finished.report, options.report)
