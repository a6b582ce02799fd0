"""Stores compared as a user reads them, and directories to the byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arraystore.errors import MissingImageError

if TYPE_CHECKING:
    from arraystore import Store, View

__all__ = ["assert_same_records", "bytes_of", "files_of"]


def files_of(path: Path) -> dict[str, bytes]:
    """Return the content of every file below a directory, by its path in it."""
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def bytes_of(store: Store | View, index: int | str) -> bytes | None:
    """Return the bytes of an image, None if there is none."""
    try:
        return store.jpeg(index)
    except MissingImageError:
        return None


def assert_same_records(
    one: Store | View,
    other: Store | View,
    *,
    fields: Sequence[str] = ("dna_barcode",),
    status: bool = True,
    categories: bool = True,
) -> None:
    """Assert that two stores have the same keys in the same order, with the same bytes, texts and columns.

    Parameters
    ----------
    one, other : Store or View
        What is compared.
    fields : sequence of str
        Text fields.
    status : bool, default True
        Whether what is known of the images is the same too.
    categories : bool, default True
        Whether also the lists of categories are the same; those of a view are those of its store.
    """
    import pandas as pd

    assert list(one.keys) == list(other.keys)
    assert [bytes_of(one, row) for row in range(len(one))] == [bytes_of(other, row) for row in range(len(other))]
    for field in fields:
        assert one.text(slice(None), field=field) == other.text(slice(None), field=field)
    pd.testing.assert_frame_equal(
        one.columns.to_pandas(), other.columns.to_pandas(), check_categorical=categories, check_dtype=categories
    )
    if status:
        assert one.info().status == other.info().status
        np.testing.assert_array_equal(one.sizes(), other.sizes())
