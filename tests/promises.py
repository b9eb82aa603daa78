"""Which test shows which promise, and what it measured: collected while the suite runs.

A test is marked with `@pytest.mark.promise("R1")`; the fixture `measured` takes a figure in words.
With `--promises FILE` the run writes what it found, as JSON, for `python -m tests.chaos.publish`.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

_measured = pytest.StashKey[list[str]]()
_rows = pytest.StashKey[list[dict]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the chaos tests and of the published table."""
    group = parser.getgroup("tapestry")
    group.addoption(
        "--chaos-tries", type=int, help="how often each chaos test tries (default: few)"
    )
    group.addoption("--chaos-full", action="store_true", help="as often as the promises say")
    group.addoption("--chaos-seed", type=int, default=1, help="which random moments they choose")
    group.addoption("--promises", type=Path, help="write what was shown of each promise here")


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing."""
    config.stash[_rows] = []


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a figure that belongs to the promise of this test."""
    return request.node.stash.setdefault(_measured, []).append


@pytest.fixture
def limit_s(request: pytest.FixtureRequest) -> Callable[[float], float]:
    """A promised time: as promised for the table, ten times as long on a machine that is busy."""
    is_full = request.config.getoption("--chaos-full")
    return lambda promised: promised if is_full else 10 * promised


@pytest.fixture
def limit_of_processor_s(request: pytest.FixtureRequest) -> Callable[[float], float]:
    """The same of processor time, which other programs make longer by half, and not tenfold."""
    is_full = request.config.getoption("--chaos-full")
    return lambda promised: promised if is_full else 2 * promised


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Remember the outcome of every test that shows a promise."""
    report = yield
    if call.when == "call" or report.failed:
        for marker in item.iter_markers("promise"):
            row = {
                "promise": marker.args[0],
                "test": item.nodeid,
                "passed": report.passed,
                "measured": item.stash.get(_measured, []),
                "seconds": report.duration,
            }
            item.config.stash[_rows].append(row)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the rows down, if a file is named for them."""
    path = session.config.getoption("--promises")
    if path is not None:
        path.write_text(json.dumps(session.config.stash[_rows], indent=1), encoding="utf-8")
