"""The list of poor images of BIOSCAN-1M: an Excel file of sample ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from arraystore.errors import SourceError
from arraystore.sources.extra_tables import ExtraTable

NAME = "BIOSCAN_1M_low_quality_images.xlsx"
COLUMN = "low_quality"
BY = "sampleid"

# A header may stand below a title.
_HEADER_ROWS = 20


def read_quality_list(path: Path) -> ExtraTable:
    """Read the sample ids of a list.

    They are those of the column that is called `sampleid` in any sheet, else those of the first column of each sheet.
    They are taken as text, without white space around them; an id that Excel has made a number of is that number.

    Parameters
    ----------
    path : Path
        An .xlsx file.

    Returns
    -------
    ExtraTable
        With the one flag `low_quality`, true for each id.

    Raises
    ------
    SourceError
        If it is no such file, or has no ids.
    ImportError
        If openpyxl is not installed (``arraystore[xlsx]``).
    """
    from arraystore import _core

    sheets = [list(rows) for rows in _sheets(path)]
    headed = [ids for rows in sheets if (ids := _below_header(rows)) is not None]
    cells = headed or [[row[0] for row in rows if row] for rows in sheets]
    ids = list(dict.fromkeys(text for column in cells for cell in column if (text := _text(cell))))
    if not ids:
        raise SourceError(f"{path}: no sample ids in any of its sheets", "no-table")
    return ExtraTable(path, BY, _core.Strings.from_list(ids), flags={COLUMN: np.ones(len(ids), bool)})


def _sheets(path: Path) -> Iterator[Iterable[tuple[Any, ...]]]:
    try:
        import openpyxl
    except ImportError as error:
        raise ImportError(
            f"{path} needs openpyxl: pip install 'arraystore[xlsx]', or name only the other tables with --metadata"
        ) from error
    # Not by its name: openpyxl refuses what is not called .xlsx in its own way.
    with path.open("rb") as file:
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            for sheet in book.worksheets:
                # What a program wrote there of the size of the sheet may be wrong.
                sheet.reset_dimensions()
                yield list(sheet.iter_rows(values_only=True))
        # It is a zip of XML, and openpyxl raises whatever these do.
        except Exception as error:
            raise SourceError(
                f"{path}: it is no Excel file that can be read: {type(error).__name__}: {error}", "no-table"
            ) from error


def _below_header(rows: list[tuple[Any, ...]]) -> list[Any] | None:
    for number, row in enumerate(rows[:_HEADER_ROWS]):
        for place, cell in enumerate(row):
            if isinstance(cell, str) and cell.strip().casefold() == BY:
                return [below[place] for below in rows[number + 1 :] if place < len(below)]
    return None


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()
