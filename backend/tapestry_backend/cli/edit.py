"""The command `tapestry edit`: a picture, or a scene's picture, changed with words."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tapestry_protocol.blending import ATOP
from tapestry_protocol.bundled import instructed
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_REFERENCES
from tapestry_protocol.messages import EDIT_STRENGTHS, Edit, Request
from tapestry_protocol.pixels import NO_MARGINS, PixelsRef
from tapestry_protocol.request_checks import check_contents, check_request, is_same
from tapestry_protocol.runtime import data_folder
from tapestry_protocol.sentences import quoted

from ..checkpoints.catalogue import BUNDLED, Catalogue
from ..checkpoints.discovery import adapter_folders, entries_for
from ..openraster.compose import lay_over
from ..openraster.document import Document, as_array
from ..openraster.png import colours_of, encode_png, read_picture
from ..openraster.scene import read_scene, result_name, shows_result
from ..outputs import check_apart, check_not_source, write_outputs
from ..tasks.events import Finished, last_of
from ..values import words_of
from .picture_files import (
    PICTURE_OR_SCENE,
    check_mask_kept,
    kept,
    layer_or_mask,
    picture_data,
    selection_of,
)
from .provenance import provenance_of
from .provenance_options import add_provenance
from .render import ProgressLine, check_outputs, report_file
from .render_options import (
    ADAPTER,
    add_field,
    add_loras,
    add_quiet,
    add_report,
    add_steps,
    request_settings,
    take_lora_files,
    value_of,
)
from .scene_pictures import open_document

_EDIT_FIELDS = {field.name for field in fields(Edit)}

_OF_METHODS = {
    "threshold": ("--threshold", {"diffedit", "p2p"}),
    "cross_attention": ("--cross-attention", {"p2p"}),
    "self_attention": ("--self-attention", {"p2p"}),
    "features": ("--features", {"p2p"}),
    "picture_scale": ("--picture-scale", {"instruct"}),
    "picture_shown": ("--picture-shown", {"instruct"}),
    "references": ("--reference", {"instruct"}),
    "source_model": ("--from-model", {"ddib"}),
    "cycle": ("--cycle", {"ddib"}),
    "interpolation": ("--interpolation", {"imagic"}),
    "learning_steps": ("--learning-steps", {"imagic"}),
}
"""Fields that count with some methods alone, and their options."""


@dataclass(frozen=True)
class _Source:
    """What is edited.

    request    with everything but its words
    colours    what a PNG file says of its colours
    document   a scene; None for a picture
    """

    request: Request
    blobs: dict[str, bytes]
    picture: np.ndarray
    colours: bytes
    document: Document | None
    notes: tuple[str, ...]


def add_edit_options(parser: argparse.ArgumentParser) -> None:
    """All of them; names, defaults and limits are those of `render`."""
    parser.description = (
        "Changes what a picture shows, and leaves the rest as it is: --from says what is there, "
        "--to what it shall become. In a scene (.ora) a layer that is called as --from says is "
        "where; without one, and in a picture (.png), the place is found by the words."
    )
    parser.add_argument("picture", metavar="PICTURE.png|SCENE.ora", type=Path)
    parser.add_argument(
        *("-o", "--output"),
        metavar="OUT.png|OUT.ora",
        type=Path,
        action="append",
        default=[],
        help="the changed picture, or the scene with the change as a new layer (may be repeated)",
    )
    parser.add_argument(
        "--method",
        choices=words_of(Edit, "method"),
        help="diffedit: find the place and paint it anew; p2p: keep its shapes; ddib: turn the "
        "whole picture; instruct: do as --instruction says; imagic: learn the picture, which takes "
        "minutes, then let --to change it (diffedit)",
    )
    words = parser.add_argument_group("words")
    words.add_argument("--from", dest="source_prompt", metavar="WORDS", help="what is there now")
    words.add_argument("--to", dest="prompt", metavar="WORDS", help="what it shall become")
    words.add_argument(
        "--instruction",
        metavar="WORDS",
        help='what shall change, for instance "make it night": for a model that follows '
        "instructions (InstructPix2Pix, FLUX.1 Kontext, FLUX.2 Klein, Qwen-Image-Edit; without "
        "--model the bundled sample-edit)",
    )
    add_field(words, "--negative-prompt", "negative_prompt", "PROMPT", "what should not be there")
    add_field(words, "--style", "style", "TEXT", "added to every prompt")
    place = parser.add_argument_group("where")
    place.add_argument(
        "--select",
        metavar="LAYER|MASK.png",
        help="change nothing but what this layer of the scene has paint on, or the mask has white",
    )
    _add_edit_field(
        place,
        "--threshold",
        "threshold",
        "how clearly a place must show what --from says; 0: everywhere",
    )
    place.add_argument(
        "--mask-out", metavar="MASK.png", type=Path, help="write what has changed, in white"
    )
    place.add_argument(
        "--map-out",
        metavar="MAP.png",
        type=Path,
        help="write how clearly each place shows what --from says, and paint nothing",
    )
    how = parser.add_argument_group("how it is painted")
    how.add_argument(
        "--strength",
        type=value_of("strength"),
        default=argparse.SUPPRESS,
        metavar="X",
        help="how far the way goes back to noise (diffedit 0.8, others 1)",
    )
    _add_edit_field(how, "--cross-attention", "cross_attention", "p2p: how long words keep shapes")
    _add_edit_field(how, "--self-attention", "self_attention", "p2p: how long parts keep shapes")
    _add_edit_field(how, "--features", "features", "p2p: how long all of it keeps its lines")
    _add_edit_field(
        how, "--picture-scale", "picture_scale", "instruct: how closely the picture is kept to"
    )
    how.add_argument(
        "--picture-shown",
        choices=words_of(Edit, "picture_shown"),
        default=argparse.SUPPRESS,
        help="instruct, with a model that is shown pictures beside what it paints: each window its "
        "own part, the whole made small, both, or none of it, but the references (window)",
    )
    how.add_argument(
        "--reference",
        dest="references",
        metavar="FILE.png",
        type=Path,
        action="append",
        default=argparse.SUPPRESS,
        help="instruct, with such a model: another picture that it is shown, as a whole (may be "
        "repeated where the model is shown several)",
    )
    _add_edit_field(
        how,
        "--interpolation",
        "interpolation",
        "imagic: from the picture as it is, 0, to all that --to says, 1, and beyond",
    )
    _add_edit_field(
        how,
        "--learning-steps",
        "learning_steps",
        "imagic: how long the model looks at the picture; what it learned is kept",
    )
    how.add_argument(
        "--from-model",
        dest="source_model",
        default=argparse.SUPPRESS,
        metavar="MODEL",
        help="ddib: the model that takes the picture back to noise; --model then paints it",
    )
    how.add_argument(
        "--cycle",
        action="store_true",
        default=argparse.SUPPRESS,
        help="ddib: turn the result back again, and tell how near that comes to the picture",
    )
    how.add_argument("--adapter", **ADAPTER)
    add_loras(how, has_regions=False)
    add_steps(
        how,
        has_scheduler=False,
        seed="instruct: another picture for each number; no other method has any chance in it",
    )
    add_report(parser.add_argument)
    add_quiet(parser.add_argument)
    add_provenance(parser)


def _add_edit_field(group: argparse._ArgumentGroup, flag: str, field: str, meaning: str) -> None:
    group.add_argument(
        flag,
        dest=field,
        type=value_of(field, Edit),
        default=argparse.SUPPRESS,
        metavar="X",
        help=f"{meaning} ({getattr(Edit, field)})",
    )


def edit(options: argparse.Namespace) -> None:
    """Carry out the command; raises TapestryError with a sentence for whatever is wrong."""
    take_lora_files(options)
    _check_together(options)
    if options.map_out is None and not options.output:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "It was not said where the result goes.",
            "Name a file with -o, or with --map-out.",
        )
    check_outputs(options.picture, options.output, (".png", ".ora"), options.report)
    if options.picture.suffix.lower() == ".png":  # in a scene the change is one more layer
        check_not_source(options.picture, options.output, "is what is edited")
    check_mask_kept(options.select, options.output)
    for reference in getattr(options, "references", ()):
        check_not_source(reference, options.output, "is a reference")
    for path in (options.mask_out, options.map_out):
        if path is not None:
            check_outputs(options.picture, [path], (".png",), options.report)
            for other in (options.picture, *options.output):
                check_apart([other, path], alike=True)
    source = _read(options)
    request = _with_words(source, options)
    progress = ProgressLine(quiet=options.quiet)
    for note in source.notes:
        progress.note(note)
    check_request(request)
    models = [name for name in (options.model, getattr(options, "source_model", "")) if name]
    catalogue = Catalogue(
        models,
        found=entries_for(models),
        adapters=options.adapter,
        adapter_folders=adapter_folders(),
    )
    catalogue.check(request)
    provenance = provenance_of(options, catalogue)
    finished = _run(request, source.blobs, catalogue, progress)
    for notice in finished.report["notices"]:
        progress.note(notice)
    pictures = _pictures(source, request, finished, options)
    if provenance is not None:
        record = provenance.record(request, finished)
        pictures = provenance.written(pictures, record, source.document)
    maps = _maps(finished, options)
    write_outputs([*maps, *pictures, *report_file(finished.report, options.report)])


def _check_together(options: argparse.Namespace) -> None:
    """Refuse what would do nothing, silently."""
    if options.map_out is not None and (options.output or options.mask_out is not None):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "With --map-out nothing is painted: there is nothing for -o or --mask-out.",
            "Leave one or the other out.",
        )
    if options.instruction is not None:
        if options.method not in {None, "instruct"}:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"The method {quoted(options.method)} follows no instruction.",
                "Leave --method out, or say the words with --from and --to.",
            )
        options.method = "instruct"
        options.model = instructed(options.model, BUNDLED)
        if options.source_prompt or options.prompt:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                "An instruction says all that changes: --from and --to count nothing beside it.",
                "Leave them out, or --instruction.",
            )
    elif options.method == "instruct":
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "There is no instruction.",
            'Give one, for instance --instruction "make it night".',
        )
    elif not (options.prompt or "").strip():
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "It was not said what the picture shall become.",
            'Say it with --to, for instance --from "snow" --to "lava".',
        )
    options.method = options.method or "diffedit"
    _check_fields(options)
    if options.method == "imagic" and options.source_prompt:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "The model learns by itself what the picture shows: --from counts nothing.",
            "Leave it out; with --select you say where the picture may change.",
        )


def _check_fields(options: argparse.Namespace) -> None:
    """Refuse options that count nothing with the method, or with a map."""
    for field in ("threshold", "strength"):
        if options.map_out is not None and hasattr(options, field):
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"With --map-out nothing is painted: --{field} counts nothing.",
                "Leave one or the other out.",
            )
    for field, (flag, methods) in _OF_METHODS.items():
        known = " or ".join(map(quoted, sorted(methods)))
        if hasattr(options, field) and options.method not in methods:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"{flag} counts nothing with the method {quoted(options.method)}.",
                f"Leave it out, or choose {known} with --method.",
            )


def _read(options: argparse.Namespace) -> _Source:
    path: Path = options.picture
    suffix = path.suffix.lower()
    if suffix not in {".png", ".ora"}:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{quoted(path.name or str(path))} is no kind of picture that is read here.",
            "Give a picture (.png) or a scene (.ora); save another kind of picture as PNG first.",
        )
    if suffix == ".png" and any(out.suffix.lower() == ".ora" for out in options.output):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "A picture (.png) has no layers to save the change among.",
            "Let the result's name end in .png, or give a scene (.ora).",
        )
    return _read_picture(options) if suffix == ".png" else _read_scene(options)


def _read_picture(options: argparse.Namespace) -> _Source:
    path: Path = options.picture
    data = picture_data(path, PICTURE_OR_SCENE)
    picture, notes = read_picture(data, quoted(path.name))
    blobs: dict[str, bytes] = {}
    request = _request(options, picture, blobs)
    if options.select:
        selected = layer_or_mask(options.select, None, request)
        request = replace(request, selection=selection_of(selected, blobs))
    return _Source(request, blobs, picture, colours_of(data), None, notes)


def _read_scene(options: argparse.Namespace) -> _Source:
    document = open_document(options.picture)
    scene = read_scene(document, check=check_contents, **_settings(options))
    if scene.request.regions and not shows_result(document):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "The scene shows no picture yet that could be edited.",
            "Render it first (tapestry render SCENE.ora -o SCENE.ora), or give its picture.",
        )
    blobs = dict(scene.blobs)
    picture = document.flattened
    request = _request(options, picture, blobs)
    if _is_called(scene.request, options.source_prompt or ""):  # where that lies is known
        request = replace(request, regions=scene.request.regions, prompt=scene.request.prompt)
    if options.select:
        selected = layer_or_mask(options.select, document, request)
        request = replace(request, selection=selection_of(selected, blobs))
    notes = (*scene.notes, *(note for note in document.damage if note not in scene.notes))
    return _Source(request, blobs, picture, document.colours_meant, document, notes)


def _is_called(scene: Request, name: str) -> bool:
    """Whether a layer is called so, or the lowest one, which covers all and is the background."""
    layers = (scene.prompt, *(region.prompt for region in scene.regions))
    return bool(name.strip()) and any(is_same(each, name) for each in layers)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of a request that were named, but for its words."""
    return {
        name: value
        for name, value in request_settings(options).items()
        if name not in {"prompt", "strength"}
    }


