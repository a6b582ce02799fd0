"""The plan of an HDF5 file: made by h5py in one go, and kept while the file is filled at the offsets that it gave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arraystore.errors import InternalError, InvalidRequestError
from arraystore.format.arrays import array_dtype, has_item_each
from arraystore.format.base import COLUMNS
from arraystore.format.durable import write_durably
from arraystore.format.hdf5 import ATTRIBUTE, UNFINISHED, group_dtypes
from arraystore.format.hdf5_arrays import create
from arraystore.format.hdf5_columns import write_columns
from arraystore.format.hdf5_disk import Disk
from arraystore.format.spec import StoreSpec
from arraystore.format.writer import DataForm, Frame

if TYPE_CHECKING:
    import h5py

# Bytes of the attribute: an object header of version 1 has messages of at most 64 KiB, name and type included.
ATTRIBUTE_NBYTES = 65_280
# Of these, what is not checksums: names, splits, counts. Names of sources and counts by split may be left out.
_OTHER_NBYTES = 8_192

_MEMBERS = ("codes", "categories")

_PLAN = "layout.json"
_MARK = json.dumps({UNFINISHED: "this ingest was interrupted; the same command finishes it"}).encode()
# The attribute is made before anything else, so it lies within so many bytes.
_HEAD_NBYTES = 1 << 18
# Large data sets begin at a page, so that each can be mapped for itself.
_ALIGNED_NBYTES, _PAGE_NBYTES = 65_536, 4096


@dataclass(frozen=True, slots=True)
class FilePlan:
    """Where everything lies in a file that was laid out.

    Parameters
    ----------
    asked : mapping
        What it was laid out for.
    attribute : int
        Offset of the attribute, which is `ATTRIBUTE_NBYTES` long.
    offsets : mapping of str to int
        Offset of each data set of the fields and keys by its path; 0 if it is empty.
    checksums : mapping of str to int
        CRC-32C of each data set of the columns by its path.
    """

    asked: Mapping[str, Any]
    attribute: int
    offsets: Mapping[str, int]
    checksums: Mapping[str, int]


def lay_out(path: Path, n: int, data: Mapping[str, DataForm], frame: Frame) -> FilePlan:
    """Make the file: all groups and data sets, the columns, and the place of the description.

    The file has object headers of version 1, which have no checksums, and holds no times: so its attribute can be
    overwritten, and two files of the same content are equal.

    Parameters
    ----------
    path : Path
        The file, overwritten if it exists.
    n : int
        Number of records.
    data : mapping of str to DataForm
        The `data` array of each group.
    frame : Frame
        The columns.

    Returns
    -------
    FilePlan

    Raises
    ------
    OSError
        If it cannot be written, such as on a full disk.
    """
    import h5py

    offsets = {}
    options = {"alignment_threshold": _ALIGNED_NBYTES, "alignment_interval": _PAGE_NBYTES}
    with Disk(path) as disk, h5py.File(disk, "w", libver="earliest", track_order=False, **options) as file:
        _reserve_attribute(file)
        for group, form in data.items():
            node = file.create_group(group, track_order=False)
            dtypes = group_dtypes(group, form.kind)
            for name in dtypes:
                made = create(node, name, array_dtype(form.item, name, dtypes), _shape(form, name, n))
                offsets[f"{group}/{name}"] = made.id.get_offset() or 0
        checksums = write_columns(file, frame, check=disk.check)
    return FilePlan(_asked(n, data, frame), _find_attribute(path), offsets, checksums)


def _shape(form: DataForm, name: str, n: int) -> tuple[int, ...]:
    if form.item is None:
        return (form.total_nbytes,) if name == "data" else (n,)
    count = form.count or 0
    if name == "data":
        return (count, *form.item.shape)
    return (count,) if has_item_each(form.item, name) else (n,)


def _reserve_attribute(file: h5py.File) -> None:
    import h5py

    kind = h5py.h5t.C_S1.copy()
    kind.set_size(ATTRIBUTE_NBYTES)
    kind.set_strpad(h5py.h5t.STR_SPACEPAD)
    kind.set_cset(h5py.h5t.CSET_UTF8)
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    attribute = h5py.h5a.create(file.id, ATTRIBUTE.encode(), kind, space)
    attribute.write(np.array(_padded(_MARK), f"S{ATTRIBUTE_NBYTES}"), mtype=kind)


def _find_attribute(path: Path) -> int:
    """HDF5 does not tell where an attribute lies: its content does."""
    with path.open("rb") as file:
        head = file.read(_HEAD_NBYTES)
    wanted = _padded(_MARK)
    if head.count(wanted) != 1:
        raise InternalError(f"{path}: the attribute of the file is not where it was expected")
    return head.index(wanted)


def _padded(text: bytes) -> bytes:
    return text.ljust(ATTRIBUTE_NBYTES)


# ---- the description ----


def spec_text(spec: StoreSpec) -> tuple[StoreSpec, bytes]:
    """Return the content of the attribute, and what it says; of a long one, what only people read is left out.

    Parameters
    ----------
    spec : StoreSpec
        The description.

    Returns
    -------
    StoreSpec
        The same, without the names of the sources and the counts by split if there is no room for them.
    bytes
        Its JSON, filled up with spaces.

    Raises
    ------
    InvalidRequestError
        If it is too long nevertheless.
    """
    shortened = [
        spec,
        replace(spec, source=_without(spec.source, "paths")),
        replace(spec, source=_without(spec.source, "paths"), counts=_without(spec.counts, "split")),
    ]
    for each in shortened:
        text = json.dumps(each.to_json(), separators=(",", ":"), allow_nan=False).encode()
        if len(text) <= ATTRIBUTE_NBYTES:
            return StoreSpec.from_json(json.loads(text)), _padded(text)
    raise _no_room(f"its description takes {len(text):,} bytes")


def check_room(data: Mapping[str, DataForm], frame: Frame) -> None:
    """Refuse more columns than the description has room for, before anything is packed.

    Parameters
    ----------
    data : mapping of str to DataForm
        The `data` array of each group.
    frame : Frame
        The columns.

    Raises
    ------
    InvalidRequestError
        If there is no room.
    """
    paths = [f"{group}/{name}" for group, form in data.items() for name in group_dtypes(group, form.kind)]
    # By their names alone, since a column may be made each time that it is asked for; none has more or longer paths.
    members = [f"{COLUMNS}/{name}/{member}" for name in [frame.index_name, *frame.columns] for member in _MEMBERS]
    checksums = dict.fromkeys([*paths, *members], 2**32 - 1)
    nbytes = len(json.dumps(checksums, separators=(",", ":")).encode()) + _OTHER_NBYTES
    if nbytes > ATTRIBUTE_NBYTES:
        raise _no_room(f"the checksums of {len(frame.columns):,} columns take about {nbytes:,} bytes")


def _no_room(what: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"a store in HDF5 describes itself in {ATTRIBUTE_NBYTES:,} bytes, but {what}: make a store in Zarr, or leave "
        "out columns",
        "no-room",
    )


def _without(mapping: Mapping[str, Any], entry: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != entry}


# ---- the plan on disk ----


def read_plan(directory: Path, partial: Path, n: int, data: Mapping[str, DataForm], frame: Frame) -> FilePlan | None:
    """Return the plan of a file that an earlier run has laid out for the same content, if it is still the same file.

    Parameters
    ----------
    directory : Path
        The work directory.
    partial : Path
        The file.
    n, data, frame
        As for `lay_out`.

    Returns
    -------
    FilePlan or None
    """
    try:
        document = json.loads((directory / _PLAN).read_bytes())
        plan, identity = FilePlan(**document["plan"]), _identity(partial)
        is_same = document["identity"] == identity and plan.asked == _asked(n, data, frame)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    return plan if is_same else None


def write_plan(directory: Path, partial: Path, plan: FilePlan) -> None:
    """Keep the plan of a file that is laid out and synced.

    Parameters
    ----------
    directory : Path
        The work directory.
    partial : Path
        The file.
    plan : FilePlan
        Its plan.
    """
    document = {"identity": _identity(partial), "plan": asdict(plan)}
    write_durably(directory / _PLAN, json.dumps(document).encode())


def remove_plan(directory: Path) -> None:
    """Forget the plan in a work directory, if there is one."""
    (directory / _PLAN).unlink(missing_ok=True)


def _identity(partial: Path) -> list[int]:
    # Another file under this name, such as a copy, may lack what the journals say.
    facts = partial.stat()
    return [facts.st_dev, facts.st_ino, facts.st_size]


def _asked(n: int, data: Mapping[str, DataForm], frame: Frame) -> dict[str, Any]:
    forms = {name: [form.kind, form.total_nbytes, form.item and form.item.to_json()] for name, form in data.items()}
    return {"n": n, "data": forms, "columns": [frame.index_name, *frame.columns]}
