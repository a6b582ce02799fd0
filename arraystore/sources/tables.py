"""Metadata tables, CSV and the like or JSON: which columns one has, of what types, and how it is read."""

from __future__ import annotations

import csv
import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from arraystore.errors import SourceError

if TYPE_CHECKING:
    from arraystore._core import Table

ColumnKind = Literal["string", "category", "boolean", "float", "integer", "text"]

_EDGE_NBYTES = 1 << 20
# From a folder of one chunk of a split up to what holds the whole data set.
_FOLDERS_UPWARDS = 8

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table: its name in the header, how its cells are kept, and the type of integers that fit.

    A boolean one has cells `True` and `False`; if it has others, or none in a row, it is kept as categories. So is a
    column that nobody has described.
    """

    name: str
    kind: ColumnKind
    dtype: str = "int64"

    @property
    def read_as(self) -> str:
        """How its cells are read from the file."""
        return "category" if self.kind == "boolean" else self.kind


@dataclass(frozen=True, slots=True)
class TableDialect:
    """How a publisher writes a table.

    Parameters
    ----------
    columns : tuple of TableColumn
        The published columns, in any order. A table may lack some, and have others, which are kept as booleans or
        categories.
    delimiter : str, default ","
        One character.
    missing : tuple of str, default only the empty cell
        Cells that stand for a missing value.
    """

    columns: tuple[TableColumn, ...]
    delimiter: str = ","
    missing: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class MetadataTable:
    """A table that was read.

    Parameters
    ----------
    path : Path
        Where it was read from.
    columns : tuple of TableColumn
        Its columns in the order of the header, with the key.
    table : Table
        The cells.
    """

    path: Path
    columns: tuple[TableColumn, ...]
    table: Table

    def __len__(self) -> int:
        return len(self.table)

    def has(self, name: str) -> bool:
        """Tell whether there is a column of this name."""
        return any(column.name == name for column in self.columns)

    def place(self, row: int) -> str:
        """Return where a row stands in the file, for messages."""
        # The header is line 1. With line breaks inside of quotes the number is only that of the row.
        return f"object {row + 1}" if is_json(self.path) else f"line {row + 2}"


def is_json(path: Path) -> bool:
    """Tell whether a table is an array of JSON objects, by its suffix.

    Examples
    --------
    >>> is_json(Path("metadata.jsonld")), is_json(Path("metadata.csv"))
    (True, False)
    """
    return path.suffix.lower() in (".json", ".jsonld")


def columns_of(path: Path, dialect: TableDialect, *, key: str) -> tuple[TableColumn, ...]:
    """Find out which columns a table has, and of what kind each is.

    Parameters
    ----------
    path : Path
        A text table with a header.
    dialect : TableDialect
        Its delimiter, and the published columns. Others are kept as booleans or categories, which loses nothing.
    key : str
        The column that must be there.

    Returns
    -------
    tuple of TableColumn
        In the order of the header.

    Raises
    ------
    SourceError
        If the key column is missing, or a name occurs twice or cannot be the name of an array.
    """
    header = read_header(path, dialect.delimiter)
    if key not in header:
        raise SourceError(
            f"{path}: no column {key!r} in the header {header[:30]}{other_delimiter(header, dialect)}", "no-key-column"
        )
    return _columns_named(path, header, dialect)


def _columns_named(path: Path, header: Sequence[str], dialect: TableDialect) -> tuple[TableColumn, ...]:
    by_name = {column.name: column for column in dialect.columns}
    if "" in header:
        # What `DataFrame.to_csv` writes above its row numbers.
        _logger.warning("%s: a column without a name is left out", path)
    names = [name for name in header if name]
    for name in names:
        if names.count(name) > 1:
            raise SourceError(f"{path}: two columns are called {name!r}: rename one of them", "column-name")
        if _cannot_be_a_path(name):
            raise SourceError(
                f"{path}: a column cannot be called {name!r}: rename it, without '/', without a leading '_', not '.', "
                "'..' or 'zarr.json', and of up to 200 bytes",
                "column-name",
            )
    return tuple(by_name.get(name, TableColumn(name, "boolean")) for name in names)


def read_header(path: Path, delimiter: str) -> list[str]:
    """Return the names of the columns of a text table: the cells of its first line.

    Parameters
    ----------
    path : Path
        A text table, with or without a byte order mark.
    delimiter : str
        One character.

    Returns
    -------
    list of str
        Empty for an empty file.

    Raises
    ------
    SourceError
        If that line is not UTF-8, or no line of a table. What follows it is not looked at.
    """
    # A reader of text decodes a buffer ahead, and so would blame the header for what a later line holds.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        try:
            header = next(csv.reader(file, delimiter=delimiter), [])
            "".join(header).encode()
        except (UnicodeError, csv.Error) as error:
            raise SourceError(f"{path}: its header is no UTF-8 CSV: {error}", "no-table") from error
    return header


def other_delimiter(header: list[str], dialect: TableDialect) -> str:
    r"""Return the end of a message on a header that is one cell, because another delimiter was expected.

    Examples
    --------
    >>> other_delimiter(["key\torder"], TableDialect(()))
    '; its cells are separated by tabs, where commas are expected'
    """
    names = {",": "commas", "\t": "tabs", ";": "semicolons"}
    other = next((each for each in names if len(header) == 1 and each in header[0] and each != dialect.delimiter), None)
    if other is None:
        return ""
    expected = names.get(dialect.delimiter, repr(dialect.delimiter))
    return f"; its cells are separated by {names[other]}, where {expected} are expected"


def _cannot_be_a_path(name: str) -> bool:
    # A column is a directory of this name; Zarr keeps names that begin with `__` for itself, AnnData those with `_`.
    has_odd_letter = any(letter in "/\\" or not letter.isprintable() for letter in name)
    is_taken = name.startswith("_") or name.casefold() in (".", "..", "zarr.json")
    return has_odd_letter or is_taken or len(name.encode()) > 200


def read_metadata(
    path: Path,
    dialect: TableDialect,
    *,
    key: str,
    spill: Path,
    progress: Callable[[int, int], None] | None = None,
) -> MetadataTable:
    """Read a metadata table.

    Parameters
    ----------
    path : Path
        A text table with a header, in UTF-8, with or without a byte order mark; or, if it is called `.json` or
        `.jsonld`, one JSON array of flat objects. Only the cells that the dialect says are missing, and null in JSON:
        `NA`, `None` or `null` as texts are text.
    dialect : TableDialect
        How it is written.
    key : str
        Name of the key column.
    spill : Path
        File to write long texts to, since they need not fit in memory.
    progress : callable, optional
        Called with the numbers of rows and bytes so far.

    Returns
    -------
    MetadataTable

    Raises
    ------
    SourceError
        If the table is damaged, or a cell is not of the type of its column.
    """
    from arraystore import _core

    if is_json(path):
        return _read_json(path, dialect, key=key, spill=spill, progress=progress)
    columns = columns_of(path, dialect, key=key)
    table = _core.read_table(
        str(path),
        [(column.name, column.read_as) for column in columns],
        delimiter=dialect.delimiter,
        missing=dialect.missing,
        spill=str(spill),
        progress=progress,
    )
    return MetadataTable(path, columns, table)


def _read_json(
    path: Path,
    dialect: TableDialect,
    *,
    key: str,
    spill: Path,
    progress: Callable[[int, int], None] | None,
) -> MetadataTable:
    from arraystore import _core

    kinds = {column.name: column.read_as for column in dialect.columns} | {key: "string"}
    table = _core.read_json_table(
        str(path),
        [(name, f"{kind}?") for name, kind in kinds.items()],
        others="category",
        missing=dialect.missing,
        spill=str(spill),
        progress=progress,
    )
    names = table.names
    if key not in names:
        raise SourceError(f"{path}: no object has the name {key!r}, there are {names[:30]}", "no-key-column")
    return MetadataTable(path, _columns_named(path, names, dialect), table)


def fingerprint_file(path: Path) -> str:
    """Return a text that changes when a file does: of its name, size, time and the first and last MiB.

    Parameters
    ----------
    path : Path
        A file of any size.

    Returns
    -------
    str
        Hexadecimal.
    """
    with path.open("rb") as file:
        facts = os.fstat(file.fileno())
        digest = hashlib.blake2b(f"{path.name} {facts.st_size} {facts.st_mtime_ns}".encode(), digest_size=8)
        digest.update(file.read(_EDGE_NBYTES))
        file.seek(max(facts.st_size - _EDGE_NBYTES, 0))
        digest.update(file.read(_EDGE_NBYTES))
    return digest.hexdigest()


def find_upwards(paths: Sequence[Path], names: Sequence[Path]) -> Path | None:
    """Look for a file in each source and in the folders above it.

    Parameters
    ----------
    paths : sequence of Path
        The sources.
    names : sequence of Path
        Where the file may lie, seen from such a folder.

    Returns
    -------
    Path or None
        The first that is there.
    """
    for path in paths:
        absolute = path.absolute()
        for folder in [absolute, *absolute.parents][:_FOLDERS_UPWARDS]:
            for name in names:
                if (folder / name).is_file():
                    return folder / name
    return None
