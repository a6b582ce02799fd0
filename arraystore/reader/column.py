"""One column: its values, compared on its codes, handed to pandas and Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore.errors import FormatError, InvalidRequestError
from arraystore.format.columns import CategoricalColumn, NullableColumn, NumericColumn, StringColumn
from arraystore.reader.indexing import Rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "Column",
    "Mask",
    "StoredColumn",
    "check_stored",
    "freeze",
    "is_missing",
    "need_pandas",
    "need_pyarrow",
    "take",
]

Mask: TypeAlias = npt.NDArray[np.bool_]
StoredColumn: TypeAlias = CategoricalColumn | NumericColumn | NullableColumn | StringColumn

# The arrays of a stored column, and the kinds of NumPy types that each may have.
_KINDS: Mapping[type, Mapping[str, str]] = {
    CategoricalColumn: {"codes": "i", "categories": "OTU"},
    NumericColumn: {"values": "biuf"},
    NullableColumn: {"values": "iu", "mask": "b"},
    StringColumn: {"values": "OTU", "mask": "b"},
}

# A representation shows so many values.
_SHOWN = 6


class Column:
    """One column of a store or of a view, in row order.

    Parameters
    ----------
    name : str
        Its name.
    stored : CategoricalColumn, NumericColumn, NullableColumn or StringColumn
        As it lies on disk.
    rows : ndarray of int64, optional
        Which rows of `stored`, and in what order; all of them if not given.

    Examples
    --------
    >>> column = Column("order", CategoricalColumn(np.array([1, 0, -1], np.int8), np.array(["Diptera", "Hemiptera"])))
    >>> (column == "Diptera").tolist(), column.to_numpy().tolist()
    ([False, True, False], ['Hemiptera', 'Diptera', None])
    """

    def __init__(self, name: str, stored: StoredColumn, rows: Rows | None = None) -> None:
        self.name = name
        self._stored = stored if rows is None else take(stored, rows)

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, index: Any) -> Any:
        """Return one value, or an array of the values that NumPy indexing gives."""
        # The rows are taken before strings are made of them: one value must not cost five million.
        if isinstance(index, int | np.integer):
            return _values(take(self._stored, np.array([range(len(self))[index]])))[0]
        return _values(take(self._stored, np.arange(len(self))[index]))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.to_numpy())

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        values = self.to_numpy()
        return np.array(values, dtype, copy=copy) if copy else np.asarray(values, dtype)

    def __eq__(self, value: object) -> Mask:  # type: ignore[override]
        return self.isin([value])

    def __ne__(self, value: object) -> Mask:  # type: ignore[override]
        return ~self.isin([value])

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(str(value) for value in self[:_SHOWN])
        more = ", ..." if len(self) > _SHOWN else ""
        kinds = f" of {len(self.categories)} categories" if self.categories is not None else ""
        return f"Column({self.name!r}, {len(self):,} values{kinds}: {shown}{more})"

    @property
    def categories(self) -> list[str] | None:
        """The categories in the order of their codes; None for a column that is not categorical."""
        return self._stored.categories.tolist() if isinstance(self._stored, CategoricalColumn) else None

    @property
    def codes(self) -> npt.NDArray[np.signedinteger[Any]] | None:
        """Index of each value in `categories`, -1 if missing; None for a column that is not categorical."""
        return self._stored.codes if isinstance(self._stored, CategoricalColumn) else None

    def isna(self) -> Mask:
        """Return which values are missing: ndarray of bool, shape (n,)."""
        return _missing(self._stored)

    def isin(self, values: Iterable[object]) -> Mask:
        """Return which values are among these; None, NaN and `pandas.NA` stand for a missing value.

        Parameters
        ----------
        values : iterable
            Strings for a categorical or string column, numbers for the others.

        Returns
        -------
        ndarray of bool, shape (n,)

        Raises
        ------
        InvalidRequestError
            If `values` is one value instead of several, or text is compared with numbers.
        """
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise InvalidRequestError(f"column {self.name!r}: isin: expected a list of values, found {values!r:.100}")
        given = list(values)
        wanted = [value for value in given if not is_missing(value)]
        mask = _equal_to_any(self.name, self._stored, wanted)
        return mask | self.isna() if len(wanted) < len(given) else mask

    def to_numpy(self) -> npt.NDArray[Any]:
        """Return the values: objects (str or None) for text; numbers, as float64 with NaN if integers are missing."""
        return _values(self._stored)

    def to_pandas(self) -> pd.Series[Any]:
        """Return a `pandas.Series`: categorical, nullable, numbers or strings, as the column is.

        Raises
        ------
        ImportError
            If pandas is not installed (``arraystore[pandas]``).
        """
        pandas = need_pandas()
        series: pd.Series[Any] = pandas.Series(_pandas_values(pandas, self._stored), name=self.name)
        return series

    def to_arrow(self) -> pa.Array:
        """Return a `pyarrow.Array`: dictionary-encoded if the column is categorical.

        Raises
        ------
        ImportError
            If pyarrow is not installed (``arraystore[arrow]``).
        """
        return _arrow_array(need_pyarrow(), self._stored)

    def value_counts(self) -> dict[Any, int]:
        """Return how often each value occurs, most frequent first, then by value; missing ones do not count.

        Examples
        --------
        >>> Column("n", NumericColumn(np.array([3, 1, 3]))).value_counts()
        {3: 2, 1: 1}
        """
        if isinstance(self._stored, CategoricalColumn):
            codes = self._stored.codes
            counts = np.bincount(codes[codes >= 0], minlength=len(self._stored.categories))
            values = self._stored.categories
        else:
            # Integers as they are, not as the floats that stand beside missing ones.
            stored = self._stored.values if isinstance(self._stored, NullableColumn) else _values(self._stored)
            values, counts = np.unique(stored[~self.isna()], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {
            values[i].item() if hasattr(values[i], "item") else values[i]: int(counts[i]) for i in order if counts[i]
        }


def check_stored(name: str, stored: StoredColumn, n: int) -> None:
    """Check that a column read from a store can be indexed: nothing of a file is believed.

    Raises
    ------
    FormatError
        If it has another length than the store, or codes beyond its categories.
    """
    for entry, kinds in _KINDS[type(stored)].items():
        values = getattr(stored, entry)
        if values is not None and values.dtype.kind not in kinds:
            raise FormatError(f"column {name!r} has {entry} of type {values.dtype}")
    lengths = {len(stored)}
    if isinstance(stored, NullableColumn | StringColumn) and stored.mask is not None:
        lengths.add(len(stored.mask))
    if lengths != {n}:
        raise FormatError(f"column {name!r} has {sorted(lengths)} values for {n} records")
    if isinstance(stored, CategoricalColumn) and n:
        low, high = int(stored.codes.min()), int(stored.codes.max())
        if low < -1 or high >= len(stored.categories):
            raise FormatError(f"column {name!r} has codes {low} to {high} for {len(stored.categories)} categories")


def freeze(stored: StoredColumn) -> None:
    """Make the arrays of a column read-only, and with them all that shares their memory."""
    for entry in _KINDS[type(stored)]:
        values = getattr(stored, entry)
        if values is not None:
            values.flags.writeable = False


def is_missing(value: object) -> bool:
    """Tell whether a value stands for a missing one: None, NaN, `pandas.NA` or NaT.

    Examples
    --------
    >>> is_missing(None), is_missing(float("nan")), is_missing(""), is_missing(0)
    (True, True, False, False)
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def take(stored: StoredColumn, rows: Rows) -> StoredColumn:
    """Return rows of a column."""
    match stored:
        case CategoricalColumn(codes, categories):
            return CategoricalColumn(codes[rows], categories)
        case NumericColumn(values):
            return NumericColumn(values[rows])
        case NullableColumn(values, mask):
            return NullableColumn(values[rows], mask[rows])
        case StringColumn(strings, missing):
            return StringColumn(np.asarray(strings)[rows], None if missing is None else missing[rows])