def _request(options: argparse.Namespace, picture: np.ndarray, blobs: dict[str, bytes]) -> Request:
    height, width = picture.shape[:2]
    strength = getattr(options, "strength", EDIT_STRENGTHS[options.method])
    request = Request("edit", height, width, **_settings(options))
    return replace(request, image=kept(picture, blobs), strength=strength)


def _references(paths: Sequence[Path], blobs: dict[str, bytes]) -> tuple[PixelsRef, ...]:
    """Other pictures that the model is shown; their pixels go to the blobs."""
    if len(paths) > MAX_REFERENCES:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"There are {len(paths)} references; a model is shown {MAX_REFERENCES} at most.",
            "Leave some out.",
        )
    found = []
    for path in paths:
        data = picture_data(path, "Give the path of a picture (.png).")
        found.append(kept(np.ascontiguousarray(read_picture(data, quoted(path.name))[0]), blobs))
    return tuple(found)


def _with_words(source: _Source, options: argparse.Namespace) -> Request:
    """The request with its words: for the layer that is called so, or for all of the picture."""
    named = {name: value for name, value in vars(options).items() if name in _EDIT_FIELDS}
    named["references"] = _references(named.pop("references", ()), source.blobs)
    now = named.pop("source_prompt", None) or ""
    edit = Edit(**{name: value for name, value in named.items() if value is not None})
    edit = replace(edit, map_only=options.map_out is not None)
    if options.instruction is not None:
        return replace(source.request, prompt=options.instruction, edit=edit)
    background = source.request.prompt
    if not (source.request.regions or background):
        return replace(source.request, prompt=options.prompt, edit=replace(edit, source_prompt=now))
    regions = tuple(
        replace(region, prompt=options.prompt, source_prompt=region.prompt)
        if is_same(region.prompt, now)
        else region
        for region in source.request.regions
    )
    edit = replace(edit, source_prompt=background)
    if "threshold" not in named:
        edit = replace(edit, threshold=0.0)  # where it is, the layer says
    prompt = options.prompt if is_same(background, now) else background
    return replace(source.request, regions=regions, prompt=prompt, edit=edit)


