"""The process between a server and a cluster: a program of Ray at the end of the server's pipe.

Each worker of the cluster has a number from 1 on, and is told apart by it on the pipe; 0 is this
process. It ends when the cluster's head is gone; the server starts it again, until it finds one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import socket
import sys
from asyncio import TaskGroup
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import ray
from ray.exceptions import AuthenticationError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Backend, Failed, Joined, Left, Message, Request
from tapestry_protocol.sentences import Sentence

from ...checkpoints.catalogue import Catalogue
from ...checkpoints.content_hash import hashes_file
from ...checkpoints.contents import Contents
from ...checkpoints.discovery import adapter_folders, discover, upscaler_places
from ..channel import Delivery
from ..failures import failure_of
from ..heartbeat import die_with_parent
from ..worker import ServerPipe, take_pipes
from .access import OpenClusterError, check_access
from .actor import CONTROL, WorkerActor
from .nodes import Place, places_of
from .remote_worker import RemoteWorker

_LOOK_S = 1.0
"""How often we look which nodes there are."""

_CONNECT_TIMEOUT_S = 5.0
"""For the first word of the head."""

_HEAD_SILENCE_S = 15.0
"""A head that does not answer for so long is gone."""

_log = logging.getLogger("tapestry.cluster")


class Bridge:
    """Passes on what the server and the workers of a cluster say to each other."""

    def __init__(self, arguments: argparse.Namespace, pipes: tuple[BinaryIO, BinaryIO]) -> None:
        self._arguments = arguments
        self._loop = asyncio.get_running_loop()
        self._link = ServerPipe(*pipes, self._hear_soon)
        self._dashboard = ""
        self._workers: dict[int, RemoteWorker] = {}
        self._numbers = count(1)
        self._running: dict[Place, asyncio.Task[None]] = {}
        self._contents: Contents | None = None
        self._reading = asyncio.Lock()

    async def run(self) -> None:
        """Work until the cluster is gone; raises what tells why it cannot be used."""
        self._dashboard = await asyncio.to_thread(connect, self._arguments)
        self._link.send(Delivery(Backend("ready")))
        own_node = ray.get_runtime_context().get_node_id()
        async with TaskGroup() as group:
            while True:
                async with asyncio.timeout(_HEAD_SILENCE_S):
                    nodes = await asyncio.to_thread(ray.nodes)
                self._follow(places_of(nodes, own_node, self._arguments.cores), group)
                await asyncio.sleep(_LOOK_S)

    def _follow(self, places: frozenset[Place], group: TaskGroup) -> None:
        """Take on workers for new places, and part from those whose nodes are gone."""
        for place in places - self._running.keys():
            self._running[place] = group.create_task(self._serve(place))
        for place in self._running.keys() - places:
            self._running.pop(place).cancel()

    async def _serve(self, place: Place) -> None:
        """One worker, from its first word to its last."""
        number = next(self._numbers)
        say = partial(self._say, number)
        worker = RemoteWorker(
            partial(self._make_actor, place), say, self._contents_of, self._actors_of
        )
        self._workers[number] = worker
        say(Joined(place.name, self._dashboard), {})
        try:
            await worker.keep_running()
        finally:
            del self._workers[number]
            say(Left(), {})

    def tell(self, failure: Failed) -> None:
        """Tell the server why the cluster cannot be used."""
        self._link.send(Delivery(failure))

    def _say(self, number: int, message: Message, blobs: Mapping[str, bytes]) -> None:
        self._link.send(Delivery(message, blobs, number))

    def _hear_soon(self, delivery: Delivery) -> None:
        """From the thread that listens."""
        self._loop.call_soon_threadsafe(self._hear, delivery)

    def _hear(self, delivery: Delivery) -> None:
        worker = self._workers.get(delivery.worker)
        if worker is not None:  # else it has left meanwhile
            worker.hear(delivery)

    def _make_actor(self, place: Place) -> Any:
        actor = ray.remote(concurrency_groups={CONTROL: 2})(WorkerActor)
        return actor.options(
            name=f"{place.worker_name} {secrets.token_hex(4)}",
            num_gpus=place.gpus,
            num_cpus=place.cpus,
            max_restarts=-1,
            max_task_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(place.node, soft=False),
        ).remote(self._arguments.loader, _worker_arguments(self._arguments))

    def _actors_of(self, numbers: Sequence[int]) -> list[Any]:
        found = (self._workers[number].actor for number in numbers if number in self._workers)
        return [actor for actor in found if actor is not None]

    async def _contents_of(self, request: Request) -> Mapping[str, str]:
        async with self._reading:
            return await asyncio.to_thread(self._read_contents, request)

    def _read_contents(self, request: Request) -> Mapping[str, str]:
        if self._contents is None:
            self._contents = Contents(_catalogue(self._arguments), hashes_file())
        return self._contents.needed_by(request)


def connect(arguments: argparse.Namespace) -> str:
    """Join the cluster as a program of it; gives the address of its dashboard, if it has one.

    Raises TapestryError where it cannot be reached, or lets everyone in.
    """
    try:
        if arguments.address != "auto":
            host, _, port = arguments.address.rpartition(":")
            # Ray would wait for two minutes.
            socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()
        context = ray.init(
            address=arguments.address,
            namespace=f"tapestry-{secrets.token_hex(8)}",
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except AuthenticationError as error:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("The cluster {address} asks for a token.", address=arguments.address),
            "Copy the head's ~/.ray/auth_token to this computer (docs/studio.md). Pictures are "
            "painted here meanwhile.",
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("The cluster {address} cannot be reached.", address=arguments.address),
            "Start Ray on this computer, too, with the head's token: ray start "
            "--address=HEAD:6379. Pictures are painted here meanwhile.",
        ) from error
    if not arguments.open_cluster:
        addresses = [node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]]
        check_access(ray.get_runtime_context().gcs_address, addresses)
    url = context.dashboard_url
    return f"http://{url}" if url else ""


def _catalogue(arguments: argparse.Namespace) -> Catalogue:
    return Catalogue(
        arguments.model,
        found=discover(arguments.folder).entries,
        adapters=arguments.adapter,
        adapter_folders=adapter_folders(arguments.folder),
        upscaler_folders=upscaler_places(arguments.folder),
    )


def _worker_arguments(arguments: argparse.Namespace) -> list[str]:
    """What a worker on another computer is told: the same models, as far as they are there."""
    named = [f"--model={name}" for name in arguments.model]
    named += [f"--folder={folder}" for folder in arguments.folder]
    named += [f"--adapter={name}" for name in arguments.adapter]
    return [*named, *arguments.card, "--leave-out-missing"]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments of this process, which the server makes."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--address", required=True)
    parser.add_argument("--open-cluster", action="store_true")
    parser.add_argument("--check", action="store_true", help="say why it is refused, and end")
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--loader", required=True)
    parser.add_argument("--card", action="append", default=[])
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--folder", type=Path, action="append", default=[])
    parser.add_argument("--adapter", action="append", default=[])
    return parser.parse_args(arguments)


async def _main(arguments: argparse.Namespace) -> None:
    bridge = Bridge(arguments, take_pipes())
    try:
        await bridge.run()
    except TapestryError as error:
        bridge.tell(failure_of("", error))
    except Exception:  # noqa: BLE001  whatever it is, a new process looks for the cluster again
        _log.exception("the cluster is gone")


def _refusal(arguments: argparse.Namespace) -> str:
    """Why the cluster is refused; empty where it is not, or where it is not there yet."""
    try:
        connect(arguments)
    except OpenClusterError as error:
        return str(error)
    except TapestryError as error:
        _log.warning("%s", error)
    return ""


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    die_with_parent()
    named = parse(sys.argv[1:])
    if named.check:
        _, out = take_pipes()  # Ray prints, too
        out.write(_refusal(named).encode("utf-8"))
        out.flush()
        os._exit(0)
    asyncio.run(_main(named))
    os._exit(1)  # what Ray tidies up would wait for a head that is gone
