"""Where a server listens, and by which names it may be called there."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import quoted

_LOOPBACK = ("127.0.0.1", "::1")
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_LAST_PORT = 65_535
_ATTEMPTS = 20
"""To find a port that is free in both families."""


@dataclass(frozen=True)
class Certificate:
    """Files in PEM format by which a server proves who it is."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class ListenAddress:
    """Where a server listens.

    address      None: this computer alone, over IPv4 and IPv6
    port         0: any free one
    names        by which clients may call it, besides its address and this computer's own names
    certificate  what every address needs that others can reach
    """

    address: str | None = None
    port: int = 0
    names: tuple[str, ...] = ()
    certificate: Certificate | None = None

    def hosts(self, port: int) -> frozenset[str]:
        """What a client's Host header may say, exactly."""
        own = () if self.address is None else (_host(self.address),)
        return frozenset(f"{name}:{port}" for name in (*_LOOPBACK_HOSTS, *own, *self.names))

    def open(self) -> list[socket.socket]:
        """Sockets bound to one port; raises TapestryError when there is none."""
        addresses = _LOOPBACK if self.address is None else (self.address,)
        try:
            for _ in range(_ATTEMPTS):
                sockets = _bind(addresses, self.port)
                if sockets:
                    return sockets
        except OSError as error:
            where = f"{self.address or 'this computer'}, port {self.port or 'any'}"
            raise TapestryError(
                ErrorCode.INTERNAL,
                f"Nothing can listen on {where} ({error.strerror}).",
                "Choose another address or port.",
            ) from error
        raise TapestryError(
            ErrorCode.BUSY,
            f"Port {self.port} is taken." if self.port else "No port is free.",
            "Choose another one with --port, or leave it out.",
        )

    def tls(self) -> ssl.SSLContext | None:
        """What encrypts connections; raises TapestryError when the certificate is of no use."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_cert_chain(self.certificate.chain, self.certificate.key)
        except OSError as error:
            raise TapestryError(
                ErrorCode.INTERNAL,
                f"The certificate {quoted(self.certificate.chain)} with the key "
                f"{quoted(self.certificate.key)} cannot be used ({error.strerror}).",
                "Give both as PEM files that belong together.",
            ) from error
        return context


LOOPBACK = ListenAddress()
"""This computer alone, on any free port."""


def make_place(
    address: str | None,
    port: int = 0,
    *,
    remote: bool = False,
    names: tuple[str, ...] = (),
    certificate: Certificate | None = None,
) -> ListenAddress:
    """A place that keeps strangers out; raises TapestryError for one that does not."""
    if not 0 <= port <= _LAST_PORT:
        raise _bad(f"{port} is no port.", f"Choose one up to {_LAST_PORT}.")
    parsed = None if address is None else _parse(address)
    if parsed is None or parsed.is_loopback:
        if remote or certificate is not None:
            raise _bad(
                "Only this computer can reach the backend there.",
                "Give --address with one of this computer's own, or leave --remote, --certificate "
                "and --key out.",
            )
        return ListenAddress(None if parsed is None else str(parsed), port, names)
    if not remote:
        raise _bad(
            f"On {address}, other computers could reach this backend.",
            "Leave --address out and use an SSH tunnel (docs/another-computer.md), or add --remote "
            "with --certificate and --key.",
        )
    if certificate is None:
        raise _bad(
            f"On {address}, others could read along.",
            "Give --certificate and --key, or use an SSH tunnel (docs/another-computer.md).",
        )
    if parsed.is_unspecified and not names:
        raise _bad(
            f"{address} stands for every address of this computer, and clients call none of them "
            "that.",
            "Give --name with the name or address by which they call it.",
        )
    return ListenAddress(str(parsed), port, names, certificate)


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        raise _bad(
            f"{quoted(address)} is no address.", "Give it in digits, such as 127.0.0.1."
        ) from None


def _bind(addresses: tuple[str, ...], port: int) -> list[socket.socket]:
    """A socket for each address, all on one port; none at all when it is taken in one of them."""
    sockets: list[socket.socket] = []
    for address in addresses:
        try:
            sockets.append(_bound(address, sockets[0].getsockname()[1] if sockets else port))
        except OSError as error:
            if sockets and error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                continue  # a computer without IPv6
            for opened in sockets:
                opened.close()
            if error.errno != errno.EADDRINUSE:
                raise
            return []
    return sockets


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # With the protocol's number, asyncio treats the socket as TCP and turns Nagle's delay off.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if socket.has_ipv6 and family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: no other process may share our port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        elif port:  # a server that starts again does not wait for old connections to fade
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
    except OSError:
        opened.close()
        raise
    return opened


def _host(address: str) -> str:
    """An address as it stands in a Host header."""
    return f"[{address}]" if ":" in address else address


def _bad(message: str, advice: str) -> TapestryError:
    return TapestryError(ErrorCode.BAD_REQUEST, message, advice)
