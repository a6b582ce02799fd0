"""How stores show themselves in a notebook: counts, thumbnails, single records, as strings of plain HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import ArrayStoreError, InvalidRequestError
from arraystore.integrations.pictures import picture_html
from arraystore.reader.arguments import integer
from arraystore.reader.columns import unknown_column
from arraystore.reader.indexing import is_single, single_row
from arraystore.reader.records import Records
from arraystore.reader.sampling import sample_rows

__all__ = ["Grid", "Record", "summary_html"]

# Records that a summary has pictures of (patches do not become much smaller), and those that a grid shows at most.
_SUMMARY_PICTURES = 8
_SUMMARY_PATCHES = 2
_MOST_PICTURES = 500
_MOST_LINES = 10
_SIDE = 128

# The most exact of the ranks that a record has is its label.
_RANKS = ("order", "family", "subfamily", "genus", "species")

# Of what holds texts of the data: a page with MathJax would take dollar signs in them for formulas.
_NO_MATH = 'class="tex2jax_ignore mathjax_ignore"'

# A line between what the store says of a record and what its table says.
_GROUP = "border-bottom:1px solid"

_CELL = "display:inline-block;margin:4px;vertical-align:top;text-align:center;font-size:11px"


class Grid:
    """Some records as a grid of pictures, each with its key and some columns; made by ``store.show``.

    Parameters
    ----------
    table : Store or View
        Where they are.
    rows : ndarray of int64
        Which.
    columns : sequence of str, optional
        What is written below each picture; the most exact label if not given.
    size : int
        Longest side of a picture in pixels of the screen.
    """

    def __init__(
        self, table: Records, rows: npt.NDArray[np.int64], *, columns: Sequence[str] | None, size: int
    ) -> None:
        self.table, self.rows = table, rows
        self._size = integer("size", size, least=8, most=4096)
        for name in columns or ():
            if name not in table.columns:
                raise unknown_column(name, table.columns.names)
        self._columns = columns

    @classmethod
    def of(
        cls, table: Records, index: Any = None, *, columns: str | Sequence[str] | None = None, size: int = _SIDE
    ) -> Grid:
        """Make a grid of what an index stands for: a row, a key or many of them; or of a few drawn at random.

        Raises
        ------
        InvalidRequestError
            If there are more than 500.
        UnknownKeyError, IndexError, UnknownColumnError
            If there is no such record or column.
        """
        named = [columns] if isinstance(columns, str) else columns
        if index is None:
            drawn = sample_rows(min(2 * _SUMMARY_PICTURES, len(table)), len(table), seed=0)
            return cls(table, np.sort(drawn), columns=named, size=size)
        if is_single(index):
            index = [single_row(index, len(table), table.find)]
        rows = table.rows(index)
        if len(rows) > _MOST_PICTURES:
            raise InvalidRequestError(
                f"rows: expected at most {_MOST_PICTURES} to show, found {len(rows):,}: take some, store.sample(50)"
            )
        return cls(table, rows, columns=named, size=size)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        head = f"Grid({len(self):,} of {len(self.table):,} records)"
        few = self.table.select(self.rows[:_MOST_LINES])
        captions = [[key, *texts] for key, texts in zip(few.keys, self._words(few), strict=True)]
        lines = [f"  {self.rows[i]:>9,}  {'  '.join(caption)}" for i, caption in enumerate(captions)]
        more = [f"  and {len(self) - len(few):,} more"] if len(self) > len(few) else []
        return "\n".join([head, *lines, *more])

    def _repr_html_(self) -> str:
        # What is looked up for each picture is looked up in a small view: a large one would be gone through each time.
        shown = self.table.select(self.rows)
        words = self._words(shown)
        cells = [self._cell(shown, row, key, words[row]) for row, key in enumerate(shown.keys)]
        return f"<div {_NO_MATH}>{''.join(cells)}</div>"

    def _cell(self, shown: Records, row: int, key: str, words: Sequence[str]) -> str:
        lines = [f"<b>{html.escape(key)}</b>", *map(html.escape, words)]
        width = f"max-width:{max(self._size, 96)}px;overflow-wrap:anywhere"
        return f'<div style="{_CELL}">{picture_html(shown, row, self._size)}<div style="{width}">' + (
            "<br>".join(lines) + "</div></div>"
        )

    def _words(self, shown: Records) -> list[list[str]]:
        """Return what is written below each picture."""
        if self._columns is None:
            return [[] if label is None else [label] for label in _labels(shown)]
        values = {name: shown.columns[name] for name in self._columns}
        return [[f"{name}: {each[row]}" for name, each in values.items()] for row in range(len(shown))]


class Record(Mapping[str, Any]):
    """One record: its columns by name, and beside them in a notebook its picture; made by ``store.record``.

    Attributes
    ----------
    key : str
        Its key.
    row : int
        Its row in the store or view.
    size : tuple of int
        Height and width in pixels.

    Parameters
    ----------
    table : Store or View
        Where it is.
    index : int or str
        Its row or key.

    Raises
    ------
    UnknownKeyError, IndexError
        If there is no such record.
    """

    def __init__(self, table: Records, index: Any) -> None:
        self.row = single_row(index, len(table), table.find)
        self.key = table.keys[self.row]
        # A view of one record: looking a column up in a large view would go through all of it.
        self._table = table.select([self.row])
        self._names = table.columns.names

    def __getitem__(self, name: str) -> Any:
        value = self._table.columns[name][0]
        return value.item() if isinstance(value, np.generic) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its image in pixels, ``(0, 0)`` if it cannot be known; of arrays, those of the first."""
        if self._table._holds_arrays():
            first = next(field for field in self._table.handle.spec.fields if field.kind == "array")
            height, width = (*first.shape, 1, 1)[:2]
        else:
            height, width = self._table.sizes()[0]
        return int(height), int(width)

    @property
    def texts(self) -> dict[str, str | None]:
        """Its texts, such as the barcode, by the names of their fields."""
        return {name: self._table.text(0, field=name) for name in self._text_fields()}

    @property
    def image(self) -> Any:
        """What ``store[row]`` gives: its image, or its arrays by field."""
        return self._table[0]

    def __repr__(self) -> str:
        lines = [f"Record {self.row:,} ({self.key})", *(f"  {name}: {value}" for name, value in self.items())]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(f'<tbody style="{_GROUP}">{"".join(entries)}</tbody>' for entries in self._entries() if entries)
        picture = picture_html(self._table, 0, 2 * _SIDE)
        return (
            f'<div {_NO_MATH} style="display:flex;gap:16px;align-items:flex-start"><div>{picture}</div>'
            f'<table style="font-size:12px">{rows}</table></div>'
        )

    def _entries(self) -> Iterator[list[str]]:
        """Return the lines of the table beside the picture: the store's own, those of the columns, those of the texts.

        For what cannot be read, a line says why. Columns may have the names of the store's own lines.
        """
        size = _value_or_reason(lambda: " × ".join(map(str, self.size)))
        own = [(self._table.handle.spec.key, self.key), ("row", f"{self.row:,}"), ("size", size)]
        yield [_entry(name, value) for name, value in own]
        yield [_entry(name, _value_or_reason(partial(self.__getitem__, name))) for name in self]
        readers = {name: partial(self._table.text, 0, field=name) for name in self._text_fields()}
        yield [_entry(name, _value_or_reason(read)) for name, read in readers.items()]

    def _text_fields(self) -> list[str]:
        return [field.name for field in self._table.handle.spec.fields if field.kind == "text"]


