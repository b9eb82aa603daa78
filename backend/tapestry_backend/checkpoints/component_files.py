"""Text encoders and autoencoders in files of their own, for checkpoints that lack theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tapestry_protocol.sentences import Sentence, quoted

from .checkpoint_file import (
    FOREIGN_FORMATS,
    Lacking,
    broken_file,
    foreign_file,
    holds_a_network,
    lacking,
)
from .families import FAMILIES, family_of_file
from .folders import is_network, walk
from .left_out import LeftOut, unforeseen, unreadable
from .safetensors_header import BrokenFileError, Header
from .shapes import KINDS, LANGUAGE_MODELS, WORDS, Shapes
from .weights_header import read_header

_CLIP_L, _CLIP_G = r"clip_?-?l|vit-l", r"clip_?-?g|bigg"
"""What names of files say, where shapes alone do not tell networks apart."""

_OF_UMT5 = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"


class ComponentFiles:
    """The files of some folders that hold one network each; broken ones go to `left_out`."""

    def __init__(self, folders: Sequence[Path], left_out: list[LeftOut] | None = None) -> None:
        self._folders = folders
        self._left_out = [] if left_out is None else left_out

    def of(self, checkpoint: Path) -> dict[str, Path] | None:
        """For each network that a file lacks, the file that fits it best; headers alone are read.

        None for what is no checkpoint. Raises BrokenFileError and OSError as reading the file's own
        header does.
        """
        found = lacking(checkpoint)
        if found is None:
            return None
        chosen = {}
        for part, (kind, prefixes) in found.wanted.items():
            fitting = [
                (rank, path)
                for path, header in self._files
                if (rank := _rank(path.stem.lower(), kind, found.family)) is not None
                and _fits(header.shapes, kind, prefixes, found)
            ]
            if fitting:
                chosen[part] = min(fitting)[1]
        return chosen

    def scan(self) -> list[Path]:
        """The files; also notes what is wrong in the folders."""
        return [path for path, _ in self._files]

    @cached_property
    def _files(self) -> list[tuple[Path, Header]]:
        found = []
        for folder in self._folders:
            for here, _, names in walk(folder, self._left_out):
                for path in map(here.joinpath, names):
                    if path.suffix.lower() in FOREIGN_FORMATS:
                        self._left_out.append(LeftOut(path, foreign_file(path)))
                    if not is_network(path.name):
                        continue
                    try:
                        header = read_header(path)
                        if not holds_a_network(header) and family_of_file(header.shapes) is None:
                            self._left_out.append(_no_network(path))
                        else:
                            found.append((path, header))
                    except BrokenFileError as error:
                        self._left_out.append(LeftOut(path, broken_file(path, error)))
                    except OSError as error:
                        self._left_out.append(unreadable(path, error))
                    except Exception as error:  # noqa: BLE001  it stops no other
                        self._left_out.append(unforeseen(path, error))
        return found


def _no_network(path: Path) -> LeftOut:
    return LeftOut.broken(
        path,
        Sentence(
            "{path} is neither a text encoder nor an autoencoder that Tapestry knows.",
            path=quoted(path),
        ),
        "Look at docs/models.md for what there is.",
    )


def _fits(shapes: Shapes, kind: str, prefixes: Sequence[str], lacking: Lacking) -> bool:
    """Whether a file holds a network of this kind, with as many channels or as wide as is read."""
    for prefix in prefixes:
        shape = shapes.get(prefix + KINDS[kind].mark)
        if shape is not None and kind in LANGUAGE_MODELS:
            words = shapes.get(prefix + WORDS, ())
            return words[1:] == (lacking.text_width,)
        if shape is not None and kind == "t5":  # UMT5, which other models read, has more of these
            return shape[1:2] == (lacking.text_width,) and prefix + _OF_UMT5 not in shapes
        if shape is not None:
            return kind != "autoencoder" or shape[1:2] == (lacking.latent_channels,)
    return False


def _rank(name: str, kind: str, family: str) -> int | None:
    """0: the name says that it is the one; 1: it does not say; None: it is another."""
    rivals = {"clip_l": _CLIP_L, "clip_g": _CLIP_G}
    own = "clip_l" if kind == "clip_l_unprojected" else kind
    if kind.startswith("autoencoder"):
        rivals = {name: known.vae_names for name, known in FAMILIES.items()}
        own = family
    if own not in rivals or re.search(rivals[own], name):
        return 0
    return None if any(re.search(words, name) for words in rivals.values()) else 1
