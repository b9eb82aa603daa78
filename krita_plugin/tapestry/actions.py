"""What can have a shortcut of its own: names of Krita's actions, and what they do.

`tapestry.action`, beside the plugin's folder, gives the same names to Krita's shortcut editor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .docker_model import DockerModel
from .i18n.translation import tr


@dataclass(frozen=True)
class Action:
    """Its name in Krita, what the artist reads, and what it does."""

    name: str
    text: str
    run: Callable[[DockerModel], object]


def actions() -> tuple[Action, ...]:
    """All of them, in the order of the menu."""
    return (
        Action("tapestry_generate", tr("Tapestry: Generate"), DockerModel.generate),
        Action("tapestry_extend", tr("Tapestry: Extend"), DockerModel.extend),
        Action("tapestry_refine", tr("Tapestry: Refine"), DockerModel.refine),
        Action("tapestry_fill", tr("Tapestry: Fill"), DockerModel.fill),
        Action("tapestry_edit", tr("Tapestry: Edit"), DockerModel.edit),
        Action("tapestry_upscale", tr("Tapestry: Upscale"), DockerModel.upscale),
        Action("tapestry_teach", tr("Tapestry: Teach"), DockerModel.teach),
        Action("tapestry_live", tr("Tapestry: Paint live"), DockerModel.toggle_live),
        Action("tapestry_keep_live", tr("Tapestry: Keep the live picture"), DockerModel.keep_live),
        Action("tapestry_cancel", tr("Tapestry: Cancel"), DockerModel.cancel),
        Action(
            "tapestry_new_region",
            tr("Tapestry: New region"),
            lambda docker_model: docker_model.regions.new_region(),
        ),
        Action(
            "tapestry_show_regions",
            tr("Tapestry: Show regions"),
            lambda docker_model: docker_model.regions.toggle_overlay(),
        ),
        Action("tapestry_roll_seed", tr("Tapestry: Another seed"), DockerModel.roll_dice),
    )
