"""The contact sheet: rows of captioned pictures as one PNG, to be judged by eye."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...outputs import write_outputs
from .captioned import CaptionedPicture

_GAP = 10
_CAPTION_PX = 18
_TITLE_PX = 30
_ROW_WIDTH = 2200
_TALLEST = 192
_PAPER, _INK = (250, 248, 242), (40, 40, 40)


def coloured(labels: np.ndarray) -> np.ndarray:
    """Numbers [H, W] as colours that differ, uint8 [H, W, 3]."""
    hues = [colorsys.hsv_to_rgb(i * 0.381966 % 1, 0.55, 0.9) for i in range(labels.max() + 1)]
    return (np.array(hues) * 255).astype(np.uint8)[labels]


def save_sheet(path: Path, sections: Mapping[str, Sequence[Sequence[CaptionedPicture]]]) -> None:
    """Write titled sections; each has groups of pictures that stay together in a row."""
    lines: list[str | list[CaptionedPicture]] = []
    for title, groups in sections.items():
        lines += [title, *_flow(groups)]
    height = sum(_height(line) for line in lines) + _GAP
    width = max((_width(line) for line in lines if not isinstance(line, str)), default=0)
    sheet = Image.new("RGB", (width + 2 * _GAP, height), _PAPER)
    draw, top = ImageDraw.Draw(sheet), _GAP
    for line in lines:
        if isinstance(line, str):
            draw.text((_GAP, top), line, _INK, font=ImageFont.load_default(size=20))
        else:
            _draw_row(sheet, draw, line, top)
        top += _height(line)
    output = io.BytesIO()
    sheet.save(output, "PNG", optimize=True)
    write_outputs([(path, output.getvalue())])


def _flow(groups: Sequence[Sequence[CaptionedPicture]]) -> list[list[CaptionedPicture]]:
    """Groups side by side as long as they fit into a row."""
    rows: list[list[CaptionedPicture]] = []
    for group in groups:
        if rows and _width([*rows[-1], *group]) <= _ROW_WIDTH:
            rows[-1] += group
        else:
            rows.append(list(group))
    return rows


def _draw_row(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, row: list[CaptionedPicture], top: int
) -> None:
    left = _GAP
    for picture in row:
        image = Image.fromarray(picture.pixels)
        image = image.resize(_size(picture), Image.Resampling.LANCZOS)
        sheet.paste(image, (left, top + _CAPTION_PX))
        draw.text((left, top), picture.caption, _INK, font=ImageFont.load_default(size=12))
        left += max(image.width, round(draw.textlength(picture.caption) * 1.2)) + _GAP


def _size(picture: CaptionedPicture) -> tuple[int, int]:
    """(width, height): pictures taller than the sheet's rows are made smaller."""
    height, width = picture.pixels.shape[:2]
    scale = min(1, _TALLEST / height, _ROW_WIDTH / width)
    return round(width * scale), round(height * scale)


def _width(row: Sequence[CaptionedPicture]) -> int:
    return sum(max(_size(picture)[0], 7 * len(picture.caption)) + _GAP for picture in row)


def _height(line: str | Sequence[CaptionedPicture]) -> int:
    if isinstance(line, str):
        return _TITLE_PX
    return max(_size(picture)[1] for picture in line) + _CAPTION_PX + _GAP
