"""What each worker of a backend with a cluster does, in the artist's words."""

from __future__ import annotations

from itertools import groupby

from tapestry_protocol.messages import WorkerInfo, Workers

from ..i18n.translation import tr

_GIB = 2**30


def worker_facts(workers: Workers) -> list[tuple[str, str]]:
    """For each computer its name, and what its cards are and do; last where Ray's pages are.

    Empty for a backend without a cluster.
    """
    facts = [
        (node or tr("The backend's computer"), "; ".join(map(_worker_text, on_it)))
        for node, on_it in groupby(workers.workers, key=lambda worker: worker.node)
    ]
    if workers.dashboard:
        facts.append((tr("The cluster's own pages"), workers.dashboard))
    return facts


def _worker_text(worker: WorkerInfo) -> str:
    device = worker.device or "?"
    if worker.memory_bytes:
        size = tr("{count} GiB").format(count=round(worker.memory_bytes / _GIB))
        device = f"{device} ({size})"
    return f"{device}, {_doing(worker)}"


def _doing(worker: WorkerInfo) -> str:
    if worker.state in {"starting", "loading"}:
        return tr("starts")
    if worker.state == "lost":
        return tr("is being started again")
    if worker.is_helping:
        return tr("helps to paint")
    return tr("paints") if worker.job_id else tr("waits")
