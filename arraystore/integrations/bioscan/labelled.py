"""Labels of a dataset and their indices, in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from arraystore.errors import InvalidRequestError
from arraystore.integrations.bioscan.values import Values
from arraystore.reader.column import is_missing

__all__ = ["Labelled"]


class Labelled:
    """The part of a dataset that translates labels and indices."""

    target_aliases: ClassVar[Mapping[str, str]]

    target_type: list[str]
    _values: Values

    def index2label(self, index: Any, column: str | None = None) -> Any:
        """Return the labels of indices.

        Parameters
        ----------
        index : int or array_like of int
            An array or tensor without dimensions is one index. Negative ones stand for a missing label.
        column : str, optional
            One of the target types; the only one of this dataset if not given.

        Returns
        -------
        str, or ndarray of object
            An empty text for a missing label.

        Raises
        ------
        ValueError
            If `column` is not given and there is not one target type, or the column has no labels.
        TypeError
            If `index` is a text.
        IndexError
            If there is no such index.
        """
        names = self._values.categories(self._label_column(column))
        if isinstance(index, str):
            raise TypeError(f"index must be an int or array-like of ints, not {index!r}: did you mean label2index?")
        if np.ndim(index) == 0:
            return "" if index < 0 else names.names[index]
        indices = np.asarray(index, np.int64)
        if (indices >= len(names.names)).any():
            raise IndexError(f"index {int(indices.max())} is out of bounds: there are {len(names.names)} labels")
        labels = names.texts[np.maximum(indices, -1)]
        labels[indices < 0] = ""
        return labels

    def label2index(self, label: Any, column: str | None = None) -> Any:
        """Return the indices of labels.

        Parameters
        ----------
        label : str or iterable of str
            An empty text, None and NaN stand for a missing label.
        column : str, optional
            One of the target types; the only one of this dataset if not given.

        Returns
        -------
        int, or ndarray of int64
            -1 for a missing label.

        Raises
        ------
        UnknownKeyError
            If no record of the data set has this label; a `KeyError`.
        ValueError
            If `column` is not given and there is not one target type, or the column has no labels.
        TypeError
            If `label` is a number.
        """
        name = self._label_column(column)
        categories = self._values.categories(name)

        def code(each: Any) -> int:
            return -1 if is_missing(each) or each == "" else categories.code(each, name)

        if isinstance(label, str) or is_missing(label):
            return code(label)
        if not isinstance(label, Iterable):
            raise TypeError(f"label must be a string or list of strings, not {label!r}: did you mean index2label?")
        return np.array([code(each) for each in label], np.int64)

    def _label_column(self, column: str | None) -> str:
        if column is None and len(self.target_type) != 1:
            raise InvalidRequestError("column must be specified if there isn't a single target_type")
        return self.target_type[0] if column is None else self.target_aliases.get(column, column)