def _run(
    request: Request, blobs: dict[str, bytes], catalogue: Catalogue, progress: ProgressLine
) -> Finished:
    from ..models.model_cache import ModelCache  # noqa: PLC0415  torch, only once the input is sound
    from ..tasks.imagic import learned_files  # noqa: PLC0415  likewise
    from ..tasks.inversion_files import InversionFiles  # noqa: PLC0415  likewise
    from ..tasks.run import run  # noqa: PLC0415  likewise

    inversions = InversionFiles(data_folder() / "inversions")
    learned = learned_files(data_folder())
    events = run(request, blobs, ModelCache(catalogue), inversions=inversions, learned=learned)
    finished = last_of(events, progress.show)
    progress.done()
    return finished


def _maps(finished: Finished, options: argparse.Namespace) -> Iterator[tuple[Path, bytes]]:
    """Where something is, or has changed, in grey."""
    result = as_array(finished.pixels)
    if options.map_out is not None:
        yield options.map_out, encode_png(result)
    elif options.mask_out is not None:
        grey = np.repeat(result[..., 3:], 3, axis=2)
        yield options.mask_out, encode_png(np.dstack([grey, np.full_like(result[..., 3], 255)]))


def _pictures(
    source: _Source, request: Request, finished: Finished, options: argparse.Namespace
) -> Iterator[tuple[Path, bytes]]:
    """What is to be written of the picture, one after the other."""
    result = as_array(finished.pixels)
    flattened = source.picture.copy()
    lay_over(flattened, result, 0, 0)
    for path in options.output:
        if path.suffix.lower() == ".png":
            yield path, encode_png(_painted_into(source.picture, result), source.colours)
        elif source.document is not None:
            yield (
                path,
                source.document.saved_with_result(
                    finished.pixels, NO_MARGINS, result_name(request), flattened
                ),
            )


def _painted_into(picture: np.ndarray, result: np.ndarray) -> np.ndarray:
    """The picture with the result in it, uint8 [H, W, 4] each: its own opacity stays.

    The result is as transparent as the picture, once: a layer may lie on it, and this is one layer.
    """
    opacity = np.maximum(picture[..., 3], 1).astype(np.uint16)
    share = np.minimum((result[..., 3] * np.uint16(255) + opacity // 2) // opacity, 255)
    painted = picture.copy()
    lay_over(painted, np.dstack([result[..., :3], share.astype(np.uint8)]), 0, 0, operator=ATOP)
    return painted
