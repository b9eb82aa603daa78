"""Single living and heavenly things in a chosen colour: trees, animals, flowers, sun and moon."""

from __future__ import annotations

import numpy as np

from .canvas import Colour, Painter, darker, lighter, rotated

INK, BARK = (0.13, 0.12, 0.16), (0.43, 0.28, 0.17)


def tree(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A round-crowned tree; its foliage has the colour."""
    painter.polygon(
        [
            (x - size * 0.09, y),
            (x - size * 0.05, y - size * 0.5),
            (x + size * 0.05, y - size * 0.5),
            (x + size * 0.09, y),
        ],
        (0.43, 0.28, 0.17),
    )
    crown = ((-0.22, 0.5, 0.24), (0.22, 0.5, 0.24), (0.0, 0.68, 0.3), (0.0, 0.5, 0.25))
    for dx, dy, radius in crown:
        painter.ellipse(
            x + dx * size, y - dy * size + 2, radius * size, radius * size, darker(colour, 0.78)
        )
    for dx, dy, radius in crown:
        painter.ellipse(
            x + dx * size - 1, y - dy * size - 1, radius * size * 0.86, radius * size * 0.84, colour
        )
    painter.ellipse(x - 0.1 * size, y - 0.76 * size, 0.13 * size, 0.1 * size, lighter(colour, 0.3))


def sun(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A round sun with rays, of the colour."""
    radius, middle = size * 0.28, y - size * 0.5
    ray = np.array([(-0.2, 1.12), (0, 1.75), (0.2, 1.12)]) * radius
    for turn in np.arange(12) * np.pi / 6:
        painter.polygon(rotated(ray, turn, x, middle), darker(colour, 0.95))
    painter.ellipse(x, middle, radius, radius, colour)
    painter.ellipse(
        x - radius * 0.2, middle - radius * 0.2, radius * 0.6, radius * 0.6, lighter(colour, 0.35)
    )


def moon(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A crescent, of the colour."""
    radius, middle = size * 0.42, y - size * 0.5
    outer = np.linspace(0.35 * np.pi, 1.65 * np.pi, 25)
    inner = np.linspace(1.55 * np.pi, 0.45 * np.pi, 21)
    edge = [(x + radius * np.cos(a), middle + radius * np.sin(a)) for a in outer]
    hollow = [
        (x + radius * (0.42 + 0.82 * np.cos(a)), middle + radius * 0.87 * np.sin(a)) for a in inner
    ]
    painter.polygon([*edge, *hollow], colour)


def pine(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A fir of three tiers; its needles have the colour."""
    painter.rectangle(x - size * 0.06, y - size * 0.2, x + size * 0.06, y, BARK)
    for low, high, wide in ((0.12, 0.54, 0.36), (0.36, 0.78, 0.29), (0.6, 1.0, 0.2)):
        foot, peak = y - size * low, (x, y - size * high)
        painter.polygon([(x - size * wide, foot), peak, (x + size * wide, foot)], colour)
        shade = [(x + size * 0.05, foot), peak, (x + size * wide, foot)]
        painter.polygon(shade, darker(colour, 0.74))


def cloud(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A plump cloud with a flat foot, of the colour."""
    base = y - size * 0.25
    puffs = ((-0.34, 0.02, 0.17), (-0.12, 0.16, 0.24), (0.17, 0.13, 0.22), (0.37, 0.01, 0.15))
    for lift, tone in ((0.05, darker(colour, 0.8)), (0.0, colour)):
        for dx, dy, radius in puffs:
            painter.ellipse(
                x + dx * size, base - (dy - lift) * size, radius * size, radius * size, tone
            )
        level = base + lift * size
        painter.rectangle(
            x - size * 0.48, level - size * 0.02, x + size * 0.5, level + size * 0.15, tone, 7
        )
    painter.ellipse(
        x - 0.16 * size, base - 0.24 * size, 0.1 * size, 0.07 * size, lighter(colour, 0.5)
    )


def bird(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A plump bird looking left, with a raised wing; its feathers have the colour."""
    middle = y - size * 0.46
    tail = [(0.18, 0.02), (0.52, -0.16), (0.52, 0.04), (0.2, 0.16)]
    painter.polygon([(x + dx * size, middle + dy * size) for dx, dy in tail], darker(colour))
    for leg in (-0.08, 0.08):
        foot = (x + leg * size, middle + size * 0.4)
        painter.line([(x + leg * size, middle + size * 0.2), foot], (0.9, 0.55, 0.15), size * 0.045)
    painter.ellipse(x, middle, size * 0.3, size * 0.25, colour)
    painter.ellipse(x - size * 0.06, middle + size * 0.1, size * 0.2, size * 0.13, lighter(colour))
    beak = [(-0.4, -0.24), (-0.56, -0.17), (-0.38, -0.12)]
    painter.polygon([(x + dx * size, middle + dy * size) for dx, dy in beak], (0.98, 0.68, 0.15))
    painter.ellipse(x - size * 0.25, middle - size * 0.2, size * 0.18, size * 0.17, colour)
    wing = [(-0.1, -0.08), (0.3, -0.4), (0.26, 0.0), (0.1, 0.1)]
    painter.polygon([(x + dx * size, middle + dy * size) for dx, dy in wing], darker(colour, 0.66))
    painter.ellipse(x - size * 0.3, middle - size * 0.23, size * 0.05, size * 0.05, (1, 1, 1))
    painter.ellipse(x - size * 0.31, middle - size * 0.23, size * 0.03, size * 0.03, INK)


def fish(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A striped fish swimming left, of the colour."""
    middle = y - size * 0.4
    tail = [(0.2, 0.0), (0.54, -0.26), (0.44, 0.0), (0.54, 0.26)]
    painter.polygon([(x + dx * size, middle + dy * size) for dx, dy in tail], darker(colour))
    fin = [(-0.2, -0.2), (0.06, -0.4), (0.2, -0.14)]
    painter.polygon([(x + dx * size, middle + dy * size) for dx, dy in fin], darker(colour, 0.8))
    painter.ellipse(x - size * 0.08, middle, size * 0.38, size * 0.26, colour)
    painter.ellipse(x - size * 0.1, middle + size * 0.12, size * 0.26, size * 0.12, lighter(colour))
    for dx, tall in ((-0.06, 0.23), (0.12, 0.19)):
        left = x + dx * size
        painter.rectangle(
            left, middle - tall * size, left + size * 0.08, middle + tall * size, (1, 0.98, 0.92), 3
        )
    painter.ellipse(x - size * 0.28, middle - size * 0.06, size * 0.07, size * 0.07, (1, 1, 1))
    painter.ellipse(x - size * 0.29, middle - size * 0.06, size * 0.04, size * 0.04, INK)


def cat(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A sitting cat seen from the front, of the colour."""
    tail = np.linspace(-0.5, 1.6, 12)
    curl = [
        (x + size * (0.3 + 0.15 * np.cos(a)), y - size * (0.2 + 0.18 * np.sin(a))) for a in tail
    ]
    painter.line(curl, darker(colour), size * 0.09)
    painter.ellipse(x, y - size * 0.27, size * 0.27, size * 0.29, colour)
    painter.ellipse(x, y - size * 0.2, size * 0.13, size * 0.19, lighter(colour, 0.45))
    for side in (-1, 1):
        painter.ellipse(x + side * size * 0.13, y - size * 0.04, size * 0.1, size * 0.06, colour)
        ear = [(0.27, -0.72), (0.25, -0.99), (0.05, -0.88)]
        painter.polygon([(x + side * dx * size, y + dy * size) for dx, dy in ear], darker(colour))
    painter.ellipse(x, y - size * 0.68, size * 0.28, size * 0.23, colour)
    for side in (-1, 1):
        eye = (x + side * size * 0.11, y - size * 0.7)
        painter.ellipse(*eye, size * 0.055, size * 0.065, (0.85, 0.92, 0.35))
        painter.ellipse(*eye, size * 0.025, size * 0.055, INK)
    nose = [(-0.04, -0.62), (0.04, -0.62), (0.0, -0.57)]
    painter.polygon([(x + dx * size, y + dy * size) for dx, dy in nose], (0.85, 0.4, 0.45))


def flower(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A single flower on a stem with two leaves; its petals have the colour."""
    head, radius = y - size * 0.68, size * 0.19
    painter.line([(x, y), (x, head)], (0.24, 0.5, 0.2), size * 0.06)
    leaf = np.array([(0, 0), (0.12, -0.08), (0.34, -0.06), (0.16, 0.06)]) * size
    for side, low in ((1, 0.12), (-1, 0.2)):
        blade = leaf * np.array([side, 1]) + np.array([x, y - low * size])
        painter.polygon(blade, (0.33, 0.62, 0.26) if side > 0 else (0.26, 0.53, 0.22))
    for shrink, tone in ((1.0, darker(colour, 0.78)), (0.82, colour)):
        for turn in np.arange(6) * np.pi / 3:
            centre = (x + radius * np.cos(turn), head + radius * np.sin(turn))
            painter.ellipse(*centre, radius * 0.62 * shrink, radius * 0.62 * shrink, tone)
    heart = (0.99, 0.82, 0.25) if colour[2] > 0.3 else (0.5, 0.28, 0.12)
    painter.ellipse(x, head, radius * 0.55, radius * 0.55, heart)


def mushroom(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A toadstool; its spotted cap has the colour."""
    pale, rim = (0.96, 0.92, 0.83), y - size * 0.46
    stem = [(-0.11, -0.5), (0.11, -0.5), (0.17, 0.0), (-0.17, 0.0)]
    painter.polygon([(x + dx * size, y + dy * size) for dx, dy in stem], pale)
    shade = [(0.04, -0.5), (0.11, -0.5), (0.17, 0.0), (0.07, 0.0)]
    painter.polygon([(x + dx * size, y + dy * size) for dx, dy in shade], darker(pale, 0.82))
    dome = [
        (x + 0.48 * size * np.cos(a), rim - 0.5 * size * np.sin(a))
        for a in np.linspace(0, np.pi, 21)
    ]
    painter.polygon(dome, colour)
    painter.polygon([*dome[:8], (x + 0.2 * size, rim)], darker(colour, 0.8))
    painter.ellipse(x, rim, size * 0.46, size * 0.07, darker(pale, 0.85))
    for dx, dy, radius in ((-0.22, 0.16, 0.075), (0.02, 0.33, 0.09), (0.25, 0.15, 0.07)):
        painter.ellipse(x + dx * size, rim - dy * size, radius * size, radius * size * 0.9, pale)
