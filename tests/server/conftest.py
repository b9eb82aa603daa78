"""A server with a scripted worker, shared by the tests that leave it as they found it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server.client import Client, Connect, Server, running_server


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this folder."""
    with running_server(tmp_path_factory.mktemp("server"), "--scripted") as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server for one test alone, which may do to it as it likes."""
    with running_server(tmp_path, "--scripted") as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients, and closes them when the test is over."""
    with ExitStack() as opened:

        def connect_to(server: Server, *, greet: bool = True) -> Client:
            client = Client(server, greet=greet)
            opened.callback(client.close)
            return client

        yield connect_to
