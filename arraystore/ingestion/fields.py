"""Content into a store: bytes of records packed into shards, and the arrays that say where each record is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError, SourceError
from arraystore.format.arrays import RAGGED_DTYPES, field_dtypes
from arraystore.format.base import KEY
from arraystore.format.columns import CategoricalColumn, WritableColumn
from arraystore.format.items import holds_samples
from arraystore.format.layout import Placement, place_behind, place_records, whole_items
from arraystore.format.seek import seek_path
from arraystore.format.spec import FieldSpec, Status
from arraystore.format.writer import DataForm, Frame, StoreWriter
from arraystore.ingestion.content import Content, FieldContent, ItemsContent
from arraystore.ingestion.progress import Advance, Progress
from arraystore.ingestion.seek import gather_tables
from arraystore.sources.archive import column

if TYPE_CHECKING:
    from pathlib import Path

    from arraystore._core import PackResult, Strings

_UNITS = {"jpeg": "images", "text": "texts", "array": "items", "place": "images"}
# What only a look at the bytes finds out.
_JUDGED = ("height", "width", "status")
_PHASES = {"image": "images", KEY: "keys"}


@dataclass(frozen=True, slots=True)
class Packing:
    """What is the same for all fields of an ingest.

    Parameters
    ----------
    writer : StoreWriter
        Where to.
    fingerprint : int
        Of the job: shards of another job are not taken for ours.
    threads : int
        Threads that work.
    shard_nbytes : int
        Wanted size of a shard.
    existing : mapping of str to DataForm
        The `data` arrays that are there already and grow, by their fields.
    index : bool, default False
        Whether the seek tables of JPEGs are made while their bytes are at hand.
    readers : int, optional
        Threads that read what is packed; as many as `threads` if not given.
    """

    writer: StoreWriter
    fingerprint: int
    threads: int
    shard_nbytes: int
    existing: Mapping[str, DataForm] = field(default_factory=dict)
    index: bool = False
    readers: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing a content, all but its commit.

    Parameters
    ----------
    results : mapping of str to PackResult
        Sizes, checksums and status of the records of each field, by its name, in the order of its content.
    splits : mapping of str to int
        Records of each split; empty if there are none.
    numbers : mapping of str to mapping of str to ndarray
        `nbytes` of all records of each field by its name, and `status` if it has one; of a field of arrays, `status` of
        all items.
    """

    results: Mapping[str, PackResult]
    splits: Mapping[str, int]
    numbers: Mapping[str, Mapping[str, npt.NDArray[Any]]]


def write_content(packing: Packing, content: Content, shown: Progress) -> Written:
    """Write all that a store holds: columns, fields and keys. What is already packed is kept.

    Parameters
    ----------
    packing : Packing
        Where to, and how.
    content : Content
        What.
    shown : Progress
        Where progress is shown.

    Returns
    -------
    Written
        For the commit, which is left to the caller.
    """
    from arraystore import _core

    writer = packing.writer
    key_nbytes = np.diff(column(content.keys.offsets, np.uint64)).astype(RAGGED_DTYPES["nbytes"])
    # The places of millions of records are not kept for later: they are computed anew when they are needed.
    data = {each.spec.name: _data_form(each.spec, _place(packing, each)) for each in content.fields}
    data[KEY] = _data_form(FieldSpec(KEY, "text"), place_records(key_nbytes, shard_nbytes=packing.shard_nbytes))
    splits = _begin(writer, content, data, shown)
    # What the columns were made of is gone now, and hours of packing may follow.
    _core.release_memory()
    fields = {each.spec.name: each for each in content.fields}
    keys_file = writer.work_directory / "keys.bin"
    fields[KEY] = strings_content(FieldSpec(KEY, "text"), content.keys, np.arange(content.n), spill=keys_file)
    results, numbers = {}, {}
    for name, each in fields.items():
        unit = "keys" if name == KEY else _UNITS[each.spec.kind]
        with shown.phase(_PHASES.get(name, name), total=len(each.extents), unit=unit) as advance:
            placement = _place(packing, each)
            results[name] = _pack(packing, each, placement, advance)
        if isinstance(each, ItemsContent):
            writer.seal(name, threads=packing.threads)
            numbers[name] = _write_item_index(writer, each, results[name])
        else:
            numbers[name] = _write_field_index(writer, each, placement, results[name], content.n)
            if _is_indexed(packing, each):
                path, journal = seek_path(writer.path, name), _journal(writer, name)
                first = writer.target(name).place.options().get("first_shard", 0)
                gather_tables(path, journal, results[name], each.record, content.n, first_shard=first)
    hashes, rows, _ = _core.index_keys(content.keys)
    writer.write_index(KEY, {"hash": column(hashes, np.uint64), "row": column(rows, np.uint32)})
    return Written(results, splits, numbers)


def _place(packing: Packing, content: FieldContent | ItemsContent) -> Placement:
    if isinstance(content, ItemsContent):
        return _place_items(packing, content)
    existing = packing.existing.get(content.spec.name)
    if existing is None:
        return place_records(content.nbytes, shard_nbytes=packing.shard_nbytes)
    largest = int(content.nbytes.argmax()) if len(content.nbytes) else 0
    if len(content.nbytes) and content.nbytes[largest] > existing.shard_nbytes:
        raise InvalidRequestError(
            f"{content.extents.name(largest)}: {content.nbytes[largest]:,} bytes do not fit into the shards of this "
            f"store, of {existing.shard_nbytes:,} bytes each: export it with larger shards, and append to that",
            "too-large",
        )
    return place_behind(existing.total_nbytes, content.nbytes, shard_nbytes=existing.shard_nbytes)


