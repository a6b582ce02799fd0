"""The codec ``arraystore.jpeg`` of Zarr v3, for zarr-python: a chunk is a JPEG file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin
from zarr.registry import register_codec

from arraystore.errors import InvalidRequestError
from arraystore.integrations.jpeg_chunks import CODEC_NAME, Box, Pixels, decode_jpegs, frame_size, refuse_to_encode

if TYPE_CHECKING:
    from zarr.abc.store import ByteGetter
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer
    from zarr.core.chunk_grids import ChunkGrid
    from zarr.core.dtype.wrapper import TBaseDType, TBaseScalar, ZDType

__all__ = ["JpegCodec"]

# What zarr-python indexes a chunk with: slices, integers and integer arrays.
_Selection: TypeAlias = Any


@dataclass(frozen=True)
class JpegCodec(ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin):
    """Decodes a chunk ``(1, height, width, 3)`` of uint8 that is stored as a JPEG file.

    An image smaller than the chunk stands in its upper left corner; the rest is the fill value of the array. Grayscale
    becomes RGB. Of a chunk, only what is selected is decoded, and of several chunks that zarr-python gives at once
    (``codec_pipeline.batch_size``) all are decoded by one call, in parallel.

    It has no configuration, and does not encode.

    Examples
    --------
    >>> JpegCodec().to_dict()
    {'name': 'arraystore.jpeg'}
    """

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make the codec of a named configuration of Zarr v3.

        Raises
        ------
        InvalidRequestError
            If it is that of another codec, or configures something.
        """
        if data.get("name") != CODEC_NAME or data.get("configuration"):
            raise InvalidRequestError(f"expected the codec {CODEC_NAME!r} without configuration, found {data}")
        return cls()

    def to_dict(self) -> dict[str, Any]:
        """Return the named configuration of Zarr v3."""
        return {"name": CODEC_NAME}

    def validate(
        self, *, shape: tuple[int, ...], dtype: ZDType[TBaseDType, TBaseScalar], chunk_grid: ChunkGrid
    ) -> None:
        """Compare an array's form with what a JPEG can hold.

        Raises
        ------
        InvalidRequestError
            If it is not of uint8, or its chunks are not ``(1, height, width, 3)`` in any order of the axes: another
            codec may move them.
        """
        if dtype.to_native_dtype() != np.uint8:
            raise InvalidRequestError(f"{CODEC_NAME}: expected an array of uint8, found {dtype.to_native_dtype()}")
        chunk = getattr(chunk_grid, "chunk_shape", shape)
        sides = sorted(chunk)
        if 3 in sides:
            sides.remove(3)
            frame_size((*sides, 3))
        else:
            frame_size(chunk)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Say that the size of a JPEG does not follow from that of its pixels."""
        raise NotImplementedError

    async def decode(self, chunks_and_specs: Iterable[tuple[Buffer | None, ArraySpec]]) -> list[NDBuffer | None]:
        """Decode whole chunks; documented in zarr-python."""
        jobs = [_Job(chunk, spec) for chunk, spec in chunks_and_specs]
        return await asyncio.to_thread(_decode, jobs)

    async def decode_partial(
        self, batch_info: Iterable[tuple[ByteGetter, _Selection, ArraySpec]]
    ) -> list[NDBuffer | None]:
        """Fetch chunks and decode what is selected of them; documented in zarr-python."""
        given = list(batch_info)
        # Bytes of a local store are fetched where they are decoded: that waits for files, and not for an event loop.
        if all(hasattr(getattr(getter, "store", None), "get_sync") for getter, _, _ in given):
            return await asyncio.to_thread(_fetch_and_decode, given)
        chunks = await asyncio.gather(*(getter.get(spec.prototype) for getter, _, spec in given))
        jobs = [_Job(chunk, spec, *rest) for chunk, (*rest, spec) in zip(chunks, given, strict=True)]
        return await asyncio.to_thread(_decode, jobs)

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:  # noqa: ARG002
        refuse_to_encode()


class _Job:
    """A chunk and what is wanted of it."""

    def __init__(
        self, chunk: Buffer | None, spec: ArraySpec, getter: ByteGetter | None = None, selection: _Selection = ...
    ) -> None:
        self.chunk, self.spec, self.getter = chunk, spec, getter
        self.size = frame_size(spec.shape)
        self.box, self.selection = _box_of(selection, spec.shape)

    @property
    def name(self) -> Any:
        getter: Any = self.getter
        if not hasattr(getter, "store"):
            return "a chunk of the array"
        # The stores of this package know the record.
        return getter.store.chunk_name(getter.path) if hasattr(getter.store, "chunk_name") else f"chunk {getter}"

    def result(self, pixels: Pixels) -> NDBuffer:
        """Return what of the decoded box was selected."""
        leading = (1,) * (len(self.spec.shape) - 3)
        selected = pixels.reshape(leading + pixels.shape)[self.selection]
        return self.spec.prototype.nd_buffer.from_numpy_array(np.asarray(selected))


def _fetch_and_decode(given: Sequence[tuple[Any, _Selection, ArraySpec]]) -> list[NDBuffer | None]:
    chunks = [getter.store.get_sync(getter.path, prototype=spec.prototype) for getter, _, spec in given]
    return _decode([_Job(chunk, spec, *rest) for chunk, (*rest, spec) in zip(chunks, given, strict=True)])


def _decode(jobs: Sequence[_Job]) -> list[NDBuffer | None]:
    results: list[NDBuffer | None] = [None] * len(jobs)
    alike: dict[tuple[tuple[int, int], int], list[int]] = {}
    for index, job in enumerate(jobs):
        if job.chunk is not None:
            alike.setdefault((job.size, int(job.spec.fill_value or 0)), []).append(index)
    for (size, fill), indices in alike.items():
        present = [jobs[index] for index in indices]
        jpegs = [job.chunk.to_bytes() for job in present if job.chunk is not None]
        names = _Names(present)
        decoded = decode_jpegs(jpegs, [job.box for job in present], size=size, fill=fill, name=names)
        for index, pixels in zip(indices, decoded, strict=True):
            results[index] = jobs[index].result(pixels)
    return results


class _Names:
    """The name of a job by its number, made only for a message."""

    def __init__(self, jobs: Sequence[_Job]) -> None:
        self._jobs = jobs

    def __call__(self, index: int) -> str:
        return str(self._jobs[index].name)


def _box_of(selection: _Selection, shape: Sequence[int]) -> tuple[Box, _Selection]:
    """Return the smallest box of a chunk with all that is selected, and the selection in that box.

    Examples
    --------
    >>> _box_of((0, slice(10, 20), 5, slice(None)), (1, 100, 200, 3))
    ((10, 5, 10, 1), (0, slice(0, 10, 1), 0, slice(None, None, None)))
    """
    height, width = shape[-3], shape[-2]
    if not isinstance(selection, tuple) or len(selection) != len(shape):
        return (0, 0, height, width), selection
    *leading, rows, columns, channels = selection
    top, bottom, rows = _bounds(rows, height)
    left, right, columns = _bounds(columns, width)
    return (top, left, bottom - top, right - left), (*leading, rows, columns, channels)


def _bounds(index: Any, length: int) -> tuple[int, int, Any]:
    """First and last (exclusive) that an index of one axis selects, and the index counted from the first."""
    if isinstance(index, slice):
        start, stop, step = index.indices(length)
        if step > 0 and stop > start:
            return start, stop, slice(0, stop - start, step)
    elif isinstance(index, int | np.integer) and not isinstance(index, bool) and 0 <= index < length:
        return int(index), int(index) + 1, 0
    elif isinstance(index, np.ndarray) and index.dtype.kind in "iu" and index.size and index.min() >= 0:
        first, last = int(index.min()), int(index.max())
        if last < length:
            return first, last + 1, index - first
    return 0, length, index


# Where the package is not installed, there is no entry point that zarr-python could find it by.
register_codec(CODEC_NAME, JpegCodec)
