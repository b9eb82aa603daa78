"""What the benchmark of workers found, as tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace

from .run import PANORAMA_BATCHES, StudioFigures
from .scale import Costs, jobs, one_picture

CARDS = (1, 2, 4, 8, 64, 512)
_STEPS = 20
_LARGE = 256
"""Batches of a large canvas."""


def table(figures: StudioFigures) -> str:
    """Every row beside its goal, and what more cards would bring."""
    two, split = (statistics.median(each) for each in (figures.two_workers, figures.split))
    overhead_ms, share = 1000 * figures.overhead_s, figures.overhead_share
    rows = [
        ("two workers against one", f"{two:.2f} times as fast", ">= 1.8", two >= 1.8),
        ("one panorama on two", f"{split:.2f} times as fast", ">= 1.7", split >= 1.7),
        ("equal to one worker's", str(figures.is_equal), "to the bit", figures.is_equal),
        ("a job by the cluster", f"{overhead_ms:+.1f} ms", "<= 15 ms", overhead_ms <= 15),
        ("the same of a picture", f"{100 * share:+.1f} %", "<= 5 %", share <= 0.05),
    ]
    lines = ["| measure | found | goal | |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {found} | {goal} | {'met' if is_met else 'missed'} |"
        for name, found, goal, is_met in rows
    ]
    return "\n".join([*lines, "", *scaling(figures.costs)])


def scaling(costs: Costs) -> Iterator[str]:
    """Efficiency with more cards, for batches as quick as here and quicker ones."""
    yield (
        f"Reckoned from {1000 * costs.batch_s:.0f} ms for a batch, "
        f"{1000 * costs.fuse_s:.1f} ms to fuse it, {1000 * costs.ask_s:.1f} ms to ask a helper, "
        f"{1000 * costs.serve_s:.1f} ms of the server for a job; share of the ideal:"
    )
    yield f"| batch | {' | '.join(f'{count} cards' for count in CARDS)} |"
    yield f"|---|{'---|' * len(CARDS)}"
    for batch_s in (costs.batch_s, 0.1, 0.02, 0.005):
        alone_s = costs.alone_s * batch_s / costs.batch_s  # the same device does it
        quicker = Costs(batch_s, costs.fuse_s, alone_s, costs.serve_s, costs.ask_s)
        # What is decoded at once is as much larger as the canvas.
        large = replace(quicker, alone_s=alone_s * _LARGE / PANORAMA_BATCHES)
        for name, found in (
            ("pictures", jobs(quicker, _STEPS, PANORAMA_BATCHES, CARDS)),
            ("one picture of 4 batches", one_picture(quicker, _STEPS, PANORAMA_BATCHES, CARDS)),
            ("one picture of 256 batches", one_picture(large, _STEPS, _LARGE, CARDS)),
        ):
            shares = " | ".join(f"{100 * each.efficiency:.0f} %" for each in found)
            yield f"| {name}, {1000 * batch_s:.0f} ms | {shares} |"
