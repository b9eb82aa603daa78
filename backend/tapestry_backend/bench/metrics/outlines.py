"""Outlines and strokes: how near to what was painted a material begins and ends, in pixels."""

from __future__ import annotations

import numpy as np


def within(mask: np.ndarray, distance_px: float) -> np.ndarray:
    """Pixels at most so far from a pixel of a mask [H, W], bool, by their middles: [H, W]."""
    reach = int(distance_px)
    height, width = mask.shape
    # Sums up to each column: one subtraction says whether a run of any length holds a pixel.
    padded = np.pad(mask, ((reach, reach), (reach + 1, reach))).astype(np.int64)
    sums = padded.cumsum(axis=1)
    near = np.zeros_like(mask)
    for down in range(-reach, reach + 1):
        half = int(np.sqrt(distance_px**2 - down**2))
        rows = sums[reach + down :][:height]
        first, last = reach - half, reach + half + 1
        near |= rows[:, last : last + width] > rows[:, first : first + width]
    return near


def beside_outlines(labels: np.ndarray, distance_px: float) -> np.ndarray:
    """Pixels of labels [H, W] that are at most so far from one of another number: [H, W] bool."""
    near = np.zeros(labels.shape, dtype=bool)
    for number in np.unique(labels):
        inside = labels == number
        near |= inside & within(~inside, distance_px)
    return near


def outline_share(seen: np.ndarray, labels: np.ndarray, distance_px: float) -> float:
    """The share of pixels beside outlines that show what was painted there; 0.5 is chance.

    seen and labels [H, W]: the number of the material that is seen, and that was painted.
    """
    near = beside_outlines(labels, distance_px)
    return float((seen == labels)[near].mean())


def stroke_recall(seen: np.ndarray, stroke: np.ndarray) -> float:
    """The share of a stroke's pixels that show its material; both [H, W] bool."""
    return float(seen[stroke].mean())


def relative_width(seen: np.ndarray, stroke: np.ndarray, reach_px: float) -> float:
    """The width of what is seen along a stroke over the width that was painted; both [H, W] bool.

    What lies further than `reach_px` from the stroke belongs to something else.
    """
    return float(seen[within(stroke, reach_px)].sum() / stroke.sum())