def _place_items(packing: Packing, content: ItemsContent) -> Placement:
    item_nbytes, total = content.spec.item_nbytes, content.spec.item_nbytes * content.count
    wanted = content.shard_nbytes
    if wanted is None:
        wanted = total if content.spec.codec is None else packing.shard_nbytes
    place = np.arange(content.count, dtype=np.uint64) * np.uint64(item_nbytes)
    shard_nbytes = min(whole_items(wanted, item_nbytes), max(total, item_nbytes))
    return Placement(place, total, shard_nbytes, item_nbytes)


def _data_form(spec: FieldSpec, placement: Placement) -> DataForm:
    item = spec if spec.kind == "array" else None
    return DataForm(spec.kind, placement.total_nbytes, placement.shard_nbytes, item)


def _begin(writer: StoreWriter, content: Content, data: Mapping[str, DataForm], shown: Progress) -> dict[str, int]:
    with shown.phase("columns", unit="columns") as advance:
        columns = content.columns()
        advance(0, 0)
        writer.begin(content.n, data, Frame(content.key_name, content.keys, columns))
        advance(len(columns), 0)
    return _count_categories(columns.get("split"))


def _count_categories(of: WritableColumn | None) -> dict[str, int]:
    if not isinstance(of, CategoricalColumn):
        return {}
    counts = np.bincount(of.codes[of.codes >= 0], minlength=len(of.categories))
    return dict(zip(of.categories.tolist(), counts.tolist(), strict=True))


def _pack(packing: Packing, content: FieldContent | ItemsContent, placement: Placement, advance: Advance) -> PackResult:
    """Write the shards of a field that are not there yet."""
    from arraystore import _core

    writer, name = packing.writer, content.spec.name
    target = writer.target(name)
    tiff = None
    if isinstance(content, FieldContent):
        nbytes, check = content.nbytes, content.check
    else:
        nbytes, check = np.full(content.count, content.spec.item_nbytes, np.uint32), "none"
        if content.is_tiff:
            height, width = content.spec.shape
            tiff = (str(content.spec.dtype), (height, width))
    return _core.pack(
        content.extents,
        placement.place,
        nbytes,
        **target.place.options(),
        journal=str(_journal(writer, name)),
        total_nbytes=target.total_nbytes,
        shard_nbytes=target.shard_nbytes,
        fingerprint=packing.fingerprint,
        check=check,
        seek=check == "pixels" if _is_indexed(packing, content) else None,
        tiff=tiff,
        threads=packing.readers or packing.threads,
        progress=advance,
    )


def _journal(writer: StoreWriter, name: str) -> Path:
    return writer.work_directory / f"{name}.journal"


def _is_indexed(packing: Packing, content: FieldContent | ItemsContent) -> bool:
    return packing.index and content.spec.kind == "jpeg"


def _write_field_index(
    writer: StoreWriter, content: FieldContent, placement: Placement, result: PackResult, n: int
) -> dict[str, npt.NDArray[Any]]:
    """Write the arrays of a field beside `data`; return those that are counted."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, dtype in field_dtypes(content.spec.kind).items():
        if name == "data":
            continue
        missing = Status.MISSING if name == "status" else 0
        arrays[name] = np.full(n, missing, np.dtype(dtype))
        known = content.known.get(name, arrays[name][:0])
        arrays[name][: len(known)] = known
        if content.check == "none" and name in _JUDGED:
            continue
        packed = placement.place if name == "offset" else column(getattr(result, name), np.dtype(dtype).type)
        arrays[name][content.record] = packed
    writer.write_index(content.spec.name, arrays)
    return {name: arrays[name] for name in ("nbytes", "status") if name in arrays}


def _write_item_index(writer: StoreWriter, content: ItemsContent, result: PackResult) -> dict[str, npt.NDArray[Any]]:
    """Write the arrays of a field of arrays beside `data`; return those that are counted."""
    status = column(result.status, np.uint8)
    if content.status is not None:
        for index in np.flatnonzero(status == Status.UNREADABLE).tolist():
            # What a store holds is never given up.
            raise SourceError(f"{content.extents.name(index)}: {dict(result.details).get(index, 'unreadable')}")
        status = content.status
    # Zeros in place of samples have no checksum.
    crc32c = np.where(holds_samples(status), column(result.crc32c, np.uint32), np.uint32(0))
    writer.write_index(content.spec.name, {"row": content.row, "crc32c": crc32c, "status": status})
    return {"status": status}


def strings_content(spec: FieldSpec, texts: Strings, record: npt.NDArray[np.int64], *, spill: Path) -> FieldContent:
    """Spill strings to a file, from which they are packed like every other field.

    Parameters
    ----------
    spec : FieldSpec
        The field that they become.
    texts : Strings
        The strings.
    record : ndarray of int64
        The record that each belongs to.
    spill : Path
        The file to write.

    Returns
    -------
    FieldContent
    """
    from arraystore import _core

    column(texts.data, np.uint8).tofile(spill)
    offsets = column(texts.offsets, np.uint64)
    nbytes = np.diff(offsets).astype(RAGGED_DTYPES["nbytes"])
    extents = _core.Extents.in_file(str(spill), offsets[:-1], nbytes)
    return FieldContent(spec, extents, nbytes, record)
