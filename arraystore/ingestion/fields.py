"""Fields on disk: bytes of records packed into shards, and the arrays that say where each record is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.format.arrays import CHUNKS, KEY_DTYPES, RAGGED_DTYPES, ArrayForm, field_dtypes, group_document
from arraystore.format.layout import CHUNK_NBYTES, Placement
from arraystore.format.spec import FieldKind, Status
from arraystore.format.zarr import KEY, WORK_DIRECTORY, write_document
from arraystore.ingestion.progress import Advance
from arraystore.sources.archive import column

if TYPE_CHECKING:
    from arraystore._core import Extents, PackResult, Strings


@dataclass(frozen=True, slots=True)
class Packing:
    """What is the same for all fields of an ingest.

    Parameters
    ----------
    store : Path
        Directory of the store.
    fingerprint : int
        Of the job: shards of another job are not taken for ours.
    threads : int
        Threads that pack.
    """

    store: Path
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
    """Write the shards of a field that are not there yet, and its `data` document.

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

    placement = records.placement
    array = packing.store / records.name / "data"
    write_document(packing.store / records.name, group_document())
    write_document(array, ArrayForm.data(placement.total_nbytes, placement.shard_nbytes).document())
    return _core.pack(
        records.extents,
        placement.place,
        records.nbytes,
        directory=str(array / CHUNKS),
        journal=str(packing.store / WORK_DIRECTORY / f"{records.name}.journal"),
        total_nbytes=placement.total_nbytes,
        shard_nbytes=placement.shard_nbytes,
        chunk_nbytes=CHUNK_NBYTES,
        fingerprint=packing.fingerprint,
        check=check,
        threads=packing.threads,
        progress=advance,
    )


def write_field_index(store: Path, records: Records, result: PackResult, n: int) -> dict[str, int]:
    """Write the arrays of a field beside `data`.

    Parameters
    ----------
    store : Path
        Directory of the store.
    records : Records
        What was packed.
    result : PackResult
        What came of it.
    n : int
        Number of records in the store; those without bytes have size 0.

    Returns
    -------
    dict of str to int
        CRC-32C of each file, by path in the store.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, dtype in field_dtypes(records.kind).items():
        if name == "data":
            continue
        missing = Status.MISSING if name == "status" else 0
        arrays[name] = np.full(n, missing, np.dtype(dtype))
        packed = records.placement.place if name == "offset" else column(getattr(result, name), np.dtype(dtype).type)
        arrays[name][records.record] = packed
    return _write_arrays(store, records.name, arrays)


def write_key_index(store: Path, records: Records, result: PackResult, keys: Strings) -> dict[str, int]:
    """Write the arrays of the key beside `data`: those of a text field, and the hash index.

    Parameters
    ----------
    store : Path
        Directory of the store.
    records : Records
        The keys as they were packed.
    result : PackResult
        What came of it.
    keys : Strings
        Key of each record.

    Returns
    -------
    dict of str to int
        CRC-32C of each file, by path in the store.
    """
    from arraystore import _core

    hashes, rows, _ = _core.index_keys(keys)
    checksums = write_field_index(store, records, result, len(keys))
    index: dict[str, npt.NDArray[Any]] = {"hash": column(hashes, np.uint64), "row": column(rows, np.uint32)}
    return checksums | _write_arrays(store, KEY, index)


def _write_arrays(store: Path, group: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, int]:
    from arraystore import _core

    checksums: dict[str, int] = {}
    for name, values in arrays.items():
        directory = store / group / name
        form = ArrayForm.index(KEY_DTYPES.get(name) or str(values.dtype), len(values))
        write_document(directory, form.document())
        written = _core.write_sharded(
            np.ascontiguousarray(values),
            directory=str(directory / CHUNKS),
            shard_nbytes=form.shard_nbytes,
            chunk_nbytes=form.chunk_nbytes,
        )
        checksums |= {f"{group}/{name}/{CHUNKS}/{shard}": checksum for shard, checksum in written}
    return checksums


def key_records(store: Path, keys: Strings, placement: Placement) -> Records:
    """Spill the keys to a file, from which they are packed like every other field.

    Parameters
    ----------
    store : Path
        Directory of the store, with its work directory.
    keys : Strings
        Key of each record.
    placement : Placement
        Where they go.

    Returns
    -------
    Records
    """
    from arraystore import _core

    spill = store / WORK_DIRECTORY / "keys.bin"
    column(keys.data, np.uint8).tofile(spill)
    offsets = column(keys.offsets, np.uint64)
    nbytes = np.diff(offsets).astype(RAGGED_DTYPES["nbytes"])
    extents = _core.Extents.in_file(str(spill), offsets[:-1], nbytes.astype(np.uint64))
    return Records(KEY, "text", extents, nbytes, placement, np.arange(len(nbytes)))
