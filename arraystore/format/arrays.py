"""The arrays of a store as Zarr v3 documents: what format 1 writes, and the check that a store has just that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import FormatError
from arraystore.format.codecs import codec_document
from arraystore.format.layout import CHUNK_NBYTES
from arraystore.format.spec import FieldKind, FieldSpec

INDEX_SHARD_ROWS = 1_048_576
INDEX_CHUNK_ROWS = 16_384

RAGGED_DTYPES: Mapping[str, str] = {"data": "uint8", "offset": "uint64", "nbytes": "uint32", "crc32c": "uint32"}
IMAGE_DTYPES: Mapping[str, str] = {**RAGGED_DTYPES, "height": "uint16", "width": "uint16", "status": "uint8"}
# Which item each record has, and what is known of each item. The type of `data` is that of the field.
ARRAY_DTYPES: Mapping[str, str] = {"data": "", "row": "uint32", "crc32c": "uint32", "status": "uint8"}
# `row` of a record that has no item.
NO_ITEM = 2**32 - 1
# Where an image lies in a source that is opened as it is, and what is known of it: an index has no `data`.
PLACE_DTYPES: Mapping[str, str] = {
    "source": "uint16",
    "offset": "uint64",
    "stored_nbytes": "uint64",
    "nbytes": "uint32",
    "encoding": "uint8",
    "crc32": "uint32",
    "height": "uint16",
    "width": "uint16",
    "status": "uint8",
}
# Those of `encoding` that are members of zip archives, which have checksums.
ZIP_ENCODINGS = (1, 2)
KEY_DTYPES: Mapping[str, str] = {**RAGGED_DTYPES, "hash": "uint64", "row": "uint32"}

# Directory of an array that holds its shards: the prefix of the default chunk key encoding.
CHUNKS = "c"

_INDEX_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
_NO_CHUNK = 2**64 - 1
# A hostile document could otherwise ask for more names of shards than there is memory.
_MAX_SHARDS = 2**24
_MAX_NBYTES = 2**62


@dataclass(frozen=True, slots=True)
class ArrayForm:
    """One sharded array of one dimension, or of items of one shape along its first.

    Parameters
    ----------
    dtype : str
        Zarr name of the type, such as `uint64`.
    length : int
        Number of elements, or of items.
    shard_length, chunk_length : int
        Of these, in a shard and in an inner chunk; the first is a multiple of the second.
    item_shape : tuple of int
        Shape of an item; none for plain elements.
    codec : mapping, optional
        The Zarr codec that compresses each inner chunk.
    ends : tuple of int, default empty
        Where the parts end that the array has grown by, if it has: each began at the border of two shards.
    """

    dtype: str
    length: int
    shard_length: int
    chunk_length: int
    item_shape: tuple[int, ...] = ()
    codec: Mapping[str, Any] | None = None
    ends: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.length < 0 or self.chunk_length < 1 or self.shard_length < 1 or self.shard_length % self.chunk_length:
            raise FormatError(
                f"{self.length} elements in shards of {self.shard_length} and chunks of {self.chunk_length}: "
                "expected a shard of whole chunks"
            )
        if self.shard_count > _MAX_SHARDS:
            raise FormatError(f"{self.length} elements in {self.shard_count} shards: expected at most {_MAX_SHARDS}")
        last_shards = [(end - 1) // self.shard_length for end in self.ends if end > 0]
        is_ascending = len(last_shards) == len(self.ends) and last_shards == sorted(set(last_shards))
        if self.ends and (self.ends[-1] != self.length or not is_ascending):
            raise FormatError(
                f"segments {list(self.ends)} of {self.length} elements: expected each in shards of its own"
            )
        if max(self.length, self.shard_length) * self.item_nbytes > _MAX_NBYTES:
            raise FormatError(f"{self.length} items of {self.item_nbytes} bytes: expected at most {_MAX_NBYTES} bytes")

    @classmethod
    def data(cls, total_nbytes: int, shard_nbytes: int) -> ArrayForm:
        """Form of a `data` array."""
        return cls("uint8", total_nbytes, shard_nbytes, CHUNK_NBYTES)

    @classmethod
    def index(cls, dtype: str, n: int) -> ArrayForm:
        """Form of an array with one number for each record."""
        return cls(dtype, n, INDEX_SHARD_ROWS, INDEX_CHUNK_ROWS)

    @classmethod
    def items(cls, field: FieldSpec, count: int, shard_items: int) -> ArrayForm:
        """Form of the `data` array of a field of arrays: an item is an inner chunk."""
        codec = None if field.codec is None else codec_document(field.codec, str(field.dtype))
        return cls(str(field.dtype), count, shard_items, 1, field.shape, codec)

    @property
    def item_nbytes(self) -> int:
        """Bytes of one element or item."""
        return math.prod(self.item_shape) * np.dtype(self.dtype).itemsize

    @property
    def shard_nbytes(self) -> int:
        """Bytes of payload in a full shard."""
        return self.shard_length * self.item_nbytes

    @property
    def chunk_nbytes(self) -> int:
        """Bytes of an inner chunk."""
        return self.chunk_length * self.item_nbytes

    @property
    def total_nbytes(self) -> int:
        """Bytes of all elements."""
        return self.length * self.item_nbytes

    @property
    def shard_count(self) -> int:
        """Number of shard files."""
        return -(-self.length // self.shard_length)

    def shard_names(self) -> list[str]:
        """Return the chunk keys of the shards, as paths below the array: `c/0`, or `c/0/0/0` for three dimensions."""
        others = "/0" * len(self.item_shape)
        return [f"{CHUNKS}/{shard}{others}" for shard in range(self.shard_count)]

    def chunk_count(self, shard: int) -> int:
        """Return how many inner chunks a shard holds; the last shard of the array, or of a segment, may hold fewer."""
        start = shard * self.shard_length
        end = next((end for end in self.ends if end > start), self.length)
        length = min(self.shard_length, end - start)
        return -(-length // self.chunk_length)

    def document(self) -> dict[str, Any]:
        """Return the `zarr.json` of the array."""
        endian = {"configuration": {"endian": "little"}} if np.dtype(self.dtype).itemsize > 1 else {}
        codecs = [] if self.codec is None else [dict(self.codec)]
        sharding = {
            "chunk_shape": [self.chunk_length, *self.item_shape],
            "codecs": [{"name": "bytes", **endian}, *codecs],
            "index_codecs": _INDEX_CODECS,
            "index_location": "end",
        }
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [self.length, *self.item_shape],
            "data_type": self.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [self.shard_length, *self.item_shape]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0.0 if self.dtype.startswith("float") else 0,
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": {},
            "storage_transformers": [],
        }

    def footer(self, shard: int) -> bytes:
        """Return the shard index that must stand at the end of a shard file that is not compressed."""
        return self.footer_of(np.full(self.chunk_count(shard), self.chunk_nbytes, dtype="<u8"))

    def footer_of(self, nbytes: npt.NDArray[np.uint64]) -> bytes:
        """Return the shard index of inner chunks of these sizes that follow one another from the first byte."""
        entries = np.full((self.shard_length // self.chunk_length, 2), _NO_CHUNK, dtype="<u8")
        entries[: len(nbytes), 0] = np.cumsum(nbytes) - nbytes
        entries[: len(nbytes), 1] = nbytes
        payload = entries.tobytes()
        return payload + _core.crc32c(payload).to_bytes(4, "little")

    def file_nbytes(self, shard: int) -> int:
        """Return the length of a shard file that is not compressed: whole chunks, then the index."""
        return self.chunk_count(shard) * self.chunk_nbytes + self.footer_nbytes

    @property
    def footer_nbytes(self) -> int:
        """Length of the shard index with its checksum."""
        return 16 * (self.shard_length // self.chunk_length) + 4


def field_dtypes(kind: FieldKind) -> Mapping[str, str]:
    """Return the arrays of a field and their types; that of `data` of a field of arrays is in its specification."""
    return {"jpeg": IMAGE_DTYPES, "text": RAGGED_DTYPES, "array": ARRAY_DTYPES, "place": PLACE_DTYPES}[kind]


def array_dtype(field: FieldSpec | None, name: str, dtypes: Mapping[str, str]) -> str:
    """Return the type of an array of a field, or of the keys (None)."""
    return str(field.dtype) if field is not None and field.kind == "array" and name == "data" else dtypes[name]


def has_item_each(field: FieldSpec | None, name: str) -> bool:
    """Tell whether an array of a field has one number for each item, and not for each record."""
    return field is not None and field.kind == "array" and name in ("crc32c", "status")


def group_document(attributes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the `zarr.json` of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes or {})}


def form_of(path: str, document: object, *, dtype: str, length: int | None, ends: tuple[int, ...] = ()) -> ArrayForm:
    """Check that an array is as format 1 has it.

    Parameters
    ----------
    path : str
        Its path, for messages.
    document : object
        Its `zarr.json`; not believed.
    dtype : str
        Expected type.
    length : int or None
        Expected number of elements; None for a `data` array, whose length and shards are its own.
    ends : tuple of int, default empty
        Where its segments end, if it has grown.

    Returns
    -------
    ArrayForm

    Raises
    ------
    FormatError
        Naming the array, the entry, what was expected and what was found.
    """
    _check_mapping(path, document)
    if length is None:
        form = ArrayForm.data(_first_integer(path, document, "shape"), _first_integer(path, document, "chunk_grid"))
        form = replace(form, ends=ends)
    else:
        form = ArrayForm.index(dtype, length)
    _check_document(path, document, form)
    return form


def items_form_of(path: str, document: object, field: FieldSpec) -> ArrayForm:
    """Check that the `data` array of a field of arrays is as format 1 has it.

    Parameters
    ----------
    path : str
        Its path, for messages.
    document : object
        Its `zarr.json`; not believed.
    field : FieldSpec
        The field; the number of items and that of a shard are the array's own.

    Returns
    -------
    ArrayForm

    Raises
    ------
    FormatError
        As `form_of`.
    """
    _check_mapping(path, document)
    count = _first_integer(path, document, "shape", 1 + len(field.shape))
    form = ArrayForm.items(field, count, _first_integer(path, document, "chunk_grid", 1 + len(field.shape)))
    if form.codec is not None:
        # Its level and the like are those of the writer; what is compressed tells how to decompress it.
        form = replace(form, codec={"name": field.codec, "configuration": _codec_configuration(document)})
    _check_document(path, document, form)
    return form


def _codec_configuration(document: Any) -> Mapping[str, Any]:
    try:
        configuration = document["codecs"][0]["configuration"]["codecs"][1]["configuration"]
    except (KeyError, TypeError, IndexError):
        return {}
    return configuration if isinstance(configuration, Mapping) else {}


def _check_mapping(path: str, document: object) -> None:
    if not isinstance(document, Mapping):
        raise FormatError(f"array {path}: expected a zarr.json document, found {document!r}")


def _check_document(path: str, document: Any, form: ArrayForm) -> None:
    expected = form.document()
    for entry in ("zarr_format", "node_type", "data_type", "shape", "chunk_grid", "chunk_key_encoding", "codecs"):
        if document.get(entry) != expected[entry]:
            raise FormatError(f"array {path}: {entry}: expected {expected[entry]!r}, found {document.get(entry)!r}")
    if document.get("fill_value") != 0 or document.get("storage_transformers"):
        raise FormatError(f"array {path}: expected fill value 0 and no storage transformer")


def _first_integer(path: str, document: Any, entry: str, dimensions: int = 1) -> int:
    found = document.get(entry)
    try:
        values = found["configuration"]["chunk_shape"] if entry == "chunk_grid" else found
        value, *others = values
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"array {path}: {entry}: expected {dimensions} dimensions, found {found!r}") from error
    if len(others) != dimensions - 1:
        raise FormatError(f"array {path}: {entry}: expected {dimensions} dimensions, found {found!r}")
    if not isinstance(value, int) or isinstance(value, bool) or value < 0 or value > 2**62:
        raise FormatError(f"array {path}: {entry}: expected a length, found {value!r}")
    return value
