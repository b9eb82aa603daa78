"""The prompts that were used lately, in all documents."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ..common.stored_json import read_kept
from ..document.canvas import Host

_HISTORY_KEY = "prompts"
_MOST_PROMPTS = 200


class PromptHistory:
    """Prompts, the latest first, each of them once."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._prompts = _read(host.read_setting(_HISTORY_KEY))

    @property
    def prompts(self) -> tuple[str, ...]:
        """The latest first."""
        return tuple(self._prompts)

    def remember(self, prompts: Iterable[str]) -> None:
        """These were used just now."""
        used = [prompt.strip() for prompt in prompts if prompt.strip()]
        latest = list(dict.fromkeys([*used, *self._prompts]))[:_MOST_PROMPTS]
        if latest != self._prompts:
            self._prompts = latest
            self._host.write_setting(_HISTORY_KEY, json.dumps(latest, ensure_ascii=False))


def _read(text: str) -> list[str]:
    kept = read_kept(text)
    return [prompt for prompt in kept if isinstance(prompt, str)] if isinstance(kept, list) else []
