"""The command line: arguments, exit statuses, errors as sentences.

Exit statuses: 0 done, 1 something is missing (doctor), 2 a sentence on stderr says what is wrong,
130 stopped by the person in front of it, 128 and the signal's number stopped by another signal.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback

from tapestry_protocol import VERSION
from tapestry_protocol.errors import ErrorCode, TapestryError

from .console import OutputLostError, steadily
from .render_options import add_render_options
from .stopping import stoppable

BAD_INPUT = 2
STOPPED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status and never raises."""
    return steadily(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def _run(given: list[str]) -> int:
    options = _parser(given[:1]).parse_args(given)
    try:
        return options.run(options)
    except TapestryError as error:
        return _complain(str(error))
    except OutputLostError:
        raise
    except KeyboardInterrupt as stopped:
        print("\nStopped.", file=sys.stderr)
        return stopped.args[0] if stopped.args else STOPPED
    except Exception as error:  # noqa: BLE001  tracebacks are shown on request only
        return _unexpected(error)


def _parser(chosen: list[str]) -> argparse.ArgumentParser:
    """The parser; `chosen` is the command in a list, or empty."""
    parser = argparse.ArgumentParser(
        prog="tapestry", description="Paint areas, name them, get one picture."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    render = commands.add_parser("render", help="make a picture out of an OpenRaster scene")
    add_render_options(render)
    render.set_defaults(run=_render)
    batch = commands.add_parser("batch", help="make pictures out of many scenes, into a folder")
    if chosen == ["batch"]:
        _add_batch(batch)
    upscale = commands.add_parser("upscale", help="make a picture, or a scene's picture, larger")
    if chosen == ["upscale"]:
        _add_upscale(upscale)
    edit = commands.add_parser("edit", help="change what a picture shows, with words")
    if chosen == ["edit"]:
        _add_edit(edit)
    what = commands.add_parser("what", help="say which of some names fits what a picture shows")
    if chosen == ["what"]:
        _add_what(what)
    teach = commands.add_parser("teach", help="teach a model a word from layers or pictures")
    if chosen == ["teach"]:
        _add_teach(teach)
    serve = commands.add_parser("serve", help="run the backend that Krita's plugin talks to")
    if chosen == ["serve"]:
        _add_serve(serve)
    bench = commands.add_parser(
        "bench", help="measure quality or speed, side by side, or a graphics card"
    )
    if chosen == ["bench"]:
        _add_bench(bench)
    models = commands.add_parser("models", help="list the models that can be used, or fetch one")
    if chosen == ["models"]:
        _add_models(models)
    doctor = commands.add_parser("doctor", help="say what works here and what does not")
    doctor.set_defaults(run=_doctor)
    version = commands.add_parser("version", help="say which version this is")
    version.set_defaults(run=_version)
    return parser


def _add_batch(parser: argparse.ArgumentParser) -> None:
    from .batch import add_batch_options  # noqa: PLC0415  only for many scenes

    add_batch_options(parser)
    parser.set_defaults(run=_batch)


def _add_upscale(parser: argparse.ArgumentParser) -> None:
    from .upscale import add_upscale_options  # noqa: PLC0415  only to upscale

    add_upscale_options(parser)
    parser.set_defaults(run=_upscale)


def _add_edit(parser: argparse.ArgumentParser) -> None:
    from .edit import add_edit_options  # noqa: PLC0415  only to edit

    add_edit_options(parser)
    parser.set_defaults(run=_edit)


def _add_what(parser: argparse.ArgumentParser) -> None:
    from .what import add_what_options  # noqa: PLC0415  only to recognise

    add_what_options(parser)
    parser.set_defaults(run=_what)


def _add_teach(parser: argparse.ArgumentParser) -> None:
    from .teach import add_teach_options  # noqa: PLC0415  only to teach

    add_teach_options(parser)
    parser.set_defaults(run=_teach)


def _add_serve(parser: argparse.ArgumentParser) -> None:
    from .serve import add_serve_arguments, serve_command  # noqa: PLC0415  only to serve

    add_serve_arguments(parser)
    parser.set_defaults(run=serve_command)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    from .bench import add_bench_arguments  # noqa: PLC0415  only to measure

    add_bench_arguments(parser)


def _add_models(parser: argparse.ArgumentParser) -> None:
    from .models import add_models_arguments  # noqa: PLC0415  only to list models

    add_models_arguments(parser)


def _render(options: argparse.Namespace) -> int:
    from .render import render  # noqa: PLC0415  decides by itself when torch is needed

    with stoppable():
        render(options)
    return 0


def _batch(options: argparse.Namespace) -> int:
    from .batch import batch  # noqa: PLC0415  decides by itself when torch is needed

    with stoppable():
        batch(options)
    return 0


def _edit(options: argparse.Namespace) -> int:
    from .edit import edit  # noqa: PLC0415  decides by itself when torch is needed

    with stoppable():
        edit(options)
    return 0


def _what(options: argparse.Namespace) -> int:
    from .what import what  # noqa: PLC0415  decides by itself when torch is needed

    with stoppable():
        what(options)
    return 0


def _teach(options: argparse.Namespace) -> int:
    from .teach import teach  # noqa: PLC0415  decides by itself when torch is needed

    with stoppable():
        teach(options)
    return 0


def _upscale(options: argparse.Namespace) -> int:
    from .upscale import upscale  # noqa: PLC0415  decides by itself when torch is needed

    with stoppable():
        upscale(options)
    return 0


def _doctor(_options: argparse.Namespace) -> int:
    from .doctor import examine  # noqa: PLC0415  imports torch

    return examine()


def _version(_options: argparse.Namespace) -> int:
    print(f"Tapestry {VERSION}")
    return 0


def _complain(sentence: str) -> int:
    print(f"\ntapestry: {sentence}", file=sys.stderr)
    return BAD_INPUT


def _unexpected(error: Exception) -> int:
    """A sentence for an unexpected error; its traceback goes to a file."""
    from ..workers.failures import failure_of  # noqa: PLC0415  only when something went wrong

    failure = failure_of("", error)
    sentence = f"{failure.message} {failure.advice}"
    if failure.code is ErrorCode.INTERNAL:
        sentence += _details_of(error)
    return _complain(sentence)


def _details_of(error: Exception) -> str:
    """Write the traceback to a file; a sentence that says where, if that goes."""
    try:
        handle, path = tempfile.mkstemp(prefix="tapestry-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as log:
            traceback.print_exception(error, file=log)
    except OSError:
        return ""
    return f" The details are in {path}."
