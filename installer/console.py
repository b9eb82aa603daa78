"""What the installer says to the person in front of it."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Detail = Callable[[str], None]
"""Shows what a stage is doing right now, in place of what it showed before."""

_DETAIL_WIDTH = 60


class InstallerError(Exception):
    """Something a person can put right: what is wrong, and what to do about it."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(f"{message}\n{advice}".strip())


def write_anything() -> None:
    """Have the terminal show what its code page lacks as numbers: paths may hold it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str = "") -> None:
    """One line on standard output, at once."""
    print(text, flush=True)


@contextmanager
def stage(title: str) -> Iterator[Detail]:
    """Show that a stage runs, what it is doing, and how long it took once it is done."""
    start = time.monotonic()
    live = sys.stdout.isatty()

    def show(text: str) -> None:
        if live:
            print(f"\r  {title} ... {text[:_DETAIL_WIDTH]:<{_DETAIL_WIDTH}}", end="", flush=True)

    print(f"  {title} ...", end="", flush=True)
    try:
        yield show
    except BaseException:
        print(" stopped", flush=True)
        raise
    show("")
    seconds = f"{time.monotonic() - start:.0f} s"
    print(f"\r  {title} ... {seconds}" if live else f" {seconds}", flush=True)


def fail(error: InstallerError) -> int:
    """Tell what went wrong; returns the exit status."""
    print(f"\n{error}", file=sys.stderr, flush=True)
    return 1
