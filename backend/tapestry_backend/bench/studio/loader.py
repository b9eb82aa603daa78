"""Loads a worker of the benchmark as a session of its own.

Linux shares processors among sessions, where it groups processes by them. So each worker has as
much of a busy computer as a worker on a computer of its own would have.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from ...workers.job_runner import TaskRunner, load_task_runner


def load_alone(arguments: Sequence[str]) -> TaskRunner:
    """The real tasks, in a process that leads a session."""
    with suppress(PermissionError):  # it leads one already
        os.setsid()
    return load_task_runner(arguments)
