"""Further tables joined to the records of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from arraystore.errors import SourceError
from arraystore.ingestion.plan import Plan, check_table_keys
from arraystore.sources.archive import column, concatenate
from arraystore.sources.extra_tables import ExtraTable
from arraystore.sources.tables import MetadataTable

if TYPE_CHECKING:
    from arraystore._core import Strings


@dataclass(frozen=True, slots=True)
class UnmatchedRows:
    """Rows of a further table that are of no record and of no row of the first table.

    Parameters
    ----------
    path : Path
        The further table.
    by : str
        What its keys are called.
    keys : Strings
        Those of these rows.
    """

    path: Path
    by: str
    keys: Strings


@dataclass(frozen=True, slots=True)
class JoinedTable:
    """A further table and its rows for the records.

    Parameters
    ----------
    extra : ExtraTable
        The table.
    row : ndarray of int64, shape (n,)
        Row of it for each record, -1 if there is none.
    unmatched : UnmatchedRows
        Its other rows.
    """

    extra: ExtraTable
    row: npt.NDArray[np.int64]
    unmatched: UnmatchedRows


def join_extra(plan: Plan, metadata: MetadataTable, extra: ExtraTable, *, key: str) -> JoinedTable:
    """Find the row of a further table for each record.

    Parameters
    ----------
    plan : Plan
        The records.
    metadata : MetadataTable
        The first table.
    extra : ExtraTable
        The further one.
    key : str
        Key of the store.

    Returns
    -------
    JoinedTable

    Raises
    ------
    DuplicateKeyError
        If two of its rows have the same key.
    SourceError
        If the first table has not the column by which it is joined, or a row has no key.
    """
    if extra.table is not None:
        check_table_keys(extra.table, extra.keys, extra.by)
    if not metadata.has(extra.by):
        raise SourceError(
            f"{metadata.path}: no column {extra.by!r}, by which {extra.path} is joined to it", "no-key-column"
        )
    of_table = metadata.table.strings(extra.by)
    of_records = plan.keys if extra.by == key else _of_records(plan, of_table)
    is_known = (_match(of_table, extra.keys) >= 0) | (_match(of_records, extra.keys) >= 0)
    unmatched = UnmatchedRows(extra.path, extra.by, extra.keys.take(np.flatnonzero(~is_known).astype(np.uint64)))
    return JoinedTable(extra, _match(extra.keys, of_records), unmatched)


def _match(keys: Strings, wanted: Strings) -> npt.NDArray[np.int64]:
    from arraystore import _core

    return column(_core.match_keys(keys, wanted), np.int64)


def _of_records(plan: Plan, values: Strings) -> Strings:
    from arraystore import _core

    padded = concatenate(values, _core.Strings.from_list([""]))
    row = np.where(plan.table_row < 0, len(values), plan.table_row)
    return padded.take(row.astype(np.uint64))
