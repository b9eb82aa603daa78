"""What is pinned for installs."""

from __future__ import annotations

import re

_PIN = re.compile(r"^([\w.-]+)==([\w.]+)", re.MULTILINE)


def pins(*texts: str) -> dict[str, str]:
    """Package -> release."""
    found = [_PIN.findall(text) for text in texts]
    return {re.sub("[-_.]+", "-", name).lower(): release for one in found for name, release in one}
