"""The cluster's carrier of a worker: an actor of Ray, whose process is the worker's."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import ray

from tapestry_protocol import VERSION
from tapestry_protocol.codec import decode, encode
from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.messages import Lacks, Run

from ..channel import Delivery
from ..job_runner import JobRunner, TaskRunner

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Generating never goes to the network; set before anything of the hub is imported."""

CONTROL = "control"
"""The group of methods that run beside a job, in a thread of their own."""


class Said(NamedTuple):
    """What a worker says: a message as on the wire, and the pixels that it refers to."""

    text: str
    blobs: Mapping[str, bytes]

    @classmethod
    def of(cls, delivery: Delivery) -> Said:
        return cls(encode(delivery.message), delivery.blobs)


def loader_named(name: str) -> Callable[[Sequence[str]], TaskRunner]:
    """The function "package.module:function" that loads what runs tasks."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


class WorkerActor:
    """A worker on some computer of the cluster. `start` comes first, and once.

    loader      as in `loader_named`: takes the arguments of a worker process
    """

    def __init__(self, loader: str, arguments: Sequence[str]) -> None:
        os.environ.update(OFFLINE)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
        self._loader = partial(_load, loader, arguments)
        self._cancelled = ""
        self._worker = JobRunner(self._loader)

    def start(self) -> Iterator[Said]:
        """Load what runs tasks, and say how that goes."""
        for delivery in self._worker.start():
            yield Said.of(delivery)

    def run(
        self,
        order: str,
        blobs: Mapping[str, Any],
        contents: Mapping[str, str],
        helpers: Sequence[Any] = (),
    ) -> Iterator[Said]:
        """Run a job to its end, and say how it goes.

        order      the `Run` as on the wire
        blobs      its pixels by SHA-256, as objects of the store
        contents   of the models and the like that it needs: name -> what they hold
        helpers    actors that take a share of each step
        """
        job = _job(order)
        lacking = self._worker.lacking(contents)
        if lacking:
            yield Said.of(Delivery(Lacks(job.job_id, lacking)))
            return
        team = _team(helpers, order, blobs, contents) if helpers else None
        for delivery in self._worker.run(job, _pixels(blobs), self._is_cancelled, team):
            yield Said.of(delivery)

    def help(self, order: str, blobs: Mapping[str, Any], contents: Mapping[str, str]) -> None:
        """Get ready for batches of a picture that another worker paints; arguments as of `run`."""
        if self._worker.lacking(contents):
            raise ValueError("not all that the job needs is here")
        self._helper = self._worker.help(_job(order).request, _pixels(blobs))

    def evaluate(self, batches: Sequence[Any], conditions: Any) -> list[Any]:
        """The model's outputs for batches of that picture, each as `Helper.evaluate` gives it."""
        return [self._helper.evaluate(batch, conditions) for batch in batches]

    def _is_cancelled(self, job_id: str) -> bool:
        return job_id == self._cancelled

    @ray.method(concurrency_group=CONTROL)
    def cancel(self, job_id: str) -> None:
        """Stop this job at its next step."""
        self._cancelled = job_id

    @ray.method(concurrency_group=CONTROL)
    def ping(self) -> str:
        """Say that this worker lives, and which Tapestry it is."""
        return VERSION


def _job(order: str) -> Run:
    job = decode(order)
    if not isinstance(job, Run):
        raise ProtocolError(job.kind, "is no job")
    return job


def _pixels(blobs: Mapping[str, Any]) -> dict[str, bytes]:
    return dict(zip(blobs, ray.get(list(blobs.values())), strict=True))


def _team(helpers: Sequence[Any], *args: Any) -> Any:
    from .team import ActorTeam  # noqa: PLC0415  it imports torch, which takes seconds

    return ActorTeam(helpers, *args)


def _load(loader: str, arguments: Sequence[str]) -> TaskRunner:
    return loader_named(loader)(arguments)
