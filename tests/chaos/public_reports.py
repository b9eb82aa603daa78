"""What people have reported of such programs in public, by kind, and the tests that try it here."""

from __future__ import annotations

from collections.abc import Sequence

REPORTS: dict[str, Sequence[str]] = {
    "An eraser, a clipped layer or a blending mode changes what a layer covers: the masks are what "
    "Krita shows": (
        "tests/openraster/test_coverage.py",
        "tests/krita_plugin/test_coverage.py",
        "tests/krita/test_regions.py",
    ),
    "A layer has the name that a program gave it, in any language, or its letters are composed in "
    "another way": (
        "tests/protocol/test_layer_names.py",
        "tests/openraster/test_scene.py",
    ),
    'A scene writes its numbers as "0,5" or "12.0"': ("tests/openraster/test_stack.py",),
    "A picture carries a colour profile, or notes of megabytes": ("tests/openraster/test_png.py",),
    "A result is written over a link, a private file, a file with two names or a protected one, or "
    "to a disk that is full": (
        "tests/protocol/test_files.py",
        "tests/cli/test_outputs.py",
        "tests/installer/test_plugin.py",
        "tests/server/test_journal.py",
    ),
    "A command's output goes to a narrow code page, a closed pipe or a full disk": (
        "tests/cli/test_streams.py",
    ),
    "Two Kritas run at once, or one of them has crashed": ("tests/krita_plugin/test_ownership.py",),
    "A document holds notes that are damaged, nested without end, or hold odd numbers": (
        "tests/krita_plugin/test_kept_json.py",
    ),
    "A file in a store is damaged, whatever its size says": (
        "tests/server/test_scribe.py",
        "tests/server/test_sessions.py",
        "tests/krita_plugin/test_picture_store.py",
    ),
    "A document was copied, and a picture is discarded in one of the two": (
        "tests/krita_plugin/test_results.py",
    ),
    "A server starts again with more finished pictures than it keeps": (
        "tests/server/test_ends.py",
    ),
}
"""A kind -> the files of its tests."""


_ABOUT = (
    "What goes wrong for people who do this work with other programs, or did here; each kind is a "
    "test with the right outcome."
)


def section() -> str:
    """The part of the page that lists them."""
    lines = [
        "## Tried from public reports",
        "",
        _ABOUT,
        "",
        "| kind | tests |",
        "|---|---|",
    ]
    for kind, files in REPORTS.items():
        lines.append(f"| {kind} | {', '.join(f'`{file}`' for file in files)} |")
    return "\n".join(lines) + "\n"
