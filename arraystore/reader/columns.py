"""The columns of a store by name: each is read at first use, all are handed to pandas and Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from arraystore.errors import InvalidRequestError, UnknownColumnError
from arraystore.reader.column import Column, StoredColumn, need_pandas, need_pyarrow

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Columns", "unknown_column"]


class Columns(Mapping[str, Column]):
    """The columns of a store or of a view by name; each is read when it is first asked for.

    Parameters
    ----------
    names : sequence of str
        Their names in order.
    load : callable
        Reads one of them.
    keys : callable
        Gives the name of the key and the keys of all rows.
    n : int
        Number of rows.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        load: Callable[[str], StoredColumn],
        keys: Callable[[], tuple[str, list[str]]],
        n: int,
    ) -> None:
        self._names = tuple(names)
        self._load = load
        self._keys = keys
        self._n = n

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the source."""
        return self._names

    def __getitem__(self, name: str) -> Column:
        if name not in self._names:
            raise unknown_column(name, self._names)
        return Column(name, self._load(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __repr__(self) -> str:
        return f"Columns({self._n:,} rows: {', '.join(self._names)})"

    def to_pandas(self, names: Iterable[str] | None = None) -> pd.DataFrame:
        """Return a `pandas.DataFrame` indexed by key.

        Parameters
        ----------
        names : iterable of str, optional
            Which columns; all of them if not given.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        KeyError
            If there is no such column.
        ImportError
            If pandas is not installed (``arraystore[pandas]``).
        """
        pandas = need_pandas()
        key_name, keys = self._keys()
        columns = {name: self[name].to_pandas().array for name in self._chosen(names)}
        frame: pd.DataFrame = pandas.DataFrame(columns, index=pandas.Index(keys, name=key_name, dtype=object))
        return frame

    def to_arrow(self, names: Iterable[str] | None = None) -> pa.Table:
        """Return a `pyarrow.Table` whose first column is the key.

        Parameters
        ----------
        names : iterable of str, optional
            Which columns; all of them if not given.

        Returns
        -------
        pyarrow.Table
            Categorical columns are dictionary-encoded.

        Raises
        ------
        KeyError
            If there is no such column.
        ImportError
            If pyarrow is not installed (``arraystore[arrow]``).
        """
        pyarrow = need_pyarrow()
        key_name, keys = self._keys()
        arrays = {name: self[name].to_arrow() for name in self._chosen(names)}
        table: pa.Table = pyarrow.table({key_name: pyarrow.array(keys, pyarrow.string()), **arrays})
        return table

    def _chosen(self, names: Iterable[str] | None) -> list[str]:
        if isinstance(names, str):
            raise InvalidRequestError(f"names={names!r}: expected a list of names, [{names!r}]")
        return list(self._names if names is None else names)


def unknown_column(name: object, names: Sequence[str]) -> UnknownColumnError:
    """Make the error for a column that is not there, with the names that are close."""
    # Imported here: a name is rarely wrong.
    import difflib

    close = difflib.get_close_matches(str(name), names, n=3)
    advice = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {', '.join(names)}"
    return UnknownColumnError(f"no column {name!r}: {advice}")
