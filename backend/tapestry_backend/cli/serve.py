"""The command `tapestry serve`: its arguments, its log, and its exit statuses."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.runtime import data_folder, read_runtime_file, runtime_file
from tapestry_protocol.sentences import quoted

from ..checkpoints.catalogue import Catalogue
from ..checkpoints.discovery import adapter_folders, discover, told_apart, upscaler_places
from ..server.app import App, ServerSettings
from ..server.connections.listen_address import Certificate, ListenAddress, make_place
from ..server.persistence.lock import Lock
from ..workers.cluster_supervisor import REAL_LOADER
from ..workers.pool import real_worker_command
from .cluster_options import add_cluster, checked_cluster_command
from .models import FOLDER

_log = logging.getLogger("tapestry.server")

CANNOT_START = 2
"""The exit status when the server was not started; stderr says why."""


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tapestry serve`."""
    _add_models(parser)
    parser.add_argument(
        "--device",
        metavar="NAME",
        action="append",
        default=[],
        help="paint on this device, with a worker process of its own: cpu, cuda:0, cuda:1, mps "
        "(may be repeated); without it on the fastest one, and on all cards of the same kind",
    )
    add_cluster(parser).add_argument(
        "--split",
        action="store_true",
        help="share the windows of one picture among the cluster's workers that are free",
    )

    card = parser.add_argument_group("for small cards, and for quick ones (docs/models.md)")
    card.add_argument(
        "--fp8",
        action="store_true",
        help="hold the layers of transformers in 8 bits: half the memory, a little of the quality",
    )
    card.add_argument(
        "--in-layers",
        action="store_true",
        help="let transformers and text encoders come to the card layer by layer from the start: "
        "least memory, and slow",
    )
    card.add_argument(
        "--attention",
        choices=("native", "math", "cudnn", "flash", "sage", "xformers"),
        help="what does attention in transformers; flash, sage and xformers are packages of their "
        "own (torch chooses without it)",
    )
    parser.add_argument(
        "--runtime-file",
        type=Path,
        default=runtime_file(),
        help="where to tell port and token; it appears when the server is ready",
    )
    parser.add_argument(
        "--parent",
        metavar="PID",
        type=int,
        help="stop when this process is gone and no client is connected",
    )
    parser.add_argument(
        "--journal",
        metavar="FOLDER",
        type=Path,
        default=data_folder() / "journal",
        help="where jobs and finished pictures are kept until they have been delivered",
    )
    parser.add_argument("--log-file", type=Path, help="write the log here instead of to stderr")
    _add_place(parser)


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="PATH_OR_ID",
        action="append",
        default=[],
        help="offer this model too: a file, a folder in diffusers layout or one of checkpoints, or "
        "an id in the Hugging Face cache (may be repeated)",
    )
    parser.add_argument("--folder", **FOLDER)
    parser.add_argument(
        "--adapter",
        metavar="PATH",
        action="append",
        default=[],
        help="offer this LoRA, textual inversion, ControlNet or T2I-Adapter too, or all those in a "
        "folder (may be repeated)",
    )


def _add_place(parser: argparse.ArgumentParser) -> None:
    place = parser.add_argument_group("for a client on another computer (docs/another-computer.md)")
    place.add_argument("--port", type=int, default=0, help="listen here; any free port without it")
    place.add_argument("--address", help="listen here; on this computer alone without it")
    place.add_argument("--remote", action="store_true", help="let --address be one for others")
    place.add_argument("--certificate", type=Path, metavar="PEM", help="needed with --remote")
    place.add_argument("--key", type=Path, metavar="PEM", help="the certificate's private key")
    place.add_argument(
        "--name",
        action="append",
        default=[],
        help="a name or address by which clients call this computer (may be repeated)",
    )


