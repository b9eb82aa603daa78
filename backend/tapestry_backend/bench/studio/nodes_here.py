"""A Ray cluster of several nodes on this computer, with a token, as a studio has one."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class NodesHere:
    """A head without workers, on which the server runs, and nodes that come and go."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self._program = program
        self.address = self._answer()
        self._added = 0
        self.alive: list[int] = []
        """The numbers of the nodes that run."""

    def add(self, cores: int) -> None:
        """A node for as many workers of one core."""
        self._say(f"add {cores}")
        self.alive.append(self._added)
        self._added += 1

    def kill(self, node: int) -> None:
        """End a node at once, with all that runs on it."""
        self._say(f"kill {node}")
        self.alive.remove(node)

    def kill_head(self) -> None:
        """End the head, and with it all other nodes: they do not outlive it for long."""
        self._say("kill head")
        self._added = 0
        self.alive.clear()

    def start_head(self) -> None:
        """The head is there again, under its old address."""
        self._say("start head")

    def _say(self, order: str) -> None:
        orders = self._program.stdin
        if orders is not None:
            orders.write(f"{order}\n")
            orders.flush()
        if self._answer() != "done":
            raise RuntimeError("the program that holds the nodes has ended")

    def _answer(self) -> str:
        said = self._program.stdout
        return "" if said is None else said.readline().strip()


@contextmanager
def nodes_here(count: int, *, cores: int = 1, token: bool = True) -> Iterator[NodesHere]:
    """A cluster with so many nodes beside its head; all of it is gone in the end.

    cores   of each
    token   whether it asks for one

    Meanwhile the environment is that of a program of this cluster: its processes inherit it.
    """
    before = dict(os.environ)
    os.environ.update(
        RAY_AUTH_MODE="token" if token else "disabled",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_USAGE_STATS_ENABLED="0",
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    command = [sys.executable, "-m", "tapestry_backend.bench.studio.nodes_program"]
    try:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            nodes = NodesHere(program)
            for _ in range(count):
                nodes.add(cores)
            yield nodes
            if program.stdin is not None:
                program.stdin.close()
    finally:
        os.environ.clear()
        os.environ.update(before)
