"""Plots of what a store holds; matplotlib is loaded when one is made."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

import numpy as np

from arraystore.errors import InvalidRequestError
from arraystore.reader.arguments import integer
from arraystore.reader.records import Records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Plot"]

# Of more images, as many are drawn at random: a cloud of points looks the same.
_MOST_POINTS = 20_000


class Plot:
    """Plots of a store or view, as ``store.plot``. Each draws into given axes or new ones, and returns them.

    Parameters
    ----------
    table : Store or View
        What is plotted.

    Examples
    --------
    >>> import arraystore
    >>> store = arraystore.open("cropped_256.zarr")
    >>> store.plot.classes("order", top=5).get_xlabel()
    'records'
    """

    def __init__(self, table: Records) -> None:
        self._table = table

    def __repr__(self) -> str:
        return f"Plot({self._table!r}): sizes(), classes(column)"

    def sizes(self, ax: Axes | None = None) -> Axes:
        """Plot width against height of the images; of more than 20,000, of as many drawn at random.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; new ones if not given.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed (``arraystore[plot]``).
        InvalidRequestError
            If the store holds no images.
        """
        axes = _axes(ax)
        table = self._table
        drawn = table if len(table) <= _MOST_POINTS else table.sample(_MOST_POINTS)
        found = drawn.sizes()
        found = found[found[:, 0] > 0]
        pairs, counts = np.unique(found, axis=0, return_counts=True)
        axes.scatter(pairs[:, 1], pairs[:, 0], s=6 + 20 * np.log1p(counts), alpha=0.4, linewidths=0)
        axes.set(xlabel="width, pixels", ylabel="height, pixels", title=f"sizes of {len(found):,} images")
        return axes

    def classes(self, column: str, *, top: int = 20, ax: Axes | None = None) -> Axes:
        """Plot how many records the most frequent values of a column have.

        Parameters
        ----------
        column : str
            Such as ``"order"``.
        top : int, default 20
            How many values; the others are one bar.
        ax : matplotlib.axes.Axes, optional
            Where to draw; new ones if not given.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed (``arraystore[plot]``).
        UnknownColumnError
            If there is no such column; a `KeyError`.
        InvalidRequestError
            If it has no values.
        """
        most = integer("top", top, least=1, most=1000)
        values = self._table.columns[column]
        counts = values.value_counts()
        if not counts:
            raise InvalidRequestError(f"column {column!r}: all values are missing, so there is nothing to plot")
        axes = _axes(ax)
        bars = {str(name): count for name, count in list(counts.items())[:most]}
        others = sum(list(counts.values())[most:])
        if others:
            bars[_own(f"{len(counts) - most:,} others", bars)] = others
        missing = int(values.isna().sum())
        if missing:
            bars[_own("missing", bars)] = missing
        axes.barh([_plain(name) for name in bars][::-1], list(bars.values())[::-1])
        axes.set(xlabel="records", title=_plain(f"{column}: {len(counts):,} values in {len(values):,} records"))
        return axes


def _own(word: str, taken: Container[str]) -> str:
    """Return a word of ours, marked if a label is the same."""
    while word in taken:
        word = f"({word})"
    return word


def _plain(text: str) -> str:
    """Return what matplotlib shows as this text: without the backslash, dollar signs would begin a formula."""
    return text.replace("$", r"\$")


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'arraystore[plot]'") from error
    return pyplot.figure(layout="constrained").add_subplot()