def _values(stored: StoredColumn) -> npt.NDArray[Any]:
    match stored:
        case CategoricalColumn(codes, categories):
            # Code -1 finds the None at the end.
            return np.asarray(np.array([*categories.tolist(), None], object)[codes])
        case NumericColumn(values):
            return values
        case NullableColumn(values, mask):
            return np.asarray(np.where(mask, np.nan, values) if mask.any() else values)
        case StringColumn(strings, missing):
            texts = np.array(strings, object)
            if missing is not None:
                texts[missing] = None
            return texts


def _missing(stored: StoredColumn) -> Mask:
    match stored:
        case CategoricalColumn(codes, _):
            return np.asarray(codes < 0)
        case NullableColumn(_, mask):
            return mask
        case NumericColumn(values) if values.dtype.kind == "f":
            return np.asarray(np.isnan(values))
        case StringColumn(_, mask) if mask is not None:
            return mask
        case _:
            return np.zeros(len(stored), np.bool_)


def _equal_to_any(name: str, stored: StoredColumn, wanted: Sequence[object]) -> Mask:
    match stored:
        case CategoricalColumn(codes, categories):
            chosen = _texts(name, wanted)
            # One more entry than categories: code -1, a missing value, finds False at the end.
            table = np.array([*(category in chosen for category in categories.tolist()), False], np.bool_)
            return np.asarray(table[codes])
        case StringColumn(strings, missing):
            chosen = _texts(name, wanted)
            found = np.fromiter((text in chosen for text in np.asarray(strings)), np.bool_, len(stored))
            return np.asarray(found if missing is None else found & ~missing)
        case NullableColumn(values, mask):
            return _numbers_among(name, values, wanted) & ~mask
        case NumericColumn(values):
            return _numbers_among(name, values, wanted)


