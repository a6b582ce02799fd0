"""Pictures of a record for a web page: its JPEG, or a PNG of its pixels or patches, within the page itself."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import ArrayStoreError
from arraystore.format.spec import Status
from arraystore.reader.records import Records

__all__ = ["gray", "picture_html", "png"]

# A JPEG up to this size is shown as it is; a larger one is decoded and made small.
_MOST_JPEG_NBYTES = 1 << 16

# Patches are shown from this to that percentile of their own values, as gray.
_PERCENTILES = (0.5, 99.8)


def picture_html(table: Records, row: int, side: int) -> str:
    """Return the pictures of a record, or why there are none.

    Parameters
    ----------
    table : Store or View
        Where the record is.
    row : int
        Its row there.
    side : int
        Longest side in pixels of the screen.

    Returns
    -------
    str
        Elements of HTML; what comes from the data is escaped.
    """
    try:
        if table._holds_arrays():
            arrays = table.arrays([row])
            found = arrays if isinstance(arrays, dict) else {table._array_names()[0]: arrays}
            return "".join(_image(png(gray(array[0])), "png", side, name) for name, array in found.items())
        jpeg = table.jpeg(row)
        # An image that no decoder takes must not be left to the browser.
        if len(jpeg) <= _MOST_JPEG_NBYTES and jpeg.startswith(b"\xff\xd8") and _is_sound(table, row):
            return _image(jpeg, "jpeg", side, table.keys[row])
        return _image(png(_thumbnail(table, row, side)), "png", side, table.keys[row])
    except (ArrayStoreError, OSError) as error:
        why = html.escape(str(error), quote=True)
        box = f"width:{side}px;height:{side // 2}px;border:1px dashed;opacity:0.6"
        return f'<div style="{box}" title="{why}">no image</div>'


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return a PNG of gray or RGB pixels.

    The format is a header and deflated rows: not worth a library that most users of a notebook may not have.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width) or (height, width, 3)

    Returns
    -------
    bytes
    """
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)
    # Each row begins with the number of its filter: none.
    rows[:, 1:] = pixels.reshape(height, -1)
    colour = 2 if pixels.ndim == 3 else 0
    header = struct.pack(">2I5B", width, height, 8, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def gray(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return an array as gray values, from the 0.5th to the 99.8th percentile of its finite values.

    Parameters
    ----------
    array : ndarray of numbers, any shape
        All axes but the first are laid side by side if there are more than two.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    values = np.atleast_2d(np.asarray(array, np.float64))
    flat = values.reshape(values.shape[0], -1)
    finite = flat[np.isfinite(flat)]
    if not finite.size:
        return np.zeros(flat.shape, np.uint8)
    low, high = np.percentile(finite, _PERCENTILES)
    # Infinite values are black or white, no number is black.
    clipped = np.clip(np.nan_to_num(flat, nan=low), low, high)
    gray: npt.NDArray[np.uint8] = ((clipped - low) / (high - low or 1.0) * 255).round().astype(np.uint8)
    return gray


def _is_sound(table: Records, row: int) -> bool:
    # A source that is opened as it is calls everything sound: no image of it was ever decoded.
    return table.handle.source is None and int(table.status[row]) in (Status.SOUND, Status.SOURCE_CORRUPT)


def _image(data: bytes, kind: str, side: int, title: str) -> str:
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    # As it is decoded here: a browser would turn a JPEG as its EXIF says.
    limits = f"max-width:{side}px;max-height:{side}px;image-orientation:none"
    return f'<img src="{source}" title="{html.escape(title, quote=True)}" style="{limits}">'


def _thumbnail(table: Records, row: int, side: int) -> npt.NDArray[np.uint8]:
    height, width = (int(length) for length in table.sizes([row])[0])
    if not height:
        # Raises what is wrong with it.
        height, width = table[row].shape[:2]
    shrink = max(height, width, side) / side
    size = (max(round(height / shrink), 1), max(round(width / shrink), 1))
    pixels: npt.NDArray[np.uint8] = table.read_boxes([row], [(0, 0, height, width)], size=size)[0]
    return pixels
