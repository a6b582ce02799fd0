"""Synthetic JPEGs, each a pure function of its seed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from arraystore.testing.insects import ORDERS, draw_insect
from arraystore.testing.pillow import require_pillow

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ORDERS", "encode_jpeg", "insect_jpeg", "texture_jpeg"]


def encode_jpeg(picture: Image.Image, *, quality: int = 75, subsampling: str = "4:2:0", **options: Any) -> bytes:
    """Encode a picture as the published packages are: baseline, 4:2:0, quality 75, standard Huffman tables.

    Parameters
    ----------
    picture : PIL.Image.Image
        In mode RGB, L or CMYK.
    quality : int
        IJG quality, 1 to 95.
    subsampling : str
        ``"4:2:0"``, ``"4:2:2"`` or ``"4:4:4"``.
    **options
        Passed to Pillow's JPEG writer: `progressive`, `optimize`, `restart_marker_rows`, `exif` ...

    Returns
    -------
    bytes
        A whole JPEG file.
    """
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling=subsampling, **options)
    return file.getvalue()


def insect_jpeg(
    seed: int | tuple[int, ...], *, order: str | None = None, height: int = 256, width: int | None = None
) -> bytes:
    """Make a JPEG like those of ``cropped_256``: an insect on a light-grey tray, about 7 kB.

    Parameters
    ----------
    seed : int or tuple of int
        Everything about the picture follows from it.
    order : str, optional
        One of `ORDERS`; follows from the seed if not given.
    height, width : int, optional
        Size in pixels; the width follows from the seed if not given, 256 to 380.

    Returns
    -------
    bytes
        Baseline 4:2:0 JPEG of quality 75, ending in ``FF D9``.

    Raises
    ------
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> insect_jpeg(3) == insect_jpeg(3), insect_jpeg(3) == insect_jpeg(4)
    (True, False)
    """
    parts = (seed,) if isinstance(seed, int) else seed
    if width is None:
        width = int(np.random.default_rng((*parts, 1)).integers(256, 381))
    return encode_jpeg(draw_insect(parts, order=order, height=height, width=width))


def texture_jpeg(
    seed: int,
    *,
    height: int,
    width: int,
    mode: str = "RGB",
    quality: int = 75,
    subsampling: str = "4:2:0",
    **options: Any,
) -> bytes:
    """Make a JPEG of any size full of edges and colour, for tests of decoders.

    Parameters
    ----------
    seed : int
        Everything about the picture follows from it.
    height, width : int
        Size in pixels, at least 1.
    mode : str
        ``"RGB"``, ``"L"`` (one component) or ``"CMYK"``.
    quality, subsampling, **options
        As for `encode_jpeg`.

    Returns
    -------
    bytes
        A whole JPEG file.

    Raises
    ------
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> texture_jpeg(0, height=5, width=9)[:2].hex()
    'ffd8'
    """
    image_module = require_pillow()
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.empty((height, width, channels), np.float32)
    for channel in range(channels):
        rows, columns, phase = rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), rng.uniform(0, 6.3)
        waves[:, :, channel] = 128 + 90 * np.sin(rows * y + columns * x + phase)
    blocks = rng.integers(-40, 41, (height // 7 + 1, width // 7 + 1, channels)).repeat(7, 0).repeat(7, 1)
    pixels = np.clip(waves + blocks[:height, :width], 0, 255).astype(np.uint8)
    picture = image_module.frombytes(mode, (width, height), pixels.tobytes())
    return encode_jpeg(picture, quality=quality, subsampling=subsampling, **options)
