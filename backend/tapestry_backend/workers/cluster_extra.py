"""Whether Ray is installed, and recent enough; it is not imported for that."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence

OLDEST = (2, 60)
"""Releases before 2.52 know no tokens, and let every program on the network run code; later ones
had holes too. This one is the first that we have tested."""


def check_ray() -> None:
    """Raises TapestryError, with what to install, where a cluster cannot be used."""
    try:
        installed = version("ray")
    except PackageNotFoundError:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "A cluster needs Ray, which is not installed.",
            "Install it: pip install 'tapestry[cluster]'.",
        ) from None
    if is_too_old(installed):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("Ray {version} is too old: it has known holes.", version=installed),
            "Install a newer one on every computer of the cluster: "
            "pip install --upgrade 'tapestry[cluster]'.",
        )


def is_too_old(ray_version: str) -> bool:
    """Whether a release, as in "2.60.0", is refused; so is one whose number cannot be read."""
    numbers = re.match(r"(\d+)\.(\d+)", ray_version)
    return numbers is None or tuple(map(int, numbers.groups())) < OLDEST
