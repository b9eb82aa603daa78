"""The main loop of a worker process: takes jobs from a pipe, and says what becomes of them.

The process ends as soon as the pipe from the server does: no worker outlives its server.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import BinaryIO

from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.messages import Cancel, Heartbeat, Run

from .channel import Delivery, Inbox, frames_of, pack, read_frame
from .heartbeat import ServerHeartbeat, die_with_parent
from .job_runner import JobRunner, TaskRunner, load_task_runner

_log = logging.getLogger("tapestry.worker")


class ServerPipe:
    """A process' end of the pipes; a thread of its own listens, and calls `hear`."""

    def __init__(
        self, incoming: BinaryIO, outgoing: BinaryIO, hear: Callable[[Delivery], None]
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._hear = hear
        self._sending = threading.Lock()
        self._heart = ServerHeartbeat(lambda: self.send(Delivery(Heartbeat())))
        threading.Thread(target=self._listen, name="link", daemon=True).start()

    def send(self, delivery: Delivery) -> None:
        """Send a message, after the pixels that it refers to."""
        frames = frames_of(delivery)
        try:
            with self._sending:  # the heart beats in a thread of its own
                for frame in frames:
                    self._outgoing.write(pack(frame, delivery.worker))
                self._outgoing.flush()
        except OSError:
            os._exit(0)  # the server is gone

    def _listen(self) -> None:
        try:
            inbox = Inbox()
            while (found := read_frame(self._incoming)) is not None:
                self._heart.answered()
                delivery = inbox.take(found.frame, found.worker)
                if delivery is not None:
                    self._hear(delivery)
        except ProtocolError:
            _log.exception("the pipe from the server is out of step")
        finally:
            os._exit(0)  # at once, in the middle of a step: no server is left to show it


class Orders:
    """What the server wants of a worker: jobs in order, and which one it has cancelled."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Run, Mapping[str, bytes]]] = queue.SimpleQueue()
        self._cancelled = ""  # one is enough: the server sends a job when the one before has ended

    def hear(self, delivery: Delivery) -> None:
        """A message of the server, from another thread."""
        message = delivery.message
        if isinstance(message, Cancel):
            self._cancelled = message.job_id
        elif isinstance(message, Run):
            if self._cancelled == message.job_id:
                self._cancelled = ""  # it gave way, and goes on
            self._jobs.put((message, delivery.blobs))

    def next_job(self) -> tuple[Run, Mapping[str, bytes]]:
        """The next job and its blobs; waits for it."""
        return self._jobs.get()

    def is_cancelled(self, job_id: str) -> bool:
        """Tells whether the server has asked to stop this job."""
        return job_id == self._cancelled


def main(load: Callable[[], TaskRunner]) -> None:
    """Load what runs tasks, then run jobs until the server goes away."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    die_with_parent()
    orders, worker = Orders(), JobRunner(load)
    link = ServerPipe(*take_pipes(), orders.hear)
    for delivery in worker.start():
        link.send(delivery)
    while True:
        job, blobs = orders.next_job()
        for delivery in worker.run(job, blobs, orders.is_cancelled):
            link.send(delivery)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes from and to the server; whatever prints from now on goes to stderr."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return incoming, outgoing


if __name__ == "__main__":
    main(lambda: load_task_runner(sys.argv[1:]))
