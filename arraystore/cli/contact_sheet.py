"""A sheet of small pictures with captions, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from arraystore.testing.pillow import require_pillow

__all__ = ["draw_contact_sheet"]

_PAPER, _INK, _PALE = (250, 250, 248), (34, 38, 42), (128, 132, 136)
_MARGIN, _GAP, _CAPTION, _TITLE = 28, 14, 44, 44


def draw_contact_sheet(
    pictures: npt.NDArray[Any], captions: Sequence[tuple[str, str]], path: Path, *, title: str, columns: int
) -> None:
    """Draw pictures in a grid, each with two lines below it.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (n, height, width, 3)
        In reading order.
    captions : sequence of (str, str)
        For each picture a main and a secondary line.
    path : pathlib.Path
        PNG file to write.
    title : str
        Line above the grid.
    columns : int
        Pictures in a row of the grid.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    """
    image_module = require_pillow()
    from PIL import ImageDraw, ImageFont

    count, height, width, _ = pictures.shape
    columns = max(1, min(columns, count))
    step_x, step_y = width + _GAP, height + _CAPTION + _GAP
    size = (2 * _MARGIN + columns * step_x - _GAP, 2 * _MARGIN + _TITLE + -(-count // columns) * step_y - _GAP)
    sheet = image_module.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    large, medium, small = (ImageFont.load_default(points) for points in (22, 16, 13))
    draw.text((_MARGIN, _MARGIN - 6), title, _INK, large)
    for index, (main, secondary) in enumerate(captions):
        left = _MARGIN + index % columns * step_x
        top = _MARGIN + _TITLE + index // columns * step_y
        sheet.paste(image_module.fromarray(pictures[index]), (left, top))
        draw.text((left, top + height + 4), main, _INK, medium)
        draw.text((left, top + height + 24), secondary, _PALE, small)
    sheet.save(path, optimize=True)
