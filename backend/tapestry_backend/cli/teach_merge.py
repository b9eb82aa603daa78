"""The command `tapestry teach --merge`: files that were taught in, one file out."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request, Teach
from tapestry_protocol.sentences import quoted

from ..checkpoints.catalogue import Catalogue
from ..checkpoints.discovery import entries_for
from ..checkpoints.taught import Card
from ..checkpoints.taught_merging import cards_to_merge
from ..outputs import check_not_source, write_outputs
from .render import ProgressLine, check_outputs, report_file

_NOT_MERGED = ({field.name for field in fields(Teach)} | {"layer", "adapter", "picture"}) - {
    "examples"
}
"""Options that a merge has no use for."""


def merge(options: argparse.Namespace) -> None:
    """Carry out the command; raises TapestryError with a sentence for whatever is wrong."""
    paths: Sequence[Path] = options.examples
    _check_options(options)
    check_outputs(paths[0], [options.output], (".safetensors",), options.report)
    for path in paths:
        check_not_source(path, [options.output], "is what is merged")
    cards = cards_to_merge(paths)
    model = options.model or cards[0].model
    catalogue = _catalogue(model, paths, cards)
    data = _merged(paths, model, catalogue)
    words = [word for card in cards for word in card.words]
    about = {
        "words": words,
        "file": str(options.output),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "model": catalogue.find(model).id,
    }
    write_outputs([(options.output, data), *report_file({"merge": about}, options.report)])
    said = ", ".join(quoted(word) for word in words)
    ProgressLine(quiet=options.quiet).note(
        f"{said}: {quoted(options.output)}, {len(data) / 1000:.0f} KB."
    )


def _check_options(options: argparse.Namespace) -> None:
    given = [name for name in sorted(_NOT_MERGED) if getattr(options, name, None) not in (None, [])]
    if given:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"--{given[0]} is for teaching, and --merge teaches nothing.",
            f"Leave --{given[0]} out.",
        )
    if options.output is None:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "It is not said where the merged file shall lie.",
            "Give -o FILE.safetensors.",
        )


def _catalogue(model: str, paths: Sequence[Path], cards: Sequence[Card]) -> Catalogue:
    """With these files alone; raises TapestryError where one does not fit the model."""
    catalogue = Catalogue([model], found=entries_for([model]), adapters=[str(p) for p in paths])
    for card in cards:
        catalogue.check(Request("generate", 64, 64, ", ".join(card.words), model=model))
    return catalogue


def _merged(paths: Sequence[Path], model: str, catalogue: Catalogue) -> bytes:
    from ..models.model_cache import ModelCache  # noqa: PLC0415  torch, only once the input is sound
    from ..tasks.merging import merge_taught  # noqa: PLC0415  likewise

    return merge_taught(paths, model, ModelCache(catalogue))
