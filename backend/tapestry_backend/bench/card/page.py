"""What a graphics card was found to do, as one page; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .run import CardCheck

_MIB = 2**20
_TITLES = {
    "precision": "Precisions: layers beside the processor's in double precision (share)",
    "family": "Families: small models with random weights (colours of 255)",
    "offloading": "Offloading: what a card does that is too small (colours of 255)",
    "adapter": "Adapters (colours of 255)",
    "canvas": "Canvases: models of the true size where there is a card",
    "live": "Live: one stroke (SemanticDraw reports 0.64 s for a whole picture, on its card)",
}


def page_of(rows: Sequence[CardCheck], about: Mapping[str, str]) -> str:
    """Markdown: the answer, what was found out about the computer, and a table for each part."""
    failed = [row for row in rows if row.problem]
    answer = f"**Everything works here**: {len(rows)} of {len(rows)} ways."
    if failed:
        answer = f"**{len(failed)} of {len(rows)} ways do not work here**: " + "; ".join(
            f"{row.part} {row.name}" for row in failed
        )
    lines = ["# What Tapestry does on this computer", "", answer, ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    for part, title in _TITLES.items():
        own = [row for row in rows if row.part == part]
        if own:
            lines += ["", f"## {title}", "", "| | works | seconds | MiB | difference |"]
            lines += ["|---|---|---|---|---|", *map(_line, own)]
    return "\n".join(lines) + "\n"


def _line(row: CardCheck) -> str:
    if row.problem and not row.seconds:
        return f"| {row.name} | no: {_cell(row.problem)} | | | |"
    works = f"no: {_cell(row.problem)}" if row.problem else "yes"
    difference = "" if row.difference is None else f"{row.difference:.2g}"
    return (
        f"| {row.name} | {works} | {row.seconds:.2f} | {row.peak_bytes / _MIB:.0f} | {difference} |"
    )


def _cell(text: str) -> str:
    return text.replace("|", "/")