def serve_command(
    arguments: argparse.Namespace,
    worker_command: Sequence[str] | None = None,
    cluster_loader: str = REAL_LOADER,
) -> int:
    """Serve until told to stop; gives the exit status.

    worker_command starts another worker than the real one, and so does cluster_loader in a cluster.
    """
    lock = Lock(arguments.runtime_file.with_suffix(".lock"))
    try:
        place = _place_of(arguments)
        _start_log(arguments.log_file)
        models, folders = told_apart(arguments.model)
        folders += arguments.folder
        catalogue = _catalogue(models, folders, arguments.adapter)
        command = _cluster_command(arguments, models, folders, cluster_loader)
        if not lock.acquire():
            _complain(_already_running(arguments.runtime_file))
            return CANNOT_START
    except TapestryError as error:
        _complain(str(error))
        return CANNOT_START
    except OSError as error:
        _complain(f"{quoted(error.filename)} cannot be written: {error.strerror}.")
        return CANNOT_START
    if arguments.runtime_file.is_dir():
        lock.release()
        _complain(f"{quoted(arguments.runtime_file)} is a folder. Name a file.")
        return CANNOT_START
    settings = ServerSettings(
        runtime_file=arguments.runtime_file,
        journal=arguments.journal,
        worker_command=worker_command
        or real_worker_command(
            models, folders=folders, adapters=arguments.adapter, card=_card_of(arguments)
        ),
        devices=arguments.device,
        cluster_command=command,
        is_splitting=arguments.split,
        parent=arguments.parent,
        log_file=arguments.log_file,
        place=place,
    )
    try:
        asyncio.run(_serve(catalogue, settings))
    except TapestryError as error:
        _complain(str(error))
        return CANNOT_START
    finally:
        lock.release()
    return 0


def _cluster_command(
    arguments: argparse.Namespace, models: Sequence[str], folders: Sequence[Path], loader: str
) -> Sequence[str]:
    """Empty without a cluster; raises TapestryError for one that cannot be used, or is open."""
    if arguments.cluster is None:
        if arguments.split:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                "There is no cluster whose workers could share a picture.",
                "Give --cluster with --split, or leave --split out.",
            )
        return ()
    card = _card_of(arguments)
    return checked_cluster_command(arguments, models, folders, card, loader)


def _card_of(arguments: argparse.Namespace) -> list[str]:
    """The options about cards, as a worker takes them."""
    given = [f"--attention={arguments.attention}"] if arguments.attention else []
    given += ["--fp8"] if arguments.fp8 else []
    return given + (["--in-layers"] if arguments.in_layers else [])


def _catalogue(
    models: Sequence[str], folders: Sequence[Path], adapters: Sequence[str]
) -> Catalogue:
    """Everything that is offered; what is found and cannot be goes to the log."""
    found = discover(folders)
    catalogue = Catalogue(
        models,
        found=found.entries,
        adapters=adapters,
        adapter_folders=adapter_folders(folders),
        upscaler_folders=upscaler_places(folders),
        problems=found.problems,
        components=found.components,
    )
    for problem in catalogue.left_out:
        _log.warning("left out: %s", problem)
    return catalogue


def _place_of(arguments: argparse.Namespace) -> ListenAddress:
    """Raises TapestryError where strangers would be let in."""
    pair = arguments.certificate, arguments.key
    if any(pair) and not all(pair):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "A certificate and its key belong together.",
            "Give both --certificate and --key.",
        )
    return make_place(
        arguments.address,
        arguments.port,
        remote=arguments.remote,
        names=tuple(arguments.name),
        certificate=Certificate(*pair) if all(pair) else None,
    )


async def _serve(catalogue: Catalogue, settings: ServerSettings) -> None:
    await App(catalogue, settings).run()


def _start_log(log_file: Path | None) -> None:
    logging.raiseExceptions = False  # a full disk costs the log, and no one a picture
    handler = _log_to(log_file) if log_file else None
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(name)s %(message)s",
        handlers=[handler] if handler else None,
    )
    # Below this level websockets writes whole handshakes, and with them the token.
    logging.getLogger("websockets").setLevel(logging.WARNING)


def _log_to(file: Path) -> logging.Handler:
    """Names of files may hold what is no UTF-8."""
    return logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")


def _already_running(runtime_file: Path) -> str:
    running = read_runtime_file(runtime_file)
    which = f" (process {running.pid}, port {running.port})" if running else ""
    return f"A Tapestry backend is running already{which}. Use it, or stop it first."


def _complain(sentence: str) -> None:
    print(f"tapestry serve: {sentence}", file=sys.stderr)
