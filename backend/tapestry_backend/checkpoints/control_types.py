"""ControlNets that are several in one (union): what types of pictures they know, by number."""

from __future__ import annotations

from collections.abc import Mapping

from tapestry_protocol.adapters import Control, ControlType
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

_FLUX: tuple[ControlType, ...] = (
    *("canny", "tile", "depth", "blur", "pose", "grey"),
    "low_quality",
)
"""By number, as in InstantX's and Shakker Labs' networks for FLUX.1."""

_XL: tuple[ControlType, ...] = (
    *("pose", "depth", "soft_edges", "canny", "normals", "segments"),
    "tile",
)
"""By number, as in xinsir's for Stable Diffusion XL; one more would see a mask beside it."""

_SHOWN_AS: Mapping[str, tuple[ControlType, ...]] = {
    "canny": ("canny",),
    "soft_edges": ("soft_edges",),
    "lines": ("soft_edges", "canny"),
    "ade20k": ("segments",),
}
"""What a picture is that was made of a layer: the first type that a network knows."""


def types_of_flux(count: int) -> tuple[ControlType, ...]:
    """Those of a network for FLUX.1 with so many modes, of which the last may have no name."""
    return _FLUX[:count]


def types_of_xl(count: int) -> tuple[ControlType, ...]:
    """Those of a network for Stable Diffusion XL with so many control types."""
    return _XL[:count]


def mode_of(control: Control, name: str, types: tuple[ControlType, ...]) -> int | None:
    """The number of the type as which a network takes a picture; None where it has one alone.

    name, types: the adapter's. Raises TapestryError when it is not said, or not one of them.
    """
    if not types:
        if control.control_type:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                Sentence("{name} takes pictures of one type alone.", name=quoted(name)),
                "Leave the type out.",
            )
        return None
    if control.control_type in types:
        return types.index(control.control_type)
    choose = Sentence("Choose one of its types: {types}.", types=", ".join(types))
    if control.control_type:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The ControlNet {name} has no type {type}.",
                name=quoted(name),
                type=quoted(control.control_type),
            ),
            choose,
        )
    for meant in _SHOWN_AS.get(control.preprocessor, ()):
        if meant in types:
            return types.index(meant)
    raise TapestryError(
        ErrorCode.BAD_REQUEST,
        Sentence(
            "The ControlNet {name} is several in one: it has to be said of what type its picture "
            "is.",
            name=quoted(name),
        ),
        choose,
    )
