"""What of the user's environment counts for uv: where files come from, never how they are known.

uv's files of settings lie in any folder above the one it is started in, so none of them is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_MIRRORS = {
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "SSL_CERT_FILE": "PIP_CERT",
    "ALL_PROXY": "PIP_PROXY",
}
"""uv's name of a setting, and pip's, which counts where uv's is not set."""

_COUNTS = re.compile(
    r"UV_((DEFAULT_|EXTRA_|NO_)?INDEX(_\w+)?|KEYRING_PROVIDER|INSECURE_HOST"
    r"|OFFLINE|HTTP_\w+|REQUEST_TIMEOUT|CONCURRENT_\w+|NATIVE_TLS|SYSTEM_CERTS|LINK_MODE"
    r"|PYTHON|PYTHON_PREFERENCE|PYTHON_DOWNLOADS|PYTHON_INSTALL_MIRROR)"
)
"""Mirrors, network, Python. All others could leave hashes unchecked, build packages from source,
or put other releases in the place of those that are known."""

_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s'\"<>`]*@")


def settings_for_uv(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that uv is started with, where its own folders are still to be said."""
    chosen = {
        name: value
        for name, value in environment.items()
        if not name.startswith("UV_") or _COUNTS.fullmatch(name)
    }
    for theirs, pips in _MIRRORS.items():
        if environment.get(pips) and not {theirs, theirs.lower()} & environment.keys():
            chosen[theirs] = environment[pips]
    folders = find_links(environment)
    if folders:
        chosen["UV_FIND_LINKS"] = ",".join(folders)
    chosen["UV_NO_CONFIG"] = "1"
    return chosen


def find_links(environment: Mapping[str, str]) -> list[str]:
    """Folders and pages with wheels: uv's own are divided by commas, pip's by spaces.

    Pip passes over folders that are not there, where uv would give up. One that is not told from
    the root would be another in every folder that Krita is started in.
    """
    if "UV_FIND_LINKS" in environment:
        places = environment["UV_FIND_LINKS"].split(",")
    else:
        places = environment.get("PIP_FIND_LINKS", "").split()
    return [place for place in map(str.strip, places) if "://" in place or _is_folder(place)]


def without_userinfo(text: str) -> str:
    """Addresses without the name and password of who may read them."""
    return _USERINFO.sub(r"\1", text)


def _is_folder(place: str) -> bool:
    return Path(place).is_absolute() and Path(place).is_dir()
