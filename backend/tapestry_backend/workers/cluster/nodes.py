"""Which workers the computers of a cluster have room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Room for one worker: a graphics card of a node, or some of its processor's cores.

    node      Ray's id of it
    name      as it was called at its start (`ray start --node-name`), or its host's name
    slot      counts those of a node
    gpus, cpus   that the worker takes
    """

    node: str
    name: str
    slot: int
    gpus: int
    cpus: int

    @property
    def worker_name(self) -> str:
        """How its actor is called in the cluster."""
        kind = "card" if self.gpus else "cores"
        return f"tapestry {self.name} {self.node[:8]} {kind} {self.slot}"


def places_of(
    nodes: Iterable[Mapping[str, Any]], own_node: str, cores_each: int
) -> frozenset[Place]:
    """Room for workers on these nodes of `ray.nodes()`, but for our own: local workers have it.

    own_node     where this process runs
    cores_each   of a worker, on nodes without a graphics card
    """
    return frozenset(
        place
        for node in nodes
        if node["Alive"] and node["NodeID"] != own_node
        for place in _places_on(node, cores_each)
    )


def _places_on(node: Mapping[str, Any], cores_each: int) -> Iterable[Place]:
    resources = node["Resources"]
    cards = int(resources.get("GPU", 0))
    # A computer with fewer cores than asked for has a worker all the same.
    cores = int(resources.get("CPU", 0))
    each = min(cores_each, cores)
    name = _name_of(node)
    workers = cards or (cores // each if each else 0)
    for slot in range(workers):
        yield Place(node["NodeID"], name, slot, int(bool(cards)), 0 if cards else each)


def _name_of(node: Mapping[str, Any]) -> str:
    """Ray calls a node by its address that was given no name."""
    address: str = node["NodeManagerAddress"]
    given = node.get("NodeName", address)
    return given if given != address else node.get("NodeManagerHostname") or address
