"""The columns of a store: the cells of the table in the order of the records, and what only the paths tell."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.format.columns import (
    CategoricalColumn,
    NullableColumn,
    NumericColumn,
    TextsColumn,
    WritableColumn,
    categorical,
)
from arraystore.ingestion.content import LazyColumns
from arraystore.ingestion.extras import JoinedTable
from arraystore.ingestion.plan import Plan
from arraystore.sources.archive import column, concatenate
from arraystore.sources.base import ImageSet
from arraystore.sources.inference import BOOLEANS
from arraystore.sources.tables import MetadataTable, TableColumn

if TYPE_CHECKING:
    from arraystore._core import Strings


_logger = logging.getLogger(__name__)


def build_columns(
    plan: Plan, images: ImageSet, metadata: MetadataTable | None, joined: Sequence[JoinedTable] = (), *, key: str
) -> LazyColumns:
    """Gather the columns of all records.

    Parameters
    ----------
    plan : Plan
        Which record has which row.
    images : ImageSet
        What the paths tell: the values of records without a row.
    metadata : MetadataTable or None
        The table.
    joined : sequence of JoinedTable
        Further tables. A column that stands in several is that of the first.
    key : str
        The key column, which is the index of the data frame and none of its columns.

    Returns
    -------
    LazyColumns
        In the order of the table; then those of the further tables; then what only the paths tell.
    """
    columns: dict[str, Callable[[], WritableColumn]] = {}
    for each in metadata.columns if metadata is not None else ():
        if metadata is not None and each.name != key and each.kind != "text":
            columns[each.name] = partial(_gather, metadata, plan.table_row, each, plan, images)
    for each_table in joined:
        _add_joined(columns, each_table, [key, *text_names(metadata)])
    for name in images.labels:
        if name not in columns:
            columns[name] = partial(_from_paths, plan, images, name)
    return LazyColumns(columns)


def text_names(metadata: MetadataTable | None) -> list[str]:
    """Return the names of the columns that become text fields."""
    return [each.name for each in metadata.columns if each.kind == "text"] if metadata is not None else []


def _add_joined(columns: dict[str, Callable[[], WritableColumn]], joined: JoinedTable, taken: Sequence[str]) -> None:
    extra, row = joined.extra, joined.row
    found: dict[str, Callable[[], WritableColumn]] = {}
    if extra.table is not None:
        for each in extra.table.columns:
            if each.name != extra.by:
                found[each.name] = partial(_gather, extra.table, row, each)
    for name, values in extra.flags.items():
        found[name] = partial(_flags, values, row)
    twice = [name for name in found if name in columns or name in taken]
    if twice:
        _logger.info("%s: left out, since they stand in a table before it: %s", extra.path, ", ".join(twice))
    columns |= {name: make for name, make in found.items() if name not in twice}


def _flags(values: npt.NDArray[np.bool_], row: npt.NDArray[np.int64]) -> NumericColumn:
    return NumericColumn(_take(values, row, missing=False))


def _gather(
    metadata: MetadataTable,
    row: npt.NDArray[np.int64],
    of: TableColumn,
    plan: Plan | None = None,
    images: ImageSet | None = None,
) -> WritableColumn:
    table, name, kind = metadata.table, of.name, of.kind
    if kind in ("category", "boolean"):
        codes, categories = _take(column(table.codes(name), np.int32), row, missing=-1), table.categories(name)
        if kind == "boolean" and categories and BOOLEANS.issuperset(categories) and (codes >= 0).all():
            return NumericColumn(np.array([name == "True" for name in categories], np.bool_)[codes])
        if plan is None or images is None:
            return categorical(codes, categories)
        return _with_labels(plan, images, name, codes, categories)
    if kind == "float":
        return NumericColumn(_take(column(table.floats(name), np.float64), row, missing=np.nan))
    if kind == "integer":
        values, mask = table.integers(name)
        missing = _take(column(mask, np.uint8).astype(bool), row, missing=True)
        return _integers(_take(column(values, np.int64), row, missing=0), missing, of.dtype)
    return _strings(table.strings(name), row)


def _take(values: npt.NDArray[Any], row: npt.NDArray[np.int64], *, missing: float) -> npt.NDArray[Any]:
    if len(row) == len(values) and _is_counting(row):
        return values
    # Row -1 finds the last entry.
    return np.append(values, values.dtype.type(missing))[row]


def _is_counting(row: npt.NDArray[np.int64]) -> bool:
    """Tell whether these are all rows of a table, in its order; most often they are."""
    return not len(row) or (int(row[0]) == 0 and int(row[-1]) == len(row) - 1 and bool((np.diff(row) == 1).all()))


def _integers(values: npt.NDArray[Any], missing: npt.NDArray[Any], dtype: str) -> WritableColumn:
    kept = np.where(missing, 0, values) if missing.any() else values
    limits = np.iinfo(dtype)
    if not len(kept) or (kept.min() >= limits.min and kept.max() <= limits.max):
        kept = kept.astype(dtype)
    return NullableColumn(kept, missing) if missing.any() else NumericColumn(kept)


def _strings(values: Strings, row: npt.NDArray[np.int64]) -> WritableColumn:
    from arraystore import _core

    if len(row) == len(values) and _is_counting(row):
        missing = np.diff(column(values.offsets, np.uint64)) == 0
        return TextsColumn(values, missing if missing.any() else None)
    padded = concatenate(values, _core.Strings.from_list([""]))
    taken = padded.take(np.where(row < 0, len(values), row).astype(np.uint64))
    missing = np.diff(column(taken.offsets, np.uint64)) == 0
    return TextsColumn(taken, missing if missing.any() else None)


def _with_labels(
    plan: Plan, images: ImageSet, name: str, codes: npt.NDArray[Any], categories: list[str]
) -> CategoricalColumn:
    """Add what the paths tell of records without a row."""
    names, merged = list(categories), codes
    if name in images.labels:
        labels = images.labels[name]
        position = {category: index for index, category in enumerate(names)}
        for category in labels.categories:
            if category not in position:
                position[category] = len(names)
                names.append(category)
        recode = np.array([*(position[category] for category in labels.categories), -1], np.int64)
        is_extra = plan.table_row[plan.record] < 0
        if is_extra.any():
            merged = codes.copy()
            merged[plan.record[is_extra]] = recode[labels.codes[plan.image[is_extra]]]
    return categorical(merged, names)


def _from_paths(plan: Plan, images: ImageSet, name: str) -> CategoricalColumn:
    labels = images.labels[name]
    codes = np.full(plan.n, -1, np.int64)
    codes[plan.record] = labels.codes[plan.image]
    return categorical(codes, labels.categories)
