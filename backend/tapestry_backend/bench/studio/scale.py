"""How far more cards help, on paper: a simulation with what was measured of steps and messages.

A queue of pictures, and one picture whose batches are shared. Both end at something that exists
once: the server that hands out jobs, and the worker that leads and fuses.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Costs:
    """Seconds that things take, and bytes that travel.

    batch_s       one batch through the model
    fuse_s        of a step, for each batch, on the worker that leads: crop, fuse, scheduler
    alone_s       of a picture, outside of its steps: encode, decode
    serve_s       the server, for one job: its messages and its journal
    ask_s         the worker that leads, for one message to a helper and its answer
    latency_s     there and back between two computers
    batch_bytes   of a batch, one way
    bytes_per_s   of the network of the worker that leads
    """

    batch_s: float
    fuse_s: float
    alone_s: float
    serve_s: float
    ask_s: float = 0.001
    latency_s: float = 0.0005
    batch_bytes: float = 4 * 32 * 1024
    bytes_per_s: float = 1.25e9


class Scaling(NamedTuple):
    """With so many cards: pictures a second or seconds a picture, and its share of the ideal."""

    cards: int
    value: float
    efficiency: float


def jobs(costs: Costs, steps: int, batches: int, cards: Sequence[int]) -> list[Scaling]:
    """Pictures a second of a long queue, each on one card; the ideal is one card's, times cards."""
    picture_s = steps * batches * (costs.batch_s + costs.fuse_s) + costs.alone_s
    alone = 1 / (picture_s + costs.serve_s)
    return [
        Scaling(count, rate, rate / (count * alone))
        for count in cards
        for rate in [_rate(count, picture_s, costs.serve_s)]
    ]


def _rate(cards: int, picture_s: float, serve_s: float) -> float:
    """Pictures a second, when one server gives each card its next picture when that is free."""
    free_at = [0.0] * cards
    server_free_at = 0.0
    pictures = 40 * cards
    for _ in range(pictures):
        asked_at = heapq.heappop(free_at)
        server_free_at = max(server_free_at, asked_at) + serve_s
        heapq.heappush(free_at, server_free_at + picture_s)
    return pictures / max(free_at)


def one_picture(costs: Costs, steps: int, batches: int, cards: Sequence[int]) -> list[Scaling]:
    """Seconds of one picture whose batches are shared; the ideal is one card's, by cards."""
    alone = steps * batches * (costs.batch_s + costs.fuse_s) + costs.alone_s
    found = []
    for count in cards:
        seconds = steps * _step_s(costs, batches, count) + costs.alone_s
        found.append(Scaling(count, seconds, alone / (count * seconds)))
    return found


def _step_s(costs: Costs, batches: int, cards: int) -> float:
    """One step: ask all helpers, evaluate the largest part, take in the answers, fuse."""
    helpers = min(cards, batches) - 1
    largest = math.ceil(batches / (helpers + 1))
    sent = batches - largest if helpers else 0
    travel_s = 2 * sent * costs.batch_bytes / costs.bytes_per_s
    waiting_s = costs.latency_s if helpers else 0.0
    asking_s = helpers * costs.ask_s
    return asking_s + travel_s + waiting_s + largest * costs.batch_s + batches * costs.fuse_s
