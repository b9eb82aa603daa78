"""The command line: arguments, exit statuses, errors as sentences; the work is done elsewhere.

Exit statuses: 0 done, 1 something is missing (doctor), 2 a sentence on stderr says what is wrong,
130 stopped by the person in front of it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from tapestry_protocol import VERSION
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_GUIDANCE_SCALE, MAX_SEED, MAX_SIDE_PX, MAX_STEPS
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Margins

BAD_INPUT = 2
STOPPED = 130

_SIDES = tuple(field.name for field in fields(Margins))
_DEFAULTS = {field.name: field.default for field in fields(Request)}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status and never raises."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser(given[:1]).parse_args(given)
    try:
        return options.run(options)
    except TapestryError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return STOPPED
    except Exception as error:  # noqa: BLE001  nobody sees a traceback who did not ask for one
        return _unexpected(error)


def _parser(chosen: list[str]) -> argparse.ArgumentParser:
    """The parser; `chosen` is the command in a list, or empty."""
    parser = argparse.ArgumentParser(
        prog="tapestry", description="Paint areas, name them, get one picture."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_render(commands.add_parser("render", help="make a picture out of an OpenRaster scene"))
    serve = commands.add_parser("serve", help="run the backend that Krita's plugin talks to")
    if chosen == ["serve"]:
        _add_serve(serve)
    models = commands.add_parser("models", help="list the models that can be used")
    models.add_argument("--model", **_MODEL, action="append", default=[])
    models.set_defaults(run=_models)
    doctor = commands.add_parser("doctor", help="say what works here and what does not")
    doctor.set_defaults(run=_doctor)
    version = commands.add_parser("version", help="say which version this is")
    version.set_defaults(run=_version)
    return parser


_MODEL = {
    "metavar": "PATH_OR_ID",
    "help": "a Stable Diffusion checkpoint: a folder in diffusers layout, or an id in the Hugging "
    "Face cache",
}


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Every visible layer or group of the scene that has a name and some paint is a region: its "
        'name is the prompt, the topmost of overlapping ones wins. A layer named "Background", or '
        "the bottom one where it covers everything, stands for the rest of the canvas."
    )
    add = parser.add_argument
    add("scene", metavar="SCENE.ora", type=Path)
    add(
        *("-o", "--output"),
        metavar="OUT.ora|OUT.png",
        type=Path,
        action="append",
        required=True,
        help="the scene with the result as a new layer, or a flat picture (may be repeated)",
    )
    add("--model", **_MODEL, default=_DEFAULTS["model"])
    add("--seed", type=_number(int, 0, MAX_SEED), default=_DEFAULTS["seed"], metavar="N")
    steps = _number(int, 1, MAX_STEPS)
    add("--steps", type=steps, default=_DEFAULTS["num_inference_steps"], metavar="N")
    scale = _number(float, 0, MAX_GUIDANCE_SCALE)
    add("--guidance-scale", type=scale, default=_DEFAULTS["guidance_scale"], metavar="X")
    add("--background", metavar="PROMPT", help="for everything that no region covers")
    add("--negative-prompt", metavar="PROMPT", default="", help="what should not be in the picture")
    add(
        "--extend",
        metavar="SIDE=PIXELS,...",
        type=_margins,
        default=Margins(),
        help="grow the picture and paint the new part, for instance left=256,right=256",
    )
    add("--wrap", action="store_true", help="let the left and right edge continue each other")
    add("--overlap", choices=("occlude", "blend"), default=_DEFAULTS["overlap"])
    add(
        "--report", metavar="FILE.json", type=Path, help="write what was done, and how long it took"
    )
    add("--quiet", action="store_true", help="show no progress")
    parser.set_defaults(run=_render)


def _add_serve(parser: argparse.ArgumentParser) -> None:
    from .server.command import add_serve_arguments, serve_command  # noqa: PLC0415  only to serve

    add_serve_arguments(parser)
    parser.set_defaults(run=serve_command)


def _render(options: argparse.Namespace) -> int:
    from .render import render  # noqa: PLC0415  decides by itself when torch is needed

    render(options)
    return 0


def _models(options: argparse.Namespace) -> int:
    from .models.catalogue import Catalogue  # noqa: PLC0415  only here

    for model in Catalogue(options.model).models:
        print(f"{model.id}\twindows of {model.window_px} pixels")
    return 0


def _doctor(_options: argparse.Namespace) -> int:
    from .doctor import examine  # noqa: PLC0415  imports torch

    return examine()


def _version(_options: argparse.Namespace) -> int:
    print(f"Tapestry {VERSION}")
    return 0


def _number(kind: type, low: float, high: float) -> Callable[[str], float]:
    """An argparse type: a number within limits, both included."""

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r} is no number between {low} and {high:g}"
            )
        return value

    return convert


def _margins(text: str) -> Margins:
    """An argparse type: "left=256,right=256"."""
    margins: dict[str, int] = {}
    for part in text.split(","):
        side, _, pixels = (piece.strip() for piece in part.partition("="))
        if side not in _SIDES or side in margins or not pixels.isascii() or not pixels.isdigit():
            raise argparse.ArgumentTypeError(
                f"{part.strip()[:40]!r} is no side with its pixels; write for instance "
                "left=256,right=256 (sides: left, right, top, bottom)"
            )
        margins[side] = min(int(pixels[:9]), MAX_SIDE_PX + 1)
        if margins[side] > MAX_SIDE_PX:
            raise argparse.ArgumentTypeError(f"a side grows by {MAX_SIDE_PX} pixels at most")
    if not any(margins.values()):
        raise argparse.ArgumentTypeError("no side grows; give at least one of them some pixels")
    return Margins(**margins)


def _complain(sentence: str) -> int:
    print(f"\ntapestry: {sentence}", file=sys.stderr)
    return BAD_INPUT


def _unexpected(error: Exception) -> int:
    """A sentence for an error that nobody foresaw; its traceback goes to a file."""
    from .workers.failures import failure_of  # noqa: PLC0415  only when something went wrong

    failure = failure_of("", error)
    sentence = f"{failure.message} {failure.advice}"
    if failure.code is ErrorCode.INTERNAL:
        handle, path = tempfile.mkstemp(prefix="tapestry-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)
        sentence += f" The details are in {path}."
    return _complain(sentence)


if __name__ == "__main__":
    sys.exit(main())
