"""Fields on disk: bytes of records packed into shards, and the arrays that say where each record is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.format.arrays import RAGGED_DTYPES, field_dtypes
from arraystore.format.base import KEY, StoreWriter
from arraystore.format.layout import Placement
from arraystore.format.spec import FieldKind, Status
from arraystore.ingestion.progress import Advance
from arraystore.sources.archive import column

if TYPE_CHECKING:
    from arraystore._core import Extents, PackResult, Strings


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
        Threads that pack.
    """

    writer: StoreWriter
    fingerprint: int
    threads: int


@dataclass(frozen=True, slots=True)
class Records:
    """The bytes of one field: where they are, and where they go.

    Parameters
    ----------
    name : str
        Name of the field, or `key`.
    kind : {"jpeg", "text"}
        What a record is.
    extents : Extents
        Where the bytes of each record are, in physical order.
    nbytes : ndarray of uint32, shape (k,)
        Their sizes.
    placement : Placement
        Where they go.
    record : ndarray of int64, shape (k,)
        The number of each record in the store.
    """

    name: str
    kind: FieldKind
    extents: Extents
    nbytes: npt.NDArray[np.uint32]
    placement: Placement
    record: npt.NDArray[np.int64]


def pack_field(packing: Packing, records: Records, *, check: str, advance: Advance) -> PackResult:
    """Write the shards of a field that are not there yet.

    Parameters
    ----------
    packing : Packing
        Where to, and how.
    records : Records
        The bytes.
    check : {"none", "header", "pixels"}
        How far each record is looked at.
    advance : callable
        Called with the numbers of records and bytes so far.

    Returns
    -------
    PackResult
        Sizes, checksums and status of each record, in physical order.
    """
    from arraystore import _core

    writer, placement = packing.writer, records.placement
    target = writer.add_data(records.name, total_nbytes=placement.total_nbytes, shard_nbytes=placement.shard_nbytes)
    return _core.pack(
        records.extents,
        placement.place,
        records.nbytes,
        directory=str(target.directory),
        journal=str(writer.work_directory / f"{records.name}.journal"),
        total_nbytes=target.total_nbytes,
        shard_nbytes=target.shard_nbytes,
        chunk_nbytes=target.chunk_nbytes,
        fingerprint=packing.fingerprint,
        check=check,
        threads=packing.threads,
        progress=advance,
    )


def write_field_index(writer: StoreWriter, records: Records, result: PackResult, n: int) -> None:
    """Write the arrays of a field beside `data`.

    Parameters
    ----------
    writer : StoreWriter
        Where to.
    records : Records
        What was packed.
    result : PackResult
        What came of it.
    n : int
        Number of records in the store; those without bytes have size 0.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, dtype in field_dtypes(records.kind).items():
        if name == "data":
            continue
        missing = Status.MISSING if name == "status" else 0
        arrays[name] = np.full(n, missing, np.dtype(dtype))
        packed = records.placement.place if name == "offset" else column(getattr(result, name), np.dtype(dtype).type)
        arrays[name][records.record] = packed
    writer.write_index(records.name, arrays)


def write_key_index(writer: StoreWriter, records: Records, result: PackResult, keys: Strings) -> None:
    """Write the arrays of the key beside `data`: those of a text field, and the hash index.

    Parameters
    ----------
    writer : StoreWriter
        Where to.
    records : Records
        The keys as they were packed.
    result : PackResult
        What came of it.
    keys : Strings
        Key of each record.
    """
    from arraystore import _core

    hashes, rows, _ = _core.index_keys(keys)
    write_field_index(writer, records, result, len(keys))
    writer.write_index(KEY, {"hash": column(hashes, np.uint64), "row": column(rows, np.uint32)})


def key_records(work_directory: Path, keys: Strings, placement: Placement) -> Records:
    """Spill the keys to a file, from which they are packed like every other field.

    Parameters
    ----------
    work_directory : Path
        Where to.
    keys : Strings
        Key of each record.
    placement : Placement
        Where they go.

    Returns
    -------
    Records
    """
    from arraystore import _core

    spill = work_directory / "keys.bin"
    column(keys.data, np.uint8).tofile(spill)
    offsets = column(keys.offsets, np.uint64)
    nbytes = np.diff(offsets).astype(RAGGED_DTYPES["nbytes"])
    extents = _core.Extents.in_file(str(spill), offsets[:-1], nbytes.astype(np.uint64))
    return Records(KEY, "text", extents, nbytes, placement, np.arange(len(nbytes)))
