"""A report for helpers: versions, states, the ends of the logs; never a token or a prompt."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from tapestry_protocol import PROTOCOL_VERSION, VERSION

from .uv_settings import without_userinfo

TAIL_BYTES = 20_000

_HIDDEN = "[hidden]"
_SECRETS = (
    re.compile(r"(?i)(bearer\s+)\S+"),
    re.compile(r"(?i)(\"?token\"?\s*[:=]\s*\"?)[^\s\",}]+"),
    re.compile(r"()\b[0-9A-Za-z_-]{40,}\b"),
)
"""Tokens by what stands before them, and anything that is as long as one."""


def tail(path: Path, most_bytes: int = TAIL_BYTES) -> str:
    """The last lines of a file; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            size = file.tell()
            file.seek(max(0, size - most_bytes))
            data = file.read()
    except OSError:
        return ""
    text = data.decode("utf-8", "replace")
    return text.partition("\n")[2] if size > most_bytes else text


def without_secrets(text: str, tokens: Iterable[str] = ()) -> str:
    """The text without these tokens, what looks like one, logins in addresses, the user's name."""
    for token in tokens:
        if token:
            text = text.replace(token, _HIDDEN)
    text = without_userinfo(text)
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{_HIDDEN}", text)
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def report(
    program: str, facts: Iterable[tuple[str, str]], logs: Iterable[Path], tokens: Iterable[str]
) -> str:
    """All of it as text.

    program  the program around us, with its version
    facts    what there is to say about the backend: name, value
    tokens   that must not be in it
    """
    lines = [
        f"Tapestry {VERSION}, protocol {PROTOCOL_VERSION}",
        f"{program}, Python {sys.version.split()[0]}, {platform.platform()}",
        *(f"{name}: {value}" for name, value in facts),
    ]
    for log in logs:
        lines += ["", f"--- {log.name} ---", tail(log).rstrip()]
    return without_secrets("\n".join(lines), tokens) + "\n"
