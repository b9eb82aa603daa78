"""Who may open a connection, as a function of path and headers; no sockets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestry_backend.server.connections.access import PATH, find_refusal
from tapestry_backend.server.connections.listen_address import LOOPBACK
from tests.server.handshakes import GOOD, PORT, TOKEN, WRONG_HEADERS, WRONG_PATHS, Headers

HOSTS = LOOPBACK.hosts(PORT)


@pytest.mark.parametrize("headers", GOOD.values(), ids=GOOD)
def test_our_own_client_gets_in(headers: Headers) -> None:
    """The right path, host and token, and no origin."""
    assert find_refusal(PATH, headers, HOSTS, TOKEN) is None


@pytest.mark.parametrize("headers", WRONG_HEADERS.values(), ids=WRONG_HEADERS)
def test_wrong_headers_are_refused(headers: Headers) -> None:
    """Each of these is refused."""
    refusal = find_refusal(PATH, headers, HOSTS, TOKEN)
    assert refusal is not None
    assert TOKEN not in refusal.reason


@pytest.mark.parametrize("path", WRONG_PATHS.values(), ids=WRONG_PATHS)
def test_wrong_paths_are_refused(path: str) -> None:
    """There is one path, spelled in one way."""
    assert find_refusal(path, GOOD["by address"], HOSTS, TOKEN) is not None


NAMES = st.sampled_from(["Host", "host", "Authorization", "AUTHORIZATION", "Origin", "Cookie"])
VALUES = st.sampled_from(
    [value for headers in (*GOOD.values(), *WRONG_HEADERS.values()) for _, value in headers]
)
PATHS = st.sampled_from([PATH, *WRONG_PATHS.values()])


@pytest.mark.promise("S8")
@given(
    PATHS | st.text(max_size=50),
    st.lists(st.tuples(NAMES | st.text(max_size=20), VALUES | st.text(max_size=80)), max_size=6),
)
def test_any_handshake_is_ours_or_refused(path: str, headers: Headers) -> None:
    """Never anything raised, and none let in but with this path, one host, one token."""
    if find_refusal(path, headers, HOSTS, TOKEN) is None:
        lower = [(name.lower(), value) for name, value in headers]
        assert path == PATH
        assert [value in HOSTS for name, value in lower if name == "host"] == [True]
        assert [v for name, v in lower if name == "authorization"] == [f"Bearer {TOKEN}"]
        assert "origin" not in dict(lower)
