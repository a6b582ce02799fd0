"""Further tables beside the first one: their columns are joined to its rows by a key."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from arraystore.errors import SourceError
from arraystore.sources.inference import infer_columns, names_of
from arraystore.sources.tables import MetadataTable, TableColumn, TableDialect, is_json, read_metadata

if TYPE_CHECKING:
    from arraystore._core import Strings

_DELIMITERS = (",", "\t", ";")


@dataclass(frozen=True, slots=True)
class ExtraTable:
    """A table that adds columns to records that are there.

    Parameters
    ----------
    path : Path
        Where it was read from.
    by : str
        The column of the first table, or its key, that `keys` are values of.
    keys : Strings
        Key of each row, all different.
    table : MetadataTable or None
        Its columns.
    flags : mapping of str to ndarray of bool
        Columns that are true or false for each row, and false for a record without a row.
    """

    path: Path
    by: str
    keys: Strings
    table: MetadataTable | None = None
    flags: Mapping[str, npt.NDArray[np.bool_]] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)


def read_extra_table(
    path: Path, *, key: str, columns: Sequence[TableColumn] = (), missing: tuple[str, ...] = ("",), spill: Path
) -> ExtraTable:
    """Read a further table whose rows are known by the key of the store.

    Parameters
    ----------
    path : Path
        CSV, TSV or JSON. The delimiter is told from the header, not from the suffix.
    key : str
        The key column.
    columns : sequence of TableColumn
        The columns whose kinds are known; those of others are found out.
    missing : tuple of str
        Cells that stand for a missing value.
    spill : Path
        A file that may be written to.

    Returns
    -------
    ExtraTable

    Raises
    ------
    SourceError
        If the key is not in the header, or the table is damaged.
    """
    if path.suffix.lower() == ".xlsx":
        raise SourceError(
            f"{path}: of Excel files only the list of poor images of BIOSCAN-1M is read: save it as CSV", "no-table"
        )
    bare = TableDialect(_without_texts(columns), _delimiter(path, key), missing)
    names = names_of(path, bare)
    if {name for name in names if name} - {key} - {each.name for each in columns}:
        inferred, _ = infer_columns(path, bare, key=key)
        bare = dataclasses.replace(bare, columns=inferred)
    table = read_metadata(path, bare, key=key, spill=spill)
    return ExtraTable(path, key, table.table.strings(key), table)


def _without_texts(columns: Sequence[TableColumn]) -> tuple[TableColumn, ...]:
    # A long text of a further table is a column like any other: fields are those of the first table.
    return tuple(TableColumn(each.name, "string") if each.kind == "text" else each for each in columns)


def _delimiter(path: Path, key: str) -> str:
    if is_json(path):
        return ","
    headers = {delimiter: names_of(path, TableDialect((), delimiter)) for delimiter in _DELIMITERS}
    found = next((delimiter for delimiter, header in headers.items() if key in header), None)
    if found is None:
        header = max(headers.values(), key=len)
        raise SourceError(
            f"{path}: no column {key!r} in the header {header[:30]}, by which a further table is joined",
            "no-key-column",
        )
    return found


def find_beside(table: Path, name: str, *, levels: int = 3) -> list[Path]:
    """Look for a further table in the folder of the first one and in some above it.

    Parameters
    ----------
    table : Path
        The first table.
    name : str
        Name of the file.
    levels : int
        How many folders are looked at.

    Returns
    -------
    list of Path
        The nearest one, or none.
    """
    folders = list(table.absolute().parents)[:levels]
    return [folder / name for folder in folders if (folder / name).is_file()][:1]
