"""Harmonising (RePaint) at 0, 3 and 10: what shows of a border, what is painted, and what it costs.

A box is filled anew twice: with what is around it, where only its outline could show, and with
another material, where the words have to win against what is around. A picture grows on both sides.
"""

from __future__ import annotations

import numpy as np

from tapestry_protocol.messages import PixelsRef, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels

from ..common.prompts import even_textures
from ..metrics.seams import seam_ratio
from .brush import means
from .captioned import CaptionedPicture
from .seams import box_ratio, pasted
from .workbench import Measured, Workbench

_TIMES = (0, 3, 10)

_INSIDE_PX = 8
"""So far inside of the box is judged what it shows."""


def measure_harmonising(bench: Workbench) -> Measured:
    """Fills and extensions of the same pictures and seeds, by how often they are harmonised."""
    names = even_textures(bench.painter.settings.model)
    count = 2 if bench.scope.quick else len(names)
    bench.say(f"harmonising: {count} fills, fills with another material, and extensions")
    found: dict[str, list[float]] = {}
    rows = []
    for number in range(count):
        case = _Case(bench, names[number % len(names)], 59_000 + 10 * number)
        row = [CaptionedPicture(case.now, case.old[..., :3])]
        plain: float | None = None
        for times in _TIMES:
            case.evaluations = 0
            kinds = case.border(times), case.words(times), case.extension(times)
            for name, (value, _) in zip(("border", "adherence", "extension"), kinds, strict=True):
                found.setdefault(f"{name}_{times}", []).append(value)
            plain = plain or case.evaluations
            found.setdefault(f"evaluations_{times}", []).append(case.evaluations / plain)
            said = " ".join(f"{value:.2f}" for value, _ in kinds)
            row += [CaptionedPicture(f"{times}: {said}", shown) for _, shown in kinds]
        rows.append(row)
    figures, errors = means(found)
    return Measured(figures, rows, errors)


class _Case:
    """A picture of one material, two windows wide, with a box in its middle.

    Its sides lie on no border of cells, as a painter's selection.
    """

    def __init__(self, bench: Workbench, now: str, seed: int) -> None:
        self._bench = bench
        self.now = now
        self._seed = seed
        side = self._side = bench.painter.window_px
        self._box = Bounds(side // 4 + 3, side * 3 // 4 - 5, side * 3 // 4 + 3, side * 5 // 4 - 5)
        others = [name for name in bench.prompts if name != now]
        self._wanted = others[seed // 10 % len(others)]
        self.old = bench.painter.paint(bench.painter.request(side, 2 * side, now, seed))
        self.evaluations = 0
        """Rows that have gone through the model since this was set to 0."""

    def border(self, times: int) -> tuple[float, np.ndarray]:
        """Change across the outline of the box over that elsewhere, filled with the same."""
        picture = self._filled(self.now, times)
        return box_ratio(picture, self._box, self._bench.painter.model.cell_px), picture

    def words(self, times: int) -> tuple[float, np.ndarray]:
        """The share of patches inside of it that show another material, filled with that."""
        picture, box = self._filled(self._wanted, times), self._box
        inside = picture[
            box.top + _INSIDE_PX : box.bottom - _INSIDE_PX,
            box.left + _INSIDE_PX : box.right - _INSIDE_PX,
        ]
        right = self._bench.prompts.index(self._wanted)
        return float((self._bench.judge.name(inside) == right).mean()), picture

    def extension(self, times: int) -> tuple[float, np.ndarray]:
        """Change across the borders of its middle over that elsewhere, grown on both sides."""
        side, margin, cell = self._side, self._side // 2, self._bench.painter.model.cell_px
        old = np.ascontiguousarray(self.old[:, margin : margin + side])
        pixels = Pixels(side, side, 4, old.tobytes())
        request = self._bench.painter.request(
            *(side, side, self.now, self._seed + 2),
            task="extend",
            margins=Margins(left=margin, right=margin),
            image=PixelsRef.of(pixels),
            harmonise=times,
        )
        picture = self._painted(request, pixels)[..., :3].copy()
        picture[:, margin : margin + side] = old[..., :3]
        return seam_ratio(picture, [margin, margin + side], cell), picture

    def _filled(self, prompt: str, times: int) -> np.ndarray:
        """The picture with the box filled, uint8 [H, W, 3]."""
        box, side = self._box, self._side
        mask = Pixels(box.height, box.width, 1, b"\xff" * (box.height * box.width))
        pixels = Pixels(side, 2 * side, 4, self.old.tobytes())
        request = self._bench.painter.request(
            *(side, 2 * side, prompt, self._seed + 1),
            task="fill",
            image=PixelsRef.of(pixels),
            selection=Selection(box, PixelsRef.of(mask)),
            harmonise=times,
        )
        return pasted(self.old, self._painted(request, pixels, mask))

    def _painted(self, request: Request, *pixels: Pixels) -> np.ndarray:
        """The result of a request, uint8 [H, W, 4], its evaluations counted."""
        blobs = {each.sha256: each.data for each in pixels}
        picture, report = self._bench.painter.finish(request, blobs)
        self.evaluations += report["unet_evaluations"]
        return picture
