"""What can have a shortcut of its own: names of Krita's actions, and what they do; no Krita.

`tapestry.action`, beside the plugin's folder, gives the same names to Krita's shortcut editor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .docker_model import Studio
from .i18n.translation import tr


@dataclass(frozen=True)
class Action:
    """Its name in Krita, what the artist reads, and what it does."""

    name: str
    text: str
    run: Callable[[Studio], object]


def actions() -> tuple[Action, ...]:
    """All of them, in the order of the menu."""
    return (
        Action("tapestry_generate", tr("Tapestry: Generate"), Studio.generate),
        Action("tapestry_extend", tr("Tapestry: Extend"), Studio.extend),
        Action("tapestry_refine", tr("Tapestry: Refine"), Studio.refine),
        Action("tapestry_fill", tr("Tapestry: Fill"), Studio.fill),
        Action("tapestry_cancel", tr("Tapestry: Cancel"), Studio.cancel),
        Action(
            "tapestry_new_region",
            tr("Tapestry: New region"),
            lambda studio: studio.regions.new_region(),
        ),
        Action(
            "tapestry_show_regions",
            tr("Tapestry: Show regions"),
            lambda studio: studio.regions.toggle_tint(),
        ),
        Action("tapestry_roll_seed", tr("Tapestry: Another seed"), Studio.roll_dice),
    )
