"""Searches folders; what may not be entered, or is too large, is reported and skipped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tapestry_protocol.sentences import Sentence, quoted

from .left_out import LeftOut, unreadable

_MAX_DEPTH = 6
_MAX_FILES = 20_000
"""Seen in one folder; a folder with more is rather a whole disk."""

_SKIPPED = {".git", "__pycache__", "node_modules"}

WEIGHTS = (".safetensors", ".sft")
"""How the names of files with weights end, in letters of either case."""

_UNFINISHED = re.compile(
    r"\.(?:aria2|crdownload|download|incomplete|opdownload|part|partial)$"
    r"|\.(?:safetensors|sft|ckpt|gguf|pt|pth|bin)\.(?:download|incomplete|part|tmp)",
    re.IGNORECASE,
)
"""How browsers and the like call a file that they are fetching."""

_MACOS_NOTES = "._"
"""With this before its name macOS notes about a file what other disks and archives cannot hold."""


def is_weights(name: str) -> bool:
    """Whether a file is called as weights are that we open, in safetensors' format."""
    return name.lower().endswith(WEIGHTS)


def is_gguf(name: str) -> bool:
    """Whether a file is called as packed weights of checkpoints are."""
    return name.lower().endswith(".gguf")


def is_network(name: str) -> bool:
    """Whether a file is called as a checkpoint may be, or a network of one."""
    return is_weights(name) or is_gguf(name)


def expanded(text: str) -> Path:
    """A path with its "~" and its variables ($NAME, on Windows also %NAME%) filled in."""
    return Path(os.path.expandvars(os.path.expanduser(text)))  # noqa: PTH111  Path's raises


def is_file(path: Path) -> bool:
    """Whether there is a file; none where it may not be read."""
    return os.path.isfile(path)  # noqa: PTH113  Path's raises where a folder may not be entered


def is_folder(path: Path) -> bool:
    """Whether there is a folder; none where it may not be read."""
    return os.path.isdir(path)  # noqa: PTH112  Path's raises where a folder may not be entered


def exists(path: Path) -> bool:
    """Whether there is anything; nothing where it may not be read."""
    return os.path.exists(path)  # noqa: PTH110  Path's raises where a folder may not be entered


def is_link(path: Path) -> bool:
    """Whether there is a link, wherever it leads; none where it may not be read."""
    return os.path.islink(path)  # noqa: PTH114  Path's raises where a folder may not be entered


def check_folder_named(folder: Path, left_out: list[LeftOut]) -> None:
    """Say so when a named folder is not there, or may not be entered."""
    try:
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError):
        message = Sentence("There is no folder {folder}.", folder=quoted(folder))
        advice = "Look how it is written, and whether its disk is there."
        left_out.append(LeftOut.missing(folder, message, advice))
    except (OSError, ValueError) as error:
        left_out.append(unreadable(folder, _as_os_error(error)))


def entries_of(folder: Path, left_out: list[LeftOut]) -> list[Path]:
    """What is in a folder, sorted, without macOS's notes; nothing where there is none."""
    try:
        return sorted(each for each in folder.iterdir() if not each.name.startswith(_MACOS_NOTES))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        left_out.append(unreadable(folder, error))
        return []


def walk(root: Path, left_out: list[LeftOut]) -> Iterator[tuple[Path, list[str], Sequence[str]]]:
    """Each folder in `root`, its folders, which may be taken out of the list, and its files.

    Links are followed, each folder is seen once. What cannot be looked into goes to `left_out`.
    What macOS notes beside files is passed over.
    """
    seen: set[str] = set()
    count = 0
    too_deep: list[Path] = []

    def complain(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            left_out.append(unreadable(Path(error.filename or root), error))

    for name, folders, files in os.walk(root, onerror=complain, followlinks=True):
        here, real = Path(name), os.path.realpath(name)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        names = sorted(file for file in files if not file.startswith(_MACOS_NOTES))
        count += len(names)
        if count > _MAX_FILES:
            left_out.append(_too_large(root))
            break
        inner = sorted(set(folders) - _SKIPPED)
        folders[:] = [folder for folder in inner if not is_file(here / folder / "pyvenv.cfg")]
        if len(here.relative_to(root).parts) >= _MAX_DEPTH - 1:
            too_deep += (here / folder for folder in folders)
            folders.clear()
        left_out.extend(_unfinished(here / f) for f in names if _UNFINISHED.search(f))
        yield here, folders, names
    if too_deep:
        left_out.append(_too_deep(root, too_deep))


def _too_large(root: Path) -> LeftOut:
    return LeftOut.too_many(
        root,
        Sentence(
            "{folder} holds more than {count} files: what comes after them is left out.",
            folder=quoted(root),
            count=_MAX_FILES,
        ),
        "Name the folder inside it that holds the models.",
    )


def _too_deep(root: Path, folders: Sequence[Path]) -> LeftOut:
    return LeftOut.too_many(
        folders[0],
        Sentence(
            "{count} folders lie deeper in {folder} than {most} and are left out, such as {first}.",
            count=len(folders),
            folder=quoted(root),
            most=_MAX_DEPTH,
            first=quoted(folders[0]),
        ),
        "Name a folder nearer to them.",
    )


def _unfinished(path: Path) -> LeftOut:
    return LeftOut.broken(
        path,
        Sentence("{path} has not been fetched to its end.", path=quoted(path)),
        "Let the program that fetches it finish, or remove it.",
    )


def _as_os_error(error: OSError | ValueError) -> OSError:
    return error if isinstance(error, OSError) else OSError(22, str(error))
