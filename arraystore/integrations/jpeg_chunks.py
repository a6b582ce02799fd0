"""Bytes of JPEGs to the chunks of an array, for the codecs of zarr-python and numcodecs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import DecodeError, InternalError, InvalidRequestError
from arraystore.threads import thread_count

__all__ = [
    "CODEC_NAME",
    "Box",
    "Pixels",
    "checked_fill",
    "checked_size",
    "decode_jpegs",
    "frame_size",
    "image_size",
    "refuse_to_encode",
]

CODEC_NAME = "arraystore.jpeg"

Pixels: TypeAlias = npt.NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int, int]

# The core decodes no larger image, so a larger chunk would be memory for nothing.
_MOST_PIXELS = 1 << 28


def frame_size(shape: Sequence[int], what: str = "chunks") -> tuple[int, int]:
    """Return height and width of a chunk of one image.

    Parameters
    ----------
    shape : sequence of int
        ``(1, ..., 1, height, width, 3)``.
    what : str
        What has this shape, for the message.

    Returns
    -------
    tuple of int
        ``(height, width)``.

    Raises
    ------
    InvalidRequestError
        If it is no such shape, or has more than 2^28 pixels.

    Examples
    --------
    >>> frame_size((1, 256, 341, 3))
    (256, 341)
    """
    if len(shape) < 3 or shape[-1] != 3 or any(length != 1 for length in shape[:-3]) or 0 in shape:
        raise InvalidRequestError(
            f"{CODEC_NAME}: expected {what} of one RGB image, (1, height, width, 3), found {tuple(shape)}"
        )
    if shape[-3] * shape[-2] > _MOST_PIXELS:
        raise InvalidRequestError(
            f"{CODEC_NAME}: expected {what} of at most {_MOST_PIXELS:,} pixels, found {shape[-3]} x {shape[-2]}"
        )
    return shape[-3], shape[-2]


def checked_size(size: Any) -> tuple[int, int]:
    """Return ``(height, width)`` in pixels as a caller gave it.

    Raises
    ------
    InvalidRequestError
        If it is not two whole numbers that a JPEG can have, or has more than 2^28 pixels.

    Examples
    --------
    >>> checked_size([256, 400])
    (256, 400)
    """
    try:
        height, width = (operator.index(length) for length in size)
    except (TypeError, ValueError):
        height = width = 0
    if not (1 <= height <= 65_535 and 1 <= width <= 65_535):
        raise InvalidRequestError(f"size={size!r}: expected (height, width) in pixels, each from 1 to 65,535")
    if height * width > _MOST_PIXELS:
        raise InvalidRequestError(
            f"size={(height, width)}: expected at most {_MOST_PIXELS:,} pixels, found {height * width:,}; give a "
            "smaller size, or select images that are alike in size"
        )
    return height, width


def checked_fill(fill_value: Any) -> int:
    """Return a fill value as a caller gave it.

    Raises
    ------
    InvalidRequestError
        If it is no whole number from 0 to 255.
    """
    try:
        value = operator.index(fill_value)
    except TypeError:
        value = -1
    if not 0 <= value <= 255:
        raise InvalidRequestError(f"fill_value={fill_value!r}: expected a whole number from 0 to 255")
    return value


def decode_jpegs(
    jpegs: Sequence[bytes], boxes: Sequence[Box], *, size: tuple[int, int], fill: int, name: Callable[[int], str]
) -> list[Pixels]:
    """Decode one box of each chunk, by as many threads as `arraystore.threads.thread_count` says.

    Parameters
    ----------
    jpegs : sequence of bytes
        A whole JPEG each.
    boxes : sequence of tuple of int
        ``(top, left, height, width)`` in pixels of the chunks, and inside them.
    size : tuple of int
        ``(height, width)`` of the chunks. An image stands in the upper left corner of its chunk.
    fill : int
        Value from 0 to 255 of what the image does not cover.
    name : callable
        Gives what to call a chunk in a message, by its number.

    Returns
    -------
    list of ndarray of uint8, shape (height, width, 3)
        RGB, as libjpeg-turbo decodes by default.

    Raises
    ------
    DecodeError
        If one is no JPEG that can be decoded.
    InvalidRequestError
        If an image is larger than `size`.
    """
    decoded, failed = _core.decode_chunks(jpegs, boxes, size=size, fill=fill, threads=thread_count())
    if failed is not None:
        index, code, problem = failed
        if code == "decode":
            raise DecodeError(f"{name(index)}: {problem}")
        if code == "image-too-large":
            raise InvalidRequestError(f"{name(index)}: {problem}; the array needs a larger height and width", code)
        raise InternalError(f"{name(index)}: {problem}")
    return [np.asarray(pixels) for pixels in decoded]


def image_size(jpeg: bytes) -> tuple[int, int]:
    """Return ``(height, width)`` of a JPEG, from its header.

    Raises
    ------
    DecodeError
        If there is no header that can be read.
    """
    height, width, problem = _core.jpeg_size(jpeg)
    if problem is not None:
        raise DecodeError(f"cannot decode the JPEG: {problem}")
    return height, width


def refuse_to_encode() -> NoReturn:
    """Say why nothing is written.

    Raises
    ------
    InvalidRequestError
        Always.
    """
    raise InvalidRequestError(
        f"{CODEC_NAME} only decodes, since JPEG would change the pixels: write the bytes of JPEG files as the chunks, "
        "or choose another codec for pixels",
        "read-only",
    )
