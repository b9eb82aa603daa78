"""Gets uv: from a folder of wheels, from the artist's own package index, or from the public one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin

from ..common.removal import patiently
from ..common.task_queue import pause
from ..i18n.translation import tr
from .bundled import BundledBackend
from .install_errors import of_the_network
from .program import POLL_S
from .uv_program import UvWheel, unpack_uv, uv_wheel

_MB = 10**6
_MOST_OF_A_PAGE = 10 * _MB


class Download(Protocol):
    """A file on its way."""

    received_bytes: int
    total_bytes: int
    is_done: bool
    error: str

    def cancel(self) -> None: ...


Fetch = Callable[[str, Path], Download]
"""Begins to fetch an address into a file, and goes on where it ended."""

Say = Callable[[str, float], None]


class UvDownload:
    """For one installation."""

    def __init__(self, own: BundledBackend, fetch: Fetch, environment: Mapping[str, str]) -> None:
        self._own = own
        self._fetch = fetch
        self._environment = environment

    async def get(self, say: Say, is_paused: Callable[[], bool]) -> None:
        """Have the program in its place; raises TapestryError."""
        wheel, program = uv_wheel(), self._own.uv
        if program.exists():
            return
        archive = self.local(wheel.name)
        if archive is None:
            archive = self._own.folder / wheel.name
            url = await self._in_the_artists_index(wheel, is_paused) or wheel.url
            error = await self._get(url, archive, is_paused, say)
            if error:
                raise of_the_network(error)
        await patiently(lambda: unpack_uv(archive, wheel, program))
        if archive.parent == self._own.folder:
            await patiently(lambda: archive.unlink(missing_ok=True))

    def local(self, pattern: str) -> Path | None:
        """In a folder of wheels that the artist's pip or uv knows."""
        folders = re.split(r"[\s,]+", self._environment.get("UV_FIND_LINKS", ""))
        found = (path for folder in folders if folder for path in Path(folder).glob(pattern))
        return next(found, None)

    async def _in_the_artists_index(self, wheel: UvWheel, is_paused: Callable[[], bool]) -> str:
        """The wheel's address in a mirror; "" where none is set, or it has none."""
        index = self._environment.get("UV_DEFAULT_INDEX", "").rstrip("/")
        if not index.startswith("https://"):
            return ""
        page, address = self._own.folder / "uv-index.html", f"{index}/uv/"
        page.unlink(missing_ok=True)
        error = await self._get(address, page, is_paused, lambda *_: None)
        if error:
            return ""
        with page.open("rb") as file:
            text = file.read(_MOST_OF_A_PAGE).decode("utf-8", "replace")
        page.unlink(missing_ok=True)
        found = re.search(rf'href="([^"#]*{re.escape(wheel.name)})', text)
        return urljoin(address, found[1]) if found else ""

    async def _get(self, url: str, file: Path, is_paused: Callable[[], bool], say: Say) -> str:
        """Why it could not be fetched; "" once it is here."""
        download = self._fetch(url, file)
        try:
            while not download.is_done:
                if is_paused():
                    download.cancel()
                    while is_paused():
                        await pause(POLL_S)
                    download = self._fetch(url, file)
                say(tr("Fetching uv\u2026 {part} MB").format(part=_megabytes(download)), 0.01)
                await pause(POLL_S)
        finally:
            download.cancel()
        return download.error


def _megabytes(download: Download) -> str:
    return f"{download.received_bytes / _MB:.0f}"
