"""The program behind `nodes_here`: holds the nodes of a cluster, and does what its input says.

"add 2" starts a node of two cores, "kill 0" ends the first one that was added, "kill head" the
head, "start head" brings it back at the same port; each is answered by a line.
"""

from __future__ import annotations

import sys
from typing import Any

from ray.cluster_utils import Cluster

STORE_BYTES = 80 * 2**20
"""The least that Ray takes for its store of objects, and a little more."""

_COMMON = {"object_store_memory": STORE_BYTES, "include_dashboard": False}


def start_head(port: int) -> Cluster:
    """A cluster whose head has no workers."""
    port_wish = {"gcs_server_port": port} if port else {}
    return Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **_COMMON, **port_wish})


def main() -> None:
    """Obey until the input ends."""
    out = sys.stdout
    sys.stdout = sys.stderr
    cluster = start_head(0)
    nodes: list[Any] = []
    port = int(cluster.address.rpartition(":")[2])
    print(cluster.address, file=out, flush=True)
    for line in sys.stdin:
        match line.split():
            case ["add", cores]:
                name = f"node {len(nodes) + 1}"
                nodes.append(cluster.add_node(num_cpus=int(cores), node_name=name, **_COMMON))
            case ["kill", "head"]:
                cluster.shutdown()
                nodes.clear()
            case ["kill", number]:
                cluster.remove_node(nodes[int(number)], allow_graceful=False)
            case ["start", "head"]:
                cluster = start_head(port)
        print("done", file=out, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
