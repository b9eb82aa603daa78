"""Text encoders and autoencoders in files of their own, for checkpoints that lack theirs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from .checkpoint_file import lacking
from .shapes import KINDS
from .weights import BrokenFileError, Header, read_header

_HINTS = {
    ("sd3", "vae"): ("sd3", "sd_3"),
    ("flux", "vae"): ("flux", "ae."),
    "clip_l": ("clip_l", "clip-l", "vit-l"),
    "clip_l_unprojected": ("clip_l", "clip-l", "vit-l"),
    "clip_g": ("clip_g", "clip-g", "bigg"),
    "t5": ("t5xxl", "t5"),
}
"""Words in names of files: shapes alone do not tell these networks apart."""


class Companions:
    """The files of some folders that hold one network each."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def of(self, checkpoint: Path) -> dict[str, Path] | None:
        """For each network that a file lacks, the file that fits it best; headers alone are read.

        None for what is no checkpoint. Raises BrokenFileError and OSError as reading the file's own
        header does.
        """
        found = lacking(checkpoint)
        if found is None:
            return None
        chosen, (family, wanted) = {}, found
        for part, (kind, prefixes) in wanted.items():
            mark = KINDS[kind].mark
            hints = _HINTS.get((family, part)) or _HINTS.get(kind, ())
            fitting = [
                (not any(hint in path.name.lower() for hint in hints), path)
                for path, header in self._files
                if any(prefix + mark in header.shapes for prefix in prefixes)
            ]
            if fitting:
                chosen[part] = min(fitting)[1]
        return chosen

    @cached_property
    def _files(self) -> list[tuple[Path, Header]]:
        found = []
        for folder in self._folders:
            for path in sorted(folder.rglob("*.safetensors")):
                try:
                    found.append((path, read_header(path)))
                except (OSError, BrokenFileError):
                    continue
        return found
