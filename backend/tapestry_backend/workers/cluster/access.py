"""Whether a cluster lets strangers in. Who may speak with Ray runs code on all of its computers."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterable

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence

_PROBE_TIMEOUT_S = 30.0

_PROBE = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
try:
    GcsClient(address=sys.argv[1]).get_all_node_info(timeout=10)
except AuthenticationError:
    sys.exit(77)
"""
"""Asks the head of the cluster for its computers, as a stranger would."""

_REFUSED = 77
"""The probe's exit status when it was not let in."""

_ADVICE = (
    "Make a token (ray get-auth-token --generate), copy ~/.ray/auth_token to each computer, and "
    "start Ray anew on all of them with RAY_AUTH_MODE=token; or say --open-cluster where no "
    "stranger can reach them."
)


class OpenClusterError(TapestryError):
    """A cluster that more people can reach than should."""


def check_access(head: str, addresses: Iterable[str]) -> None:
    """Raises OpenClusterError for one that more people can reach than should.

    head        the address of the cluster's head, "host:port"
    addresses   those of its computers
    """
    if not asks_for_token(head):
        raise OpenClusterError(
            ErrorCode.BAD_REQUEST,
            Sentence("The cluster at {address} lets everyone in, without a token.", address=head),
            _ADVICE,
        )
    public = [address for address in addresses if is_public(address)]
    if public:
        raise OpenClusterError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "Computers of the cluster have addresses that the whole internet reaches: "
                "{addresses}.",
                addresses=", ".join(public),
            ),
            "Join them by SSH tunnels or WireGuard, and start Ray with --node-ip-address of that "
            "network; or say --open-cluster where a firewall keeps strangers out.",
        )


def asks_for_token(head: str) -> bool:
    """Whether the cluster refuses a program that has no token."""
    stranger = {name: value for name, value in os.environ.items() if not _is_secret(name)}
    probe = subprocess.run(
        [sys.executable, "-P", "-c", _PROBE, head],
        env={**stranger, "RAY_AUTH_MODE": "disabled"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_PROBE_TIMEOUT_S,
        check=False,
    )
    return probe.returncode == _REFUSED


def is_public(address: str) -> bool:
    """Whether an address is one of the whole internet; a name counts as one."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return address != "localhost"


def _is_secret(name: str) -> bool:
    return name.startswith("RAY_AUTH_")
