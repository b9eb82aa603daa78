"""Blending modes: the colours where a layer lies over others; float [h, w, 3] from 0 to 1.

The formulas of W3C, Compositing and Blending Level 1, section 10.
"""

from __future__ import annotations

import numpy as np

from tapestry_protocol.blending import OVER, operator_of

from .compose import Blend

_NORMAL = {"", "src-over", "normal", "pass through"}
_LUMINANCE = np.array([0.3, 0.59, 0.11], np.float32)


def blend_of(composite_op: str) -> Blend | None:
    """The blending mode of an OpenRaster file's name for it, such as "svg:multiply".

    None where the layer's own colours are seen: "svg:src-over", and modes that are not known here.
    """
    return _MODES.get(_plain(composite_op))


def is_known(composite_op: str) -> bool:
    """Whether a name says how a layer is composed, and we compose it so."""
    return blend_of(composite_op) is not None or (
        _plain(composite_op) in _NORMAL or operator_of(composite_op) is not OVER
    )


def _plain(composite_op: str) -> str:
    return composite_op.strip().lower().removeprefix("svg:").removeprefix("krita:")


def _screen(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    return below + above - below * above


def _hard_light(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    return np.where(above <= 0.5, 2 * below * above, _screen(below, 2 * above - 1))


def _soft_light(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    brighter = np.where(
        below <= 0.25, ((16 * below - 12) * below + 4) * below, np.sqrt(np.maximum(below, 0))
    )
    dark = below - (1 - 2 * above) * below * (1 - below)
    return np.where(above <= 0.5, dark, below + (2 * above - 1) * (brighter - below))


def _dodge(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    lit = np.minimum(1, below / np.maximum(1 - above, 1e-6))
    return np.where(below == 0, 0, np.where(above >= 1, 1, lit))


def _burn(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    burnt = 1 - np.minimum(1, (1 - below) / np.maximum(above, 1e-6))
    return np.where(below >= 1, 1, np.where(above <= 0, 0, burnt))


def _luminance(colour: np.ndarray) -> np.ndarray:
    return (colour @ _LUMINANCE)[..., None]


def _saturation(colour: np.ndarray) -> np.ndarray:
    return np.ptp(colour, axis=-1, keepdims=True)


def _with_luminance(colour: np.ndarray, luminance: np.ndarray) -> np.ndarray:
    """The colour moved to this luminance, and back into range by taking saturation away."""
    moved = colour + luminance - _luminance(colour)
    own, low = _luminance(moved), moved.min(axis=-1, keepdims=True)
    high = moved.max(axis=-1, keepdims=True)
    moved = np.where(low < 0, own + (moved - own) * own / np.maximum(own - low, 1e-6), moved)
    return np.where(high > 1, own + (moved - own) * (1 - own) / np.maximum(high - own, 1e-6), moved)


def _with_saturation(colour: np.ndarray, saturation: np.ndarray) -> np.ndarray:
    low, spread = colour.min(axis=-1, keepdims=True), _saturation(colour)
    return np.where(spread > 0, (colour - low) * saturation / np.maximum(spread, 1e-6), 0)


def _hue(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    return _with_luminance(_with_saturation(above, _saturation(below)), _luminance(below))


def _saturate(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    return _with_luminance(_with_saturation(below, _saturation(above)), _luminance(below))


_MODES: dict[str, Blend] = {
    "multiply": lambda below, above: below * above,
    "screen": _screen,
    "overlay": lambda below, above: _hard_light(above, below),
    "darken": np.minimum,
    "lighten": np.maximum,
    "color-dodge": _dodge,
    "color-burn": _burn,
    "hard-light": _hard_light,
    "soft-light": _soft_light,
    "difference": lambda below, above: np.abs(below - above),
    "exclusion": lambda below, above: below + above - 2 * below * above,
    "plus": lambda below, above: np.minimum(1, below + above),
    "hue": _hue,
    "saturation": _saturate,
    "color": lambda below, above: _with_luminance(above, _luminance(below)),
    "luminosity": lambda below, above: _with_luminance(below, _luminance(above)),
}
