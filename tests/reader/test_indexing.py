"""Indices mean what they mean to NumPy, and wrong ones are named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arraystore.errors import InvalidRequestError, UnknownKeyError
from arraystore.reader.indexing import batch_rows, is_single, single_row

KEYS = [f"K{row:03d}" for row in range(20)]


def find(keys):
    return np.array([KEYS.index(key) if key in KEYS else -1 for key in keys], np.int64)


sizes = st.integers(0, 40)
bounds = st.none() | st.integers(-50, 50)
slices = st.builds(slice, bounds, bounds, st.none() | st.integers(-5, 5).filter(bool))


@given(sizes, slices)
def test_a_slice_takes_what_numpy_takes(n, index):
    np.testing.assert_array_equal(batch_rows(index, n, find), np.arange(n)[index])


@given(st.data(), sizes.filter(bool), st.sampled_from([np.int8, np.int32, np.int64, list, tuple]))
def test_rows_are_taken_in_the_order_asked(data, n, kind):
    rows = data.draw(st.lists(st.integers(-n, n - 1)))
    index = kind(rows) if kind in (list, tuple) else np.array(rows, kind)
    np.testing.assert_array_equal(batch_rows(index, n, find), np.arange(n)[rows] if rows else [])


@given(st.lists(st.booleans()))
def test_a_mask_takes_what_numpy_takes(mask):
    expected = np.flatnonzero(mask)
    np.testing.assert_array_equal(batch_rows(np.array(mask, bool), len(mask), find), expected)
    if mask:
        np.testing.assert_array_equal(batch_rows(mask, len(mask), find), expected)


@given(sizes, st.integers(-60, 60))
def test_a_single_row_is_as_in_a_list(n, row):
    if -n <= row < n:
        assert single_row(row, n, find) == single_row(np.int64(row), n, find) == range(n)[row]
    else:
        with pytest.raises(IndexError, match=rf"row {row} is out of range: there are {n} records"):
            single_row(row, n, find)
        with pytest.raises(IndexError, match=rf"row {row} \(at 0\) is out of range: there are {n} records"):
            batch_rows([row], n, find)


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Index, lambda keys: np.array(keys, object), pd.Series])
def test_keys_are_looked_up_in_one_call(kind):
    calls = []

    def counted(keys):
        calls.append(list(keys))
        return find(keys)

    assert batch_rows(kind(["K003", "K001"]), 20, counted).tolist() == [3, 1]
    assert calls == [["K003", "K001"]]


def test_integers_without_a_common_type_are_rows():
    """NumPy makes floats of a uint64 beside a negative number."""
    assert batch_rows([np.uint64(5), -1], 20, find).tolist() == [5, 19]


def test_an_unknown_key_is_named():
    with pytest.raises(UnknownKeyError, match=r"^no record has the key 'X'$"):
        single_row("X", 20, find)
    with pytest.raises(KeyError, match="the key 'A', 'B', 'C' and 2 more"):
        batch_rows(["A", "K001", "B", "C", "D", "E"], 20, find)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (np.ones(19, bool), "the mask has 19 values, but there are 20 records"),
        ([1.0, 2.0], "rows are integers, found an array of float64"),
        ([1, "K001"], "rows or keys, not both: item 0 is 1"),
        (["K001", 1], "rows or keys, not both: item 1 is 1"),
        ([b"K001"], "rows are integers"),
        ([[1, 2]], "one dimension"),
        ([1, [2]], "expected rows, keys or a mask"),
        (None, "one dimension"),
        (np.array([2**63], np.uint64), "row 9223372036854775808"),
        ([2**70], "row 1180591620717411303424 .at 0. is out of range"),
        (range(30), "row 20"),
        ([2**64], "row 18446744073709551616 .at 0. is out of range"),
        ([-1, 2**63], "row 9223372036854775808 .at 1. is out of range"),
        (np.array([3, 2**64], object), "row 18446744073709551616 .at 1. is out of range"),
        ([True, 2**64], "rows or keys, not both"),
    ],
)
def test_a_wrong_index_is_an_index_error(index, message):
    with pytest.raises(IndexError, match=message):
        batch_rows(index, 20, find)


@pytest.mark.parametrize("index", [3, np.int32(3), "K003", np.array(3)])
def test_one_record_is_not_many(index):
    assert is_single(index)
    with pytest.raises(InvalidRequestError, match="put it in a list"):
        batch_rows(index, 20, find)


@pytest.mark.parametrize("index", [True, [3], np.array([3]), slice(3), None, 3.0])
def test_what_is_not_one_record(index):
    assert not is_single(index)


@pytest.mark.parametrize("index", [[], (), np.array([]), np.zeros(0, bool), slice(0, 0), range(0)])
def test_nothing_asked_is_nothing_given(index):
    rows = batch_rows(index, 0, find)
    assert rows.dtype == np.int64
    assert rows.shape == (0,)
