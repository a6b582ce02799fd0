"""Kinds of the columns of a table that nobody has described, found by reading it once."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arraystore.sources.tables import ColumnKind, TableColumn, TableDialect, columns_of, is_json, read_header

if TYPE_CHECKING:
    from arraystore._core import Table

# Truth as pandas and our export write it.
BOOLEANS = frozenset({"True", "False"})
# Numbers as programs write them. One with a leading zero is rather a name, and would lose the zero.
_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z")
# Up to 15 digits before the point: what has more is a name, and a float would change it.
_FLOAT = re.compile(r"-?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\Z")
# With fewer values than this a column is kept as categories, though they may all be distinct.
_MANY_VALUES = 256
_MOSTLY = 0.9


def names_of(path: Path, dialect: TableDialect) -> list[str]:
    """Return the names of all columns of a table; one in JSON is read as a whole for that.

    Parameters
    ----------
    path : Path
        The table.
    dialect : TableDialect
        Its delimiter.

    Returns
    -------
    list of str
    """
    from arraystore import _core

    if is_json(path):
        return _core.read_json_table(str(path), [], others="category").names
    return read_header(path, dialect.delimiter)


def infer_columns(path: Path, dialect: TableDialect, *, key: str) -> tuple[tuple[TableColumn, ...], Table]:
    """Find out the kind of each column: booleans or numbers if all cells are; else categories, or texts if most differ.

    Parameters
    ----------
    path : Path
        The table.
    dialect : TableDialect
        Its delimiter and its missing cells. The kinds of columns that it names are not found out.
    key : str
        Column of the keys, which are texts.

    Returns
    -------
    columns : tuple of TableColumn
        In the order of the table, with the key.
    table : Table
        The others, as categories.

    Raises
    ------
    SourceError
        If the table is damaged, or has no such key.
    """
    from arraystore import _core

    known = {column.name: column for column in dialect.columns}
    if is_json(path):
        table = _core.read_json_table(str(path), [], others="category", missing=dialect.missing)
        names = table.names
    else:
        names = [each.name for each in columns_of(path, dialect, key=key)]
        table = _core.read_table(
            str(path),
            [(name, "category") for name in names if name != key],
            delimiter=dialect.delimiter,
            missing=dialect.missing,
        )

    def of(name: str) -> TableColumn:
        if name == key:
            return TableColumn(key, "string")
        return known.get(name) or TableColumn(name, _kind_of(table.categories(name), len(table)))

    return tuple(of(name) for name in names), table


def _kind_of(values: Sequence[str], cells: int) -> ColumnKind:
    if values and set(values) <= BOOLEANS:
        return "boolean"
    if values and all(map(_INTEGER.match, values)):
        return "integer"
    if values and all(map(_is_float, values)):
        return "float"
    return "string" if len(values) >= _MANY_VALUES and len(values) > _MOSTLY * cells else "category"


def _is_float(value: str) -> bool:
    return _FLOAT.match(value) is not None and math.isfinite(float(value))
