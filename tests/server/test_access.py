"""Who may open a connection, as a function of path and headers; no sockets."""

import pytest

from tapestry_backend.server.access import PATH, find_refusal
from tapestry_backend.server.place import LOOPBACK
from tests.server.handshakes import GOOD, PORT, TOKEN, WRONG_HEADERS, WRONG_PATHS, Headers

HOSTS = LOOPBACK.hosts(PORT)


@pytest.mark.parametrize("headers", GOOD.values(), ids=GOOD)
def test_our_own_client_gets_in(headers: Headers) -> None:
    """The right path, host and token, and no origin."""
    assert find_refusal(PATH, headers, HOSTS, TOKEN) is None


@pytest.mark.parametrize("headers", WRONG_HEADERS.values(), ids=WRONG_HEADERS)
def test_wrong_headers_are_refused(headers: Headers) -> None:
    """Each of these is somebody else."""
    refusal = find_refusal(PATH, headers, HOSTS, TOKEN)
    assert refusal is not None
    assert TOKEN not in refusal.reason


@pytest.mark.parametrize("path", WRONG_PATHS.values(), ids=WRONG_PATHS)
def test_wrong_paths_are_refused(path: str) -> None:
    """There is one path, spelled in one way."""
    assert find_refusal(path, GOOD["by address"], HOSTS, TOKEN) is not None
