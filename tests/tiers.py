"""The four tiers of the suite, by what a test needs; `installer test --tier` runs one of them.

unit    neither a network of a model, nor a process, nor a screen: seconds, at every save
models  networks, tiny ones and the bundled one: engine, tasks, commands, benchmarks
krita   a real Krita, and the docker's widgets under both Qts
chaos   real servers and workers that are flooded, cut off and killed
"""

from __future__ import annotations

TIERS = ("unit", "models", "krita", "chaos")

_BY_PATH = {
    "tests/bench/": "models",
    "tests/checkpoints/": "models",
    "tests/cli/": "models",
    "tests/engine/": "models",
    "tests/models/": "models",
    "tests/tasks/": "models",
    "tests/training/": "models",
    "tests/krita/": "krita",
    "tests/krita_plugin/ui/": "krita",
    "tests/chaos/": "chaos",
    "tests/installer/test_demo.py": "models",
    "tests/installer/test_release.py": "chaos",
    "tests/krita_plugin/backend/test_installer.py": "chaos",
    "tests/krita_plugin/backend/test_real_uv.py": "chaos",
    "tests/krita_plugin/backend/test_remote.py": "chaos",
    "tests/server/": "chaos",
    "tests/server/persistence/": "unit",
    "tests/server/queue/": "unit",
    "tests/test_network.py": "chaos",
    "tests/workers/": "chaos",
    "tests/workers/cluster/": "unit",
    "tests/workers/test_channel.py": "unit",
    "tests/workers/test_cluster_extra.py": "unit",
    "tests/workers/test_failures.py": "unit",
    "tests/workers/test_watchdog.py": "unit",
}
"""A folder's tier is that of all files in it but those that stand here themselves."""


def tier_of(nodeid: str) -> str:
    """The tier of a test, by the longest of these paths that it lies in."""
    known = [path for path in _BY_PATH if nodeid.startswith(path)]
    return _BY_PATH[max(known, key=len)] if known else "unit"


def may_hold(path: str, tier: str) -> bool:
    """Whether a file, or a folder with a slash at its end, may have tests of a tier."""
    inside = (_BY_PATH[each] for each in _BY_PATH if each.startswith(path))
    return tier in {tier_of(path), *inside}
