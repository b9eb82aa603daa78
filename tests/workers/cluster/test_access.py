"""Which addresses strangers reach; whether a cluster asks for a token is tested with a real one."""

import pytest

from tapestry_backend.workers.cluster import access
from tapestry_backend.workers.cluster.access import OpenClusterError, check_access, is_public


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "100.64.3.1", "fd00::2", "localhost"]
)
def test_addresses_of_a_private_network(address: str) -> None:
    """WireGuard's and a tunnel's among them."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "gpu.example.com"])
def test_addresses_of_the_whole_internet(address: str) -> None:
    """A name may be one."""
    assert is_public(address)


def test_a_public_computer_is_refused_though_it_asks_for_a_token(monkeypatch) -> None:
    """The sentence names it."""
    monkeypatch.setattr(access, "asks_for_token", lambda _: True)
    check_access("10.0.0.1:6379", ["10.0.0.1"])
    with pytest.raises(OpenClusterError, match=r"8\.8\.8\.8"):
        check_access("10.0.0.1:6379", ["10.0.0.1", "8.8.8.8"])
