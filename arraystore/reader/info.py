"""What a store or a view holds, in one printable record."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore.format.items import worst_status
from arraystore.format.spec import FORMAT_VERSION, FieldSpec, Status
from arraystore.reader.column import Column
from arraystore.reader.handle import Handle
from arraystore.reader.indexing import Rows

__all__ = ["Info", "make_info"]


@dataclass(frozen=True)
class Info(Mapping[str, Any]):
    """What a store or a view holds; also a mapping of its attributes.

    Attributes
    ----------
    path : str
        Directory of the store; of a source that is opened as it is, its path or paths.
    dataset, package : str
        The publisher's names.
    records : int
        Number of records.
    key : str
        Name of the key.
    fields : dict of str to str
        Kind of each field.
    columns : tuple of str
        Names of the columns.
    nbytes : dict of str to int
        Bytes of the content of each field.
    status : dict of str to int
        How many images are ``sound``, ``missing``, ``truncated`` ...
    splits : dict of str to int
        Records of each split; empty if the store has no splits.
    troubles : dict of str to int
        What went wrong when the whole store was ingested, or the source was indexed: how often, by kind.
    format_version : int
        Version of the format.
    created_by : str
        Name and version of the writer.
    arrays : dict of str to dict
        Of each field of arrays, ``dtype`` and ``shape`` of an array and the ``codec``, None if they are not compressed.
    is_source : bool
        Whether it is a source that is opened as it is. No image of it has been checked: the status of any with bytes is
        ``sound``.
    """

    path: str
    dataset: str
    package: str
    records: int
    key: str
    fields: dict[str, str]
    columns: tuple[str, ...]
    nbytes: dict[str, int]
    status: dict[str, int]
    splits: dict[str, int]
    troubles: dict[str, int]
    format_version: int
    created_by: str
    arrays: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    is_source: bool = False

    def __getitem__(self, name: str) -> Any:
        if name not in self._names():
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        kinds = [
            f"{name} ({kind}{self._form_of(name)}, {_megabytes(self.nbytes[name])})"
            for name, kind in self.fields.items()
        ]
        store = ("store", f"{self.path} (format {self.format_version}, {self.created_by})")
        lines = [
            ("source", f"{self.path} (as it is, no image is checked)") if self.is_source else store,
            ("package", f"{self.dataset} {self.package}"),
            ("records", f"{self.records:,} by {self.key}"),
            ("fields", ", ".join(kinds)),
            ("columns", f"{len(self.columns)}: {', '.join(self.columns)}"),
            ("status", _counted(self.status)),
            ("splits", _counted(self.splits)),
            ("troubles", _counted(self.troubles)),
        ]
        return "\n".join(f"{label:<9}{text}" for label, text in lines if text)

    def _form_of(self, name: str) -> str:
        if name not in self.arrays:
            return ""
        form = self.arrays[name]
        codec = f" {form['codec']}" if form["codec"] else ""
        return f" {form['dtype']} {'x'.join(map(str, form['shape']))}{codec}"

    def _names(self) -> tuple[str, ...]:
        return tuple(field.name for field in fields(self))


def make_info(handle: Handle, rows: Rows | None) -> Info:
    """Describe a store, or the given rows of it.

    Parameters
    ----------
    handle : Handle
        The open store.
    rows : ndarray of int64, or None
        Rows of a view; None for the whole store.
    """
    spec = handle.spec
    picked = slice(None) if rows is None else rows
    arrays = [handle.array_field(each.name) for each in spec.fields if each.kind == "array"]
    nbytes, status = {}, {}
    for each in spec.fields:
        if each.kind != "array":
            nbytes[each.name] = int(handle.numbers(each.name, "nbytes")[picked].sum(dtype=np.uint64))
        if each.kind == "jpeg":
            status = _counted_status(handle.numbers(each.name, "status")[picked])
    for stored in arrays:
        # An array that several records share is there once.
        items = np.unique(stored.item[picked])
        nbytes[stored.spec.name] = int((items >= 0).sum()) * stored.spec.item_nbytes
    if arrays:
        status = _counted_status(worst_status([(each.item[picked], each.status) for each in arrays]))
    columns = handle.layout.column_names
    splits = Column("split", handle.column("split"), rows).value_counts() if "split" in columns else {}
    return Info(
        path=str(handle.path) if handle.source is None else ", ".join(handle.source.request.paths),
        dataset=spec.dataset,
        package=spec.package,
        records=spec.n if rows is None else len(rows),
        key=spec.key,
        fields={each.name: each.kind for each in spec.fields},
        columns=columns,
        nbytes=nbytes,
        status=status,
        splits=splits,
        troubles=dict(spec.counts.get("troubles", {})),
        format_version=FORMAT_VERSION,
        created_by=spec.created_by,
        arrays={each.spec.name: _form(each.spec) for each in arrays},
        is_source=handle.source is not None,
    )


def _counted_status(status: npt.NDArray[Any]) -> dict[str, int]:
    return {_label(code): int(count) for code, count in enumerate(np.bincount(status)) if count}


def _form(spec: FieldSpec) -> dict[str, Any]:
    return {"dtype": spec.dtype, "shape": list(spec.shape), "codec": spec.codec}


def _label(code: int) -> str:
    return Status(code).label if code in Status._value2member_map_ else f"status-{code}"


def _megabytes(nbytes: int) -> str:
    return f"{nbytes / 1e9:,.2f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:,.2f} MB"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
