"""Gets uv: from a folder of wheels, from the artist's own package index, or from the public one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin

from ..common.removal import patiently
from ..common.task_queue import pause
from ..i18n.translation import tr
from ..jobs.eta import time_left
from .bundled import BundledBackend
from .install_errors import of_the_network
from .program import POLL_S
from .uv_program import UvWheel, is_whole, unpack_uv, uv_wheel
from .uv_settings import find_links, without_userinfo

_MB = 10**6
_MOST_OF_A_PAGE = 10 * _MB

_UNPACKED = 0.05
"""Share of the whole installation, once uv is there."""

PATIENCE_S = 30.0
"""How long a network may give nothing before that is said; what has arrived is kept."""


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
        """Have the program in its place, whole; raises TapestryError."""
        wheel, program = uv_wheel(), self._own.uv
        if await is_whole(program):
            return
        archive = self.local(wheel.name)
        is_ours = archive is None
        if archive is None:
            archive = self._own.folder / wheel.name
            url = await self._in_the_artists_index(wheel, is_paused) or wheel.url
            error = await self._get(url, archive, is_paused, say)
            if error:
                raise of_the_network(error)
        say(tr("Unpacking uv\u2026"), _UNPACKED)
        await unpack_uv(archive, wheel, program, is_ours=is_ours)
        if is_ours:
            await patiently(lambda: archive.unlink(missing_ok=True))

    def local(self, pattern: str) -> Path | None:
        """In a folder of wheels of the artist's pip or uv."""
        folders = [place for place in find_links(self._environment) if "://" not in place]
        return next((path for place in folders for path in Path(place).glob(pattern)), None)

    async def _in_the_artists_index(self, wheel: UvWheel, is_paused: Callable[[], bool]) -> str:
        """The wheel's address in a mirror; "" where none is set, or it has none."""
        index = self._environment.get("UV_DEFAULT_INDEX", "").rstrip("/")
        if not index.startswith(("https://", "http://")):  # its bytes are known in any case
            return ""
        page, address = self._own.folder / "uv-index.html", f"{index}/uv/"
        for old in self._own.folder.glob(f"{page.name}*"):
            old.unlink()
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
        progress = _DownloadProgress(download)
        try:
            while not download.is_done:
                if is_paused():
                    download.cancel()
                    while is_paused():
                        await pause(POLL_S)
                    download = self._fetch(url, file)
                    progress = _DownloadProgress(download)
                say(progress.words(), _UNPACKED * progress.share())
                if progress.seconds_still() > PATIENCE_S:
                    return tr("nothing has arrived for {count} seconds").format(
                        count=round(PATIENCE_S)
                    )
                await pause(POLL_S)
        finally:
            download.cancel()
        return without_userinfo(download.error)


class _DownloadProgress:
    """How far a download is, and since when it stands still."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._begun_s = self._moved_s = time.monotonic()
        self._first_bytes = self._last_bytes = download.received_bytes

    def seconds_still(self) -> float:
        """Since anything has arrived."""
        now_s = time.monotonic()
        if self._download.received_bytes != self._last_bytes:
            self._last_bytes, self._moved_s = self._download.received_bytes, now_s
        return now_s - self._moved_s

    def share(self) -> float:
        """Of the whole, 0..1; 0 while its size is unknown."""
        return min(1.0, self._download.received_bytes / max(1, self._download.total_bytes))

    def words(self) -> str:
        """For the artist."""
        received, total = self._download.received_bytes, self._download.total_bytes
        if not total:
            return tr("Fetching uv\u2026 {part} MB").format(part=f"{received / _MB:.0f}")
        words = tr("Fetching uv\u2026 {part} of {whole} MB").format(
            part=f"{received / _MB:.0f}", whole=f"{total / _MB:.0f}"
        )
        arrived = received - self._first_bytes
        if not arrived:
            return words
        seconds = (time.monotonic() - self._begun_s) * (total - received) / arrived
        return f"{words}, {time_left(seconds)}"
