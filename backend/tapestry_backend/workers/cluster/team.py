"""Helpers of a worker of the cluster: other actors, asked directly, with one wait for each step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import ray
from ray.exceptions import RayError
from torch import Tensor

from ...engine.multidiffusion import ModelBatch

_log = logging.getLogger("tapestry.worker")


class ActorTeam:
    """Spreads the batches of each step over helpers, evenly, and keeps the first part here.

    helpers   actors that are free
    order     the `Run` as on the wire; blobs, contents: as in `WorkerActor.run`
    """

    def __init__(
        self,
        helpers: Sequence[Any],
        order: str,
        blobs: Mapping[str, Any],
        contents: Mapping[str, str],
    ) -> None:
        self._helpers = dict(enumerate(helpers, 1))
        self._rows = [0] * (1 + len(helpers))
        # They load the model while this worker does.
        self._ready = [helper.help.remote(order, blobs, contents) for helper in helpers]

    @property
    def rows(self) -> Sequence[int]:
        """As in `Team`; what is evaluated here for a lost helper counts here."""
        return self._rows

    def begin(self, conditions: Tensor) -> None:
        """Wait for the helpers, and put the encoded texts where each of them fetches them once."""
        for helper, ready in enumerate(self._ready, 1):
            self._answer_of(helper, ready)
        self._conditions = ray.put(conditions.cpu())

    def share(
        self, batches: Sequence[ModelBatch], here: Callable[[int], list[Tensor]]
    ) -> list[list[Tensor]]:
        """As `Share` in the engine; what a lost helper has not evaluated is evaluated here."""
        parts = evenly(len(batches), 1 + len(self._helpers))
        asked = [
            (helper, part, actor.evaluate.remote(_sent(batches, part), self._conditions))
            for (helper, actor), part in zip(self._helpers.items(), parts[1:], strict=True)
            if part
        ]
        found: dict[int, list[Tensor]] = {number: here(number) for number in parts[0]}
        self._count(0, batches, parts[0])
        for helper, part, reference in asked:
            answer = self._answer_of(helper, reference)
            for place, number in enumerate(part):
                inputs = batches[number].inputs
                found[number] = (
                    here(number) if answer is None else list(answer[place].to(inputs.device))
                )
            self._count(0 if answer is None else helper, batches, part)
        return [found[number] for number in range(len(batches))]

    def _count(self, worker: int, batches: Sequence[ModelBatch], part: Sequence[int]) -> None:
        self._rows[worker] += sum(len(batches[number].inputs) for number in part)

    def _answer_of(self, helper: int, reference: Any) -> Any:
        """What the helper of a number says; None from a lost one, which is asked no more."""
        try:
            return ray.get(reference)
        except RayError as error:
            _log.warning("a helper is lost: %s", str(error).splitlines()[0])
            del self._helpers[helper]
            return None


def evenly(count: int, parts: int) -> list[range]:
    """So many numbers from 0 on, in parts that differ by one at most, the larger ones first."""
    size, larger = divmod(count, parts)
    ends = [part * size + min(part, larger) for part in range(parts + 1)]
    return [range(first, end) for first, end in pairwise(ends)]


def _sent(batches: Sequence[ModelBatch], part: Sequence[int]) -> list[ModelBatch]:
    """As they travel: tensors on the processor."""
    moved = []
    for number in part:
        step = batches[number].step
        moved.append(
            batches[number]._replace(
                inputs=batches[number].inputs.cpu(),
                step=step._replace(timestep=step.timestep.cpu()),
            )
        )
    return moved
