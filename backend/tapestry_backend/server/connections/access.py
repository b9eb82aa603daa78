"""Who may open a connection: judged from the handshake's path and headers alone.

A web page can open websockets to this machine too. It cannot read the token, cannot leave out its
Origin, and its Host betrays a rebound name: each of the three refuses it.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from http import HTTPStatus

PATH = "/tapestry"
"""The only path there is."""


@dataclass(frozen=True)
class Refusal:
    """Why a handshake is refused."""

    status: HTTPStatus
    reason: str


def find_refusal(
    path: str, headers: Iterable[tuple[str, str]], hosts: Collection[str], token: str
) -> Refusal | None:
    """Why this handshake must be refused, or None when it is our own client's.

    headers: every header as (name, value), repeated ones repeatedly. hosts: what Host may say.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    if len(values.get("host", [])) != 1 or values["host"][0] not in hosts:
        return Refusal(HTTPStatus.FORBIDDEN, "Wrong host.")
    if "origin" in values:
        return Refusal(HTTPStatus.FORBIDDEN, "Web pages are not served.")
    if not _is_authorized(values.get("authorization", []), token):
        return Refusal(HTTPStatus.UNAUTHORIZED, "Wrong token.")
    if path != PATH:
        return Refusal(HTTPStatus.NOT_FOUND, "Nothing here.")
    return None


def _is_authorized(values: list[str], token: str) -> bool:
    if len(values) != 1:
        return False
    # Bytes, because compare_digest takes no str beyond ASCII.
    expected = f"Bearer {token}".encode()
    return hmac.compare_digest(values[0].encode("utf-8", "replace"), expected)
