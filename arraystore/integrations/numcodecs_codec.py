"""The codec ``arraystore.jpeg`` of numcodecs, for arrays of Zarr v2 and references to files: a chunk is a JPEG file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_bytes, ensure_contiguous_ndarray
from numcodecs.registry import register_codec

from arraystore.errors import InvalidRequestError
from arraystore.integrations.jpeg_chunks import (
    CODEC_NAME,
    Pixels,
    checked_fill,
    checked_size,
    decode_jpegs,
    image_size,
    refuse_to_encode,
)

__all__ = ["JpegCodec"]


class JpegCodec(Codec):  # type: ignore[misc]
    """Decodes chunks ``(1, height, width, 3)`` of uint8 that are stored as JPEG files.

    Parameters
    ----------
    size : sequence of int, optional
        ``(height, width)`` of the chunks, in pixels. A smaller image stands in the upper left corner; numcodecs tells a
        codec nothing of chunks, so this is needed where images differ in size. That of each image if not given.
    fill_value : int, default 0
        From 0 to 255: what is not covered by the image.

    Raises
    ------
    InvalidRequestError
        If an argument is not as above.

    Examples
    --------
    >>> JpegCodec(size=(256, 400)).get_config()
    {'id': 'arraystore.jpeg', 'size': [256, 400], 'fill_value': 0}
    """

    codec_id = CODEC_NAME

    def __init__(self, size: Sequence[int] | None = None, fill_value: int = 0) -> None:
        # A list, as JSON has it: configurations are compared.
        self.size = None if size is None else list(checked_size(size))
        self.fill_value = checked_fill(fill_value)

    def encode(self, buf: Any) -> Any:  # noqa: ARG002
        """Refuse: the codec only decodes.

        Raises
        ------
        InvalidRequestError
            Always.
        """
        refuse_to_encode()

    def decode(self, buf: Any, out: Any = None) -> Pixels:
        """Decode one chunk.

        Parameters
        ----------
        buf : bytes-like
            A JPEG file.
        out : array, optional
            Writable memory of ``height * width * 3`` bytes.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            RGB; `out` has the same if it is given.

        Raises
        ------
        DecodeError
            If it is no JPEG that can be decoded.
        InvalidRequestError
            If the image is larger than `size`, or `out` is of another size.
        """
        jpeg = bytes(ensure_bytes(buf))
        height, width = image_size(jpeg) if self.size is None else self.size
        box = (0, 0, height, width)
        (pixels,) = decode_jpegs([jpeg], [box], size=(height, width), fill=self.fill_value, name=lambda _: "a chunk")
        if out is not None:
            memory = ensure_contiguous_ndarray(out).view(np.uint8)
            if memory.size != pixels.size:
                raise InvalidRequestError(f"out: expected {pixels.size} bytes for {pixels.shape}, found {memory.size}")
            memory[:] = pixels.reshape(-1)
        return pixels


# Where the package is not installed, there is no entry point that numcodecs could find it by.
register_codec(JpegCodec)
