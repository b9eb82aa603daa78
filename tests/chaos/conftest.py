"""How often, at which moments, and with whom the chaos tests play."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.plugin import ChaosPlugin


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """The number of tries: small in the normal suite, full for the published table, or as asked."""
    wanted = request.config.getoption("--chaos-tries")
    is_full = request.config.getoption("--chaos-full")
    return lambda small, full: wanted or (full if is_full else small)


@pytest.fixture
def luck(request: pytest.FixtureRequest) -> random.Random:
    """Chooses the moments; another --chaos-seed chooses others."""
    return random.Random(f"{request.config.getoption('--chaos-seed')} {request.node.name}")


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChaosPlugin]:
    """A plugin with a home of its own; it starts its backend when it needs it."""
    plugin = ChaosPlugin(tmp_path, monkeypatch)
    yield plugin
    plugin.close()
