"""One worker of a cluster, seen from the server's computer: starts its actor, passes jobs on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError

from tapestry_protocol import VERSION
from tapestry_protocol.codec import decode, encode
from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.messages import Backend, Cancel, Failed, Heartbeat, Message, Request, Run
from tapestry_protocol.sentences import Sentence

from ..channel import Delivery
from ..failures import failure_of
from ..heartbeat import BEAT_S
from ..watchdog import SILENCE_S, Watchdog

LONGEST_PAUSE_S = 30.0
"""Between attempts to start a worker that cannot start."""

_RESTART_LOOK_S = 0.2
"""How often an actor that Ray starts again is asked whether it is there."""

_log = logging.getLogger("tapestry.cluster")

ContentsOf = Callable[[Request], Awaitable[Mapping[str, str]]]
"""The contents of what a request needs: name -> SHA-256."""


class RemoteWorker:
    """Keeps one actor alive and exchanges messages with it, as a supervisor does with a process.

    make_actor    makes it anew, where it was never made or is gone for good
    say           takes what is to be said to the server
    contents_of   what a request needs
    actors_of     the actors of workers by their numbers, as far as they are there
    """

    def __init__(
        self,
        make_actor: Callable[[], Any],
        say: Callable[[Message, Mapping[str, bytes]], None],
        contents_of: ContentsOf,
        actors_of: Callable[[Sequence[int]], list[Any]],
    ) -> None:
        self._make_actor = make_actor
        self._say = say
        self._contents_of = contents_of
        self._actors_of = actors_of
        self._actor: Any = None
        self._orders: asyncio.Queue[Delivery] = asyncio.Queue()

    @property
    def actor(self) -> Any:
        """Its actor; None while there is none."""
        return self._actor

    def hear(self, delivery: Delivery) -> None:
        """An order of the server."""
        if isinstance(delivery.message, Run):
            self._orders.put_nowait(delivery)
        elif isinstance(delivery.message, Cancel) and self._actor is not None:
            self._actor.cancel.remote(delivery.message.job_id)

    async def keep_running(self) -> None:
        """Start the actor, and start again when it dies; cancel this to end it."""
        pause_s = 0.0
        try:
            while True:
                was_ready = await self._live_once()
                self._say(Backend("lost"), {})
                pause_s = 0.0 if was_ready else min(LONGEST_PAUSE_S, 2 * pause_s or 1.0)
                await asyncio.sleep(pause_s)
        finally:
            self._end_actor()

    async def _live_once(self) -> bool:
        """One life of the actor; tells whether it was ever ready."""
        self._say(Backend("starting"), {})
        self._orders = asyncio.Queue()  # what was meant for the last one is dropped
        self._was_ready = False
        self._watchdog = Watchdog(time.monotonic())
        try:
            await self._until_there()
            tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._watch())]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except (RayError, ProtocolError) as error:
            _log.warning("a worker of the cluster is lost: %s", str(error).splitlines()[0])
        return self._was_ready

    async def _until_there(self) -> None:
        """Have an actor that answers; Ray starts one again whose process has died."""
        if self._actor is None:
            self._actor = self._make_actor()
        while True:
            try:
                version = await self._actor.ping.remote()
            except ActorUnavailableError:
                await asyncio.sleep(_RESTART_LOOK_S)
            except RayActorError:
                self._actor = None
                raise
            else:
                break
        if version != VERSION:
            self._say(other_version(version), {})
            raise ProtocolError("version", "is another one")

    async def _work(self) -> None:
        await self._pass_on(self._actor.start.options(num_returns="streaming").remote())
        while True:
            order = await self._orders.get()
            await self._run(order)

    async def _run(self, order: Delivery) -> None:
        job = order.message
        if not isinstance(job, Run):
            raise ProtocolError(job.kind, "is no job")
        try:
            contents = await self._contents_of(job.request)
        except (TapestryError, OSError) as error:
            self._say(failure_of(job.job_id, error), {})
            return
        blobs = {sha256: ray.put(data) for sha256, data in order.blobs.items()}
        arguments = encode(job), blobs, contents, self._actors_of(job.helpers)
        said = self._actor.run.options(num_returns="streaming").remote(*arguments)
        await self._pass_on(said)

    async def _pass_on(self, said: Any) -> None:
        """Tell the server what the actor says, one after the other."""
        async for reference in said:
            text, blobs = await reference
            message = decode(text)
            self._watchdog.hear(message, time.monotonic())
            if isinstance(message, Backend) and message.state == "ready":
                self._was_ready = True
            self._say(message, blobs)

    async def _watch(self) -> None:
        """Ends when the actor answers no more, or does not get on; it is then made anew."""
        now_s, answer = time.monotonic(), self._ping()
        while not (reason := self._watchdog.why_exhausted(now_s)):
            await asyncio.sleep(BEAT_S / 2)
            before_s, now_s = now_s, time.monotonic()
            if now_s - before_s > SILENCE_S / 2:
                self._watchdog.begin_again(now_s)
            if answer.done():
                answer.result()
                self._watchdog.hear(Heartbeat(), now_s)
                answer = self._ping()
        _log.error("a worker of the cluster %s, and is replaced", reason)
        self._end_actor()

    def _ping(self) -> asyncio.Future[Any]:
        return asyncio.ensure_future(_answer(self._actor))

    def _end_actor(self) -> None:
        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None


async def _answer(actor: Any) -> None:
    await actor.ping.remote()


def other_version(version: str) -> Failed:
    """Why a worker cannot be used whose Tapestry is another one."""
    return Failed(
        "",
        ErrorCode.BAD_REQUEST,
        Sentence("A computer of the cluster has Tapestry {version}.", version=version),
        Sentence("Install {version} there, as here.", version=VERSION),
    )
