"""The metadata of a data set as the `pandas.DataFrame` that bioscan-dataset has; pandas is imported when needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.integrations.bioscan.categories import Categories
from arraystore.reader.column import need_pandas

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["make_frame"]


def make_frame(
    columns: Sequence[tuple[str, Categories | npt.NDArray[Any]]],
    rows: npt.NDArray[np.int64],
    index: npt.NDArray[np.int64],
) -> pd.DataFrame:
    """Make a data frame.

    Parameters
    ----------
    columns : sequence of (str, Categories or ndarray)
        Names and contents. Categories are those of all rows of the store, an array is of `rows` alone: numbers, or
        objects (str, NaN) for text.
    rows : ndarray of int64, shape (n,)
        Rows of the store.
    index : ndarray of int64, shape (n,)
        What the frame calls its rows.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ImportError
        If pandas is not installed (``arraystore[pandas]``).
    """
    pandas = need_pandas()
    text = object if int(pandas.__version__.split(".")[0]) < 3 else str
    made: dict[str, Any] = {}
    for name, values in columns:
        if isinstance(values, Categories):
            names = pandas.Index(values.names, dtype=text)
            made[name] = pandas.Categorical.from_codes(values.codes[rows], names)
        else:
            made[name] = pandas.array(values, dtype=text) if text is str and values.dtype == object else values
    frame: pd.DataFrame = pandas.DataFrame(made, index=pandas.Index(index))
    return frame