def summary_html(table: Records) -> str:
    """Return what a store or view shows of itself: what it holds, and a few of its records drawn at random.

    Nothing that is wrong with a record or a file stops it: what cannot be shown says why.
    """
    lines = f'<pre style="font-size:12px">{html.escape(_described(table))}</pre>'
    try:
        few = _SUMMARY_PATCHES if table._holds_arrays() else _SUMMARY_PICTURES
        drawn = sample_rows(min(few, len(table)), len(table), seed=0)
        pictures = Grid(table, np.sort(drawn), columns=None, size=_SIDE)._repr_html_()
    except (ArrayStoreError, OSError) as error:
        pictures = f"<p>{html.escape(str(error))}</p>"
    return f"<div {_NO_MATH}>{lines}{pictures}</div>"


def _described(table: Records) -> str:
    try:
        return f"{table!r}\n\n{table.info()!r}"
    except (ArrayStoreError, OSError) as error:
        return f"{table!r}\n\n{error}"


def _value_or_reason(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ArrayStoreError, OSError) as error:
        return str(error)


def _entry(name: str, value: object) -> str:
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    text = '<span style="opacity:0.5">missing</span>' if missing else html.escape(str(value))
    left = "text-align:left;overflow-wrap:anywhere"
    return f'<tr><th style="{left}">{html.escape(name)}</th><td style="{left}">{text}</td></tr>'


def _labels(table: Records) -> list[str | None]:
    """Return for each record the label of the most exact rank that it has."""
    labels: list[str | None] = [None] * len(table)
    for name in _RANKS:
        # Free text is too much for a caption.
        if name in table.columns and (column := table.columns[name]).categories is not None:
            values = column.to_numpy()
            labels = [label if value is None else str(value) for value, label in zip(values, labels, strict=True)]
    return labels
