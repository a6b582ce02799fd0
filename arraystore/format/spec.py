"""What a store says of itself: the attribute `arraystore` of its root `zarr.json`."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from arraystore.errors import FormatError

FORMAT_VERSION = 1

# `place` is only in the index of a source that is opened as it is: where an image lies, instead of the image.
FieldKind = Literal["jpeg", "text", "array", "place"]
Codec = Literal["zstd", "blosc"]

# Types of the samples of arrays, as NumPy and Zarr call them.
ARRAY_TYPES = (
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *(f"float{bits}" for bits in (16, 32, 64)),
)
_MOST_DIMENSIONS = 8


class Status(enum.IntEnum):
    """Why an image can or cannot be decoded, or an item has no samples; stored as `status` of the field."""

    SOUND = 0
    MISSING = 1
    EMPTY = 2
    NOT_A_JPEG = 3
    TRUNCATED = 4
    CORRUPT = 5
    UNSUPPORTED = 6
    UNREADABLE = 7
    SOURCE_CORRUPT = 8

    @property
    def label(self) -> str:
        """Name for people and for JSON, such as `not-a-jpeg`."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of every record.

    Parameters
    ----------
    name : str
        Its group in the store.
    kind : {"jpeg", "text", "array", "place"}
        What one record holds.
    dtype : str, optional
        Of a field of arrays, the type of its samples, one of `ARRAY_TYPES`.
    shape : tuple of int
        Of a field of arrays, the shape of an item.
    codec : {"zstd", "blosc"}, optional
        Of a field of arrays, how each item is compressed; None if it is not.
    """

    name: str
    kind: FieldKind
    dtype: str | None = None
    shape: tuple[int, ...] = ()
    codec: Codec | None = None

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith((".", "_")):
            raise FormatError(f"field name {self.name!r}: expected a plain name without '/'")
        if self.kind not in get_args(FieldKind):
            raise FormatError(f"field {self.name}: kind {self.kind!r}: expected one of {get_args(FieldKind)}")
        if self.kind == "array":
            self._check_item()
        elif self.dtype is not None or self.shape or self.codec is not None:
            raise FormatError(f"field {self.name}: only arrays have dtype, shape and codec")

    def _check_item(self) -> None:
        if self.dtype not in ARRAY_TYPES:
            raise FormatError(f"field {self.name}: dtype {self.dtype!r}: expected one of {', '.join(ARRAY_TYPES)}")
        lengths = self.shape
        if not 1 <= len(lengths) <= _MOST_DIMENSIONS or not all(
            _is_count(each, 2**32 - 1) and each for each in lengths
        ):
            raise FormatError(
                f"field {self.name}: shape {lengths!r}: expected 1 to {_MOST_DIMENSIONS} lengths from 1 on"
            )
        if self.item_nbytes > 2**32 - 1:
            raise FormatError(f"field {self.name}: an item of {self.item_nbytes:,} bytes: expected less than 4 GiB")
        if self.codec not in (None, *get_args(Codec)):
            raise FormatError(f"field {self.name}: codec {self.codec!r}: expected zstd, blosc or null")

    @property
    def item_nbytes(self) -> int:
        """Bytes of an item of a field of arrays, not compressed."""
        digits = "".join(letter for letter in self.dtype or "" if letter.isdigit())
        return math.prod(self.shape) * int(digits or 0) // 8

    def to_json(self) -> dict[str, Any]:
        """Return its entry in the attribute."""
        item = {"dtype": self.dtype, "shape": list(self.shape), "codec": self.codec} if self.kind == "array" else {}
        return {"name": self.name, "kind": self.kind, **item}


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """The whole description of a store.

    Parameters
    ----------
    n : int
        Number of records.
    fields : tuple of FieldSpec
        Fields of every record, the main one first.
    key : str
        Name of the key, which is also the index of the columns.
    dataset, package : str
        Publisher's names of the data set and of the package.
    splits : mapping of str to sequence of str
        For each name that may be asked for in the column `split`, the splits that it stands for: a split for itself,
        and the meta-splits and aliases of the publisher.
    source : mapping
        Names of the sources, their fingerprint and the options of the ingest.
    counts : mapping
        What `info` shows: images, bytes, records by status and by split.
    checksums : mapping of str to int
        CRC-32C of every file but the root `zarr.json` and the shards of `data`, by path in the store.
    created_by : str
        Name and version of the writer.
    generation : int, default 0
        How often the store has grown.
    segments : mapping of str to sequence of int
        For each field of a store that has grown, where in its `data` array the bytes of each generation that added some
        end, ascending; the last is the length of the array. The next begins at the next border of two shards.
    """

    n: int
    fields: tuple[FieldSpec, ...]
    key: str = "processid"
    dataset: str = "BIOSCAN-5M"
    package: str = "cropped_256"
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    checksums: Mapping[str, int] = field(default_factory=dict)
    created_by: str = "arraystore"
    generation: int = 0
    segments: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _is_count(self.n, 2**32 - 1):
            raise FormatError(f"number of records {self.n!r}: expected an integer from 0 to {2**32 - 1}")
        names = [each.name for each in self.fields]
        if not names or len(set(names)) != len(names):
            raise FormatError(f"fields {names}: expected at least one, each with a name of its own")
        for label, value in (("key", self.key), ("dataset", self.dataset), ("package", self.package)):
            _require(value, str, label)
        for label, mapping in (("source", self.source), ("counts", self.counts), ("checksums", self.checksums)):
            _require(mapping, Mapping, label)
        _require(self.splits, Mapping, "splits")
        for name, splits in self.splits.items():
            parts: object = splits
            if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
                raise FormatError(f"splits: {name}: expected a list of names, found {splits!r}")
        if not _is_count(self.generation, 2**32 - 1):
            raise FormatError(f"generation {self.generation!r}: expected a number from 0 on")
        _require(self.segments, Mapping, "segments")
        for name, ends in self.segments.items():
            found: object = ends
            if not isinstance(found, list | tuple) or not all(_is_count(end, 2**62) for end in found):
                raise FormatError(f"segments: {name}: expected a list of lengths, found {ends!r}")
        for path, checksum in self.checksums.items():
            if not _is_count(checksum, 2**32 - 1):
                raise FormatError(f"checksum of {path}: {checksum!r} is not a CRC-32C")
            if not path or path.startswith("/") or ".." in path.split("/"):
                raise FormatError(f"checksum of {path!r}: expected a path in the store")

    def field(self, name: str) -> FieldSpec:
        """Return the field of this name, which there is."""
        return next(each for each in self.fields if each.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return the attribute, of plain JSON types in a fixed order."""
        grown = {"generation": self.generation, "segments": {name: list(ends) for name, ends in self.segments.items()}}
        return {
            "format_version": FORMAT_VERSION,
            "n": self.n,
            "key": self.key,
            "dataset": self.dataset,
            "package": self.package,
            "fields": [each.to_json() for each in self.fields],
            "splits": {name: list(splits) for name, splits in self.splits.items()},
            "source": dict(self.source),
            "counts": dict(self.counts),
            "checksums": dict(self.checksums),
            "created_by": self.created_by,
            **(grown if self.generation else {}),
        }

    @classmethod
    def from_json(cls, document: object) -> StoreSpec:
        """Read the attribute.

        Parameters
        ----------
        document : object
            The parsed JSON value; not believed.

        Returns
        -------
        StoreSpec

        Raises
        ------
        FormatError
            If the store has a newer format, or an entry is missing or of a wrong type.
        """
        if not isinstance(document, Mapping):
            raise FormatError("attribute 'arraystore' is not an object: this is not an arraystore")
        _check_version(document)
        try:
            return cls(
                n=document["n"],
                fields=tuple(_field_from_json(each) for each in document["fields"]),
                key=document["key"],
                dataset=document["dataset"],
                package=document["package"],
                splits=document["splits"],
                source=document["source"],
                counts=document["counts"],
                checksums=document["checksums"],
                created_by=str(document["created_by"]),
                generation=document.get("generation", 0),
                segments=document.get("segments", {}),
            )
        except KeyError as error:
            raise FormatError(f"attribute 'arraystore' lacks {error.args[0]!r}") from error
        except TypeError as error:
            raise FormatError(f"attribute 'arraystore' has an entry of a wrong type: {error}") from error


def _check_version(document: Mapping[str, Any]) -> None:
    version = document.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FormatError(f"format version {version!r} is not a positive integer")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"the store has format {version}, this arraystore reads up to format {FORMAT_VERSION}: "
            f"install a version of arraystore that reads format {version}",
            "newer-format",
        )


def _field_from_json(document: object) -> FieldSpec:
    if not isinstance(document, Mapping) or not isinstance(document.get("name"), str):
        raise FormatError(f"field {document!r}: expected an object with name and kind")
    kind = cast(FieldKind, document.get("kind"))
    if kind != "array":
        # A reader ignores entries that it does not know.
        return FieldSpec(document["name"], kind)
    shape = document.get("shape")
    if not isinstance(shape, list):
        raise FormatError(f"field {document['name']}: shape: expected a list of lengths, found {shape!r}")
    return FieldSpec(document["name"], kind, document.get("dtype"), tuple(shape), document.get("codec"))


def _require(value: object, kind: type, label: str) -> None:
    # Types are not believed: most specs come out of a file.
    if not isinstance(value, kind) or value == "":
        raise FormatError(f"{label}: expected {'a name' if kind is str else 'an object'}, found {value!r}")


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