def _texts(name: str, wanted: Sequence[object]) -> set[str]:
    for value in wanted:
        if not isinstance(value, str):
            advice = f": did you mean {str(value)!r}?" if isinstance(value, int | float | np.number) else ""
            raise InvalidRequestError(f"column {name!r} holds text: it cannot be compared with {value!r:.100}{advice}")
    return {str(value) for value in wanted}


def _numbers_among(name: str, values: npt.NDArray[Any], wanted: Sequence[object]) -> Mask:
    mask = np.zeros(len(values), np.bool_)
    for value in wanted:
        if not isinstance(value, int | float | np.number | np.bool_):
            raise InvalidRequestError(f"column {name!r} holds numbers: it cannot be compared with {value!r:.100}")
        mask |= values == value
    return mask


def need_pandas() -> Any:
    """Import pandas, or say which extra brings it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_pandas needs pandas: pip install 'arraystore[pandas]'") from error
    return pandas


def need_pyarrow() -> Any:
    """Import pyarrow, or say which extra brings it."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("to_arrow needs pyarrow: pip install 'arraystore[arrow]'") from error
    return pyarrow


def _pandas_values(pandas: Any, stored: StoredColumn) -> Any:
    match stored:
        case CategoricalColumn(codes, categories):
            # Copied: pandas would write into the column that the store keeps, or fail since it is read-only.
            return pandas.Categorical.from_codes(codes.copy(), pandas.Index(categories.astype(object), dtype=object))
        case NullableColumn(values, mask):
            return pandas.arrays.IntegerArray(values.copy(), mask.copy())
        case _:
            return _values(stored).copy()


def _arrow_array(pyarrow: Any, stored: StoredColumn) -> pa.Array:
    match stored:
        case CategoricalColumn(codes, categories):
            dictionary = pyarrow.array(categories.tolist(), pyarrow.string())
            return pyarrow.DictionaryArray.from_arrays(pyarrow.array(codes, mask=codes < 0), dictionary)
        case NullableColumn(values, mask):
            return pyarrow.array(values, mask=mask)
        case StringColumn():
            return pyarrow.array(_values(stored), pyarrow.string())
        case NumericColumn(values):
            return pyarrow.array(values, mask=_missing(stored))
