"""The images of a store as one array of zarr-python, decoded when they are read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import zarr
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline

import arraystore
from arraystore.errors import InvalidRequestError, MissingImageError
from arraystore.integrations.jpeg_chunks import checked_fill, checked_size
from arraystore.integrations.zarr_codec import JpegCodec

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["PixelsStore", "pixels"]

Records: TypeAlias = "arraystore.Store | arraystore.View"

# The array in its group: xarray opens groups, and calls a variable as the array is called.
_ARRAY = "image"
_DIMENSIONS = ("record", "y", "x", "channel")
_LAST = ("0", "0", "0")

# Zarr-python by itself decodes one chunk a call.
_BATCH_CHUNKS = 32


def pixels(
    records: Records, *, size: tuple[int, int] | None = None, fill_value: int = 0, verify: bool = True
) -> zarr.Array[Any]:
    """Return the images of a store or view as a Zarr array of pixels, with nothing copied or decoded yet.

    The array is read-only, and has a chunk for each record: its JPEG. What is read is decoded then, and no more than
    what is selected. It can be pickled, used by several threads, and opened by dask, xarray and napari.

    dask makes a task of each chunk unless it is told otherwise, which takes it seconds a million. So give it several
    records at once: ``dask.array.from_zarr(array, chunks=(256, -1, -1, -1))``, ``xarray.open_zarr(array.store,
    consolidated=False, chunks={"record": 256})``. With ``chunks=None`` xarray does without dask.

    Parameters
    ----------
    records : Store or View
        With a field of images.
    size : tuple of int, optional
        ``(height, width)`` of the array in pixels; those of the largest image if not given, for which the sizes of all
        images are read. Of a source that is opened as it is, these are in the headers of its files, so give the size.
    fill_value : int, default 0
        From 0 to 255: what an image does not cover at the bottom and right, and all of a record without an image.
    verify : bool, default True
        Compare the bytes of each image with their checksum.

    Returns
    -------
    zarr.Array of uint8, shape (n, height, width, 3)
        ``array.store.records`` is the store or view, with the keys, sizes and columns of the rows.

    Raises
    ------
    InvalidRequestError
        If an argument is wrong; if there are no images, and no `size` is given.

        Reading raises what ``records[row]`` does for an image that is damaged or cannot be decoded, and
        InvalidRequestError, which names the record, for one that is larger than `size`. What of an array had been read
        until then is not returned. ``records.select(records.status < 2)`` leaves out all that an ingest found to be
        undecodable.

    Examples
    --------
    >>> import arraystore
    >>> store = arraystore.open("cropped_256.zarr")
    >>> array = arraystore.pixels(store, size=(256, 400))
    >>> array.shape, array.dtype, array.chunks
    ((200, 256, 400, 3), dtype('uint8'), (1, 256, 400, 3))
    >>> height, width = store.sizes([5])[0]
    >>> bool((array[5, :height, :width] == store[5]).all())
    True
    """
    if not isinstance(records, arraystore.Store | arraystore.View):
        raise InvalidRequestError(f"records: expected a store or a view of arraystore, found {type(records).__name__}")
    store = PixelsStore(records, _largest(records) if size is None else size, fill_value=fill_value, verify=verify)
    array = zarr.open_array(store, path=_ARRAY, mode="r")
    _decode_in_batches(array)
    return array


def _decode_in_batches(array: zarr.Array[Any]) -> None:
    """Let many chunks be decoded by one call.

    The configuration of zarr-python would do it too, but for all arrays of the process. It is only a matter of speed,
    so another pipeline, which the user has chosen, is left as it is.
    """
    pipeline = array.async_array.codec_pipeline
    if type(pipeline) is BatchedCodecPipeline and pipeline.batch_size < _BATCH_CHUNKS:
        object.__setattr__(array.async_array, "codec_pipeline", replace(pipeline, batch_size=_BATCH_CHUNKS))


def _largest(records: Records) -> tuple[int, int]:
    sizes = records.sizes()
    height, width = sizes.max(axis=0, initial=0).tolist()
    if not height:
        raise InvalidRequestError(
            f"{records!r} has no image that can be decoded, so there is no largest: give size=(height, width)"
        )
    return height, width


class PixelsStore(Store):
    """A read-only store of zarr-python: a group with one array ``image``, whose chunks are the JPEGs of records.

    Parameters
    ----------
    records : Store or View
        The images.
    size : tuple of int
        ``(height, width)`` of the array in pixels.
    fill_value : int, default 0
        From 0 to 255.
    verify : bool, default True
        Compare the bytes of each image with their checksum.

    Attributes
    ----------
    records : Store or View
        As given.
    size : tuple of int
        As given.

    Raises
    ------
    InvalidRequestError
        If an argument is wrong.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, records: Records, size: tuple[int, int], *, fill_value: int = 0, verify: bool = True) -> None:
        super().__init__(read_only=True)
        self.records = records
        self.size = checked_size(size)
        self._fill_value = checked_fill(fill_value)
        self._verify = verify
        self._documents = {"zarr.json": _group_document(), f"{_ARRAY}/zarr.json": self._array_document()}

    def _array_document(self) -> bytes:
        shape = [*self.size, 3]
        return _json(
            {
                "zarr_format": 3,
                "node_type": "array",
                "shape": [len(self.records), *shape],
                "data_type": "uint8",
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, *shape]}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                "fill_value": self._fill_value,
                "codecs": [JpegCodec().to_dict()],
                "dimension_names": _DIMENSIONS,
                "attributes": {},
            }
        )

    def __str__(self) -> str:
        return f"arraystore://{self.records.handle.path}"

    def __repr__(self) -> str:
        return f"PixelsStore({self.records!r}, size={self.size})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PixelsStore)
            and self._documents == other._documents
            and self.records.handle.path == other.records.handle.path
            and np.array_equal(_store_rows(self.records), _store_rows(other.records))
        )

    # Defining __eq__ takes it away; dask and zarr-python keep stores as keys.
    __hash__ = object.__hash__

    def with_read_only(self, read_only: bool = False) -> PixelsStore:
        """Return this store, which is read-only.

        Raises
        ------
        InvalidRequestError
            If a writable one is wanted.
        """
        if not read_only:
            raise InvalidRequestError("the images of a store are read-only", "read-only")
        return self

    def chunk_name(self, key: str) -> str:
        """Return what to call a chunk in a message: its record."""
        row = self._row(key)
        return key if row is None else f"record {self.records.keys[row]}"

    def _row(self, key: str) -> int | None:
        """Row of a chunk; None if it is no chunk of the array."""
        array, chunk, number, *last = key.split("/") if key.count("/") == 5 else ["", "", ""]
        canonical = number.isascii() and number.isdigit() and len(number) < 19 and str(int(number)) == number
        if (array, chunk) != (_ARRAY, "c") or tuple(last) != _LAST or not canonical:
            return None
        return int(number) if int(number) < len(self.records) else None

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the bytes of a key, or None if there is none; documented in zarr-python."""
        value = self._documents.get(key)
        if value is None:
            row = self._row(key)
            if row is None:
                return None
            try:
                value = self.records.jpeg(row, verify=self._verify)
            except MissingImageError:
                return None
        return (prototype or default_buffer_prototype()).buffer.from_bytes(_part(value, byte_range))

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """As `get_sync`."""
        return self.get_sync(key, prototype=prototype, byte_range=byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """As `get_sync`, for several keys."""
        return [self.get_sync(key, prototype=prototype, byte_range=part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether there is such a key; documented in zarr-python."""
        return self.get_sync(key) is not None

    async def set(self, key: str, value: Buffer) -> None:  # noqa: ARG002
        """Refuse to write."""
        self._check_writable()

    async def delete(self, key: str) -> None:  # noqa: ARG002
        """Refuse to delete."""
        self._check_writable()

    async def list(self) -> AsyncIterator[str]:
        """List all keys; documented in zarr-python."""
        for key in self._keys():
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """List the keys that begin with a prefix; documented in zarr-python."""
        for key in self._keys():
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """List what is directly below a prefix; documented in zarr-python."""
        folder = prefix.strip("/")
        # Without a look at the records: who opens the group asks for these two.
        few = {"": ["zarr.json", _ARRAY], _ARRAY: ["zarr.json", "c"] if len(self.records) else ["zarr.json"]}
        if folder in few:
            for name in few[folder]:
                yield name
            return
        below = f"{folder}/"
        for name in dict.fromkeys(key[len(below) :].split("/")[0] for key in self._keys() if key.startswith(below)):
            yield name

    def _keys(self) -> Iterator[str]:
        yield from self._documents
        missing = 1  # of arraystore.format.spec.Status
        for row in np.flatnonzero(self.records.status != missing):
            yield "/".join((_ARRAY, "c", str(row), *_LAST))


def _store_rows(records: Records) -> Any:
    return np.arange(len(records)) if records.selected_rows is None else records.selected_rows


def _part(value: bytes, byte_range: ByteRequest | None) -> bytes:
    match byte_range:
        case RangeByteRequest(start, end):
            return value[start:end]
        case OffsetByteRequest(offset):
            return value[offset:]
        case SuffixByteRequest(suffix):
            return value[-suffix:] if suffix else b""
    return value


def _group_document() -> bytes:
    return _json({"zarr_format": 3, "node_type": "group", "attributes": {}})


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
