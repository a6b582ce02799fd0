"""Columns are compared, counted and handed on as NumPy, pandas and Arrow would do it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arraystore.errors import FormatError, InvalidRequestError, UnknownColumnError
from arraystore.format.columns import CategoricalColumn, NullableColumn, NumericColumn, StringColumn
from arraystore.reader.column import Column, check_stored, freeze
from arraystore.reader.columns import Columns

ORDERS = ["Coleoptera", "Diptera", "Hemiptera"]


def categorical(codes):
    return CategoricalColumn(np.array(codes, np.int8), np.array(ORDERS, object))


def nullable(values):
    mask = np.array([value is None for value in values], bool)
    return NullableColumn(np.array([value or 0 for value in values], np.int64), mask)


def strings(values):
    mask = np.array([value is None for value in values], bool)
    return StringColumn(np.array([value or "" for value in values], object), mask)


codes = st.lists(st.integers(-1, 2), max_size=20)
numbers = st.lists(st.none() | st.integers(-3, 3), max_size=20)
texts = st.lists(st.none() | st.sampled_from(["", "a", "NA", "ö"]), max_size=20)


@given(codes, st.sampled_from([*ORDERS, "Unknown", None]))
def test_a_categorical_is_compared_on_its_codes(codes, value):
    column = Column("order", categorical(codes))
    expected = np.array([(ORDERS[code] if code >= 0 else None) == value for code in codes], bool)
    np.testing.assert_array_equal(column == value, expected)
    np.testing.assert_array_equal(column != value, ~expected)
    np.testing.assert_array_equal(column.isin([value, "Diptera"]), expected | (column == "Diptera"))
    assert column.to_numpy().tolist() == [ORDERS[code] if code >= 0 else None for code in codes]


@given(numbers, st.none() | st.integers(-3, 3))
def test_a_nullable_integer_is_compared_with_its_mask(values, value):
    column = Column("index", nullable(values))
    np.testing.assert_array_equal(column == value, np.array([each == value for each in values], bool))
    assert column.to_pandas().tolist() == pd.array(values, "Int64").tolist()
    assert column.to_arrow().to_pylist() == values


@given(texts, st.none() | st.sampled_from(["", "a", "NA"]))
def test_text_is_compared_with_its_mask(values, value):
    column = Column("place", strings(values))
    np.testing.assert_array_equal(column == value, np.array([each == value for each in values], bool))
    assert column.to_numpy().tolist() == values == column.to_arrow().to_pylist()


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, np.float32("nan")])
def test_missing_is_selected_by_any_of_its_names(missing):
    assert (Column("lat", NumericColumn(np.array([1.0, np.nan]))) == missing).tolist() == [False, True]
    assert (Column("order", categorical([-1, 0])) == missing).tolist() == [True, False]


@given(codes, st.data())
def test_rows_are_taken_before_values_are_made(codes, data):
    rows = data.draw(st.lists(st.integers(0, len(codes) - 1))) if codes else []
    column = Column("order", categorical(codes), np.array(rows, np.int64))
    whole = Column("order", categorical(codes))
    assert len(column) == len(rows)
    np.testing.assert_array_equal(column.to_numpy(), whole.to_numpy()[np.array(rows, np.int64)])
    for position in range(len(rows)):
        assert column[position] == whole[rows[position]]


@given(codes)
def test_counts_are_those_of_pandas(codes):
    column = Column("order", categorical(codes))
    counts = column.to_pandas().value_counts()
    assert column.value_counts() == {name: count for name, count in counts.items() if count}
    assert list(column.value_counts().values()) == sorted(column.value_counts().values(), reverse=True)


def test_a_column_has_a_readable_form():
    assert repr(Column("order", categorical([0, -1] * 9))) == (
        "Column('order', 18 values of 3 categories: Coleoptera, None, Coleoptera, None, Coleoptera, None, ...)"
    )


def test_text_is_not_compared_with_numbers():
    with pytest.raises(InvalidRequestError, match="column 'lat' holds numbers: it cannot be compared with 'north'"):
        _ = Column("lat", NumericColumn(np.array([1.0]))) == "north"


@pytest.mark.parametrize("value", [0, 1.5, b"Diptera", ["Diptera"], {"Diptera"}])
def test_numbers_are_not_compared_with_text(value):
    for column in (Column("order", categorical([0, 1])), Column("place", strings(["a", "b"]))):
        with pytest.raises(InvalidRequestError, match=f"column '{column.name}' holds text: it cannot be compared"):
            column.isin([value])


@pytest.mark.parametrize("values", ["Diptera", b"Diptera", 5, None, {"Diptera": 1}])
def test_isin_takes_a_list_of_values(values):
    """The letters of a text are no values."""
    with pytest.raises(InvalidRequestError, match="column 'order': isin: expected a list of values, found"):
        Column("order", categorical([0, 1])).isin(values)


def test_isin_takes_any_iterable():
    column = Column("order", categorical([0, 1, 2, -1]))
    for kind in (list, tuple, set, iter, np.array, pd.Series, lambda values: dict.fromkeys(values).keys()):
        assert column.isin(kind(["Diptera", "Hemiptera"])).tolist() == [False, True, True, False]
    assert column.isin(value for value in ["Diptera", None]).tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    "stored",
    [categorical([0, 1]), NumericColumn(np.array([1.0, 2.0])), nullable([1, None]), strings(["a", None])],
    ids=lambda stored: type(stored).__name__,
)
def test_pandas_writes_into_its_own_memory(stored):
    freeze(stored)
    column = Column("x", stored)
    before = column.to_numpy().tolist()
    series = column.to_pandas()
    series.iloc[0] = series.iloc[1]
    assert series.iloc[0] is series.iloc[1] or series.iloc[0] == series.iloc[1]
    np.testing.assert_array_equal(column.to_numpy().tolist(), before)


STORED = {
    "order": categorical([0, 1, -1]),
    "coord-lat": NumericColumn(np.array([1.0, np.nan, 3.0])),
    "index": nullable([7, None, 9]),
    "place": strings(["a", None, "NA"]),
}


@pytest.fixture
def columns():
    return Columns(list(STORED), load=STORED.__getitem__, keys=lambda: ("processid", ["A", "B", "C"]), n=3)


def test_a_frame_has_the_types_of_its_columns(columns):
    frame = columns.to_pandas()
    assert frame.index.tolist() == ["A", "B", "C"]
    assert frame.index.name == "processid"
    assert [str(dtype) for dtype in frame.dtypes] == ["category", "float64", "Int64", str(pd.Series(["text"]).dtype)]
    assert columns.to_pandas(["place"]).columns.tolist() == ["place"]


def test_an_arrow_table_has_the_key_first(columns):
    table = columns.to_arrow()
    assert table.column_names == ["processid", "order", "coord-lat", "index", "place"]
    assert table["order"].to_pylist() == ["Coleoptera", "Diptera", None]
    assert table["coord-lat"].to_pylist() == [1.0, None, 3.0]
    assert str(table["order"].type).startswith("dictionary")


def test_an_unknown_column_is_named_with_those_that_are_close(columns):
    with pytest.raises(UnknownColumnError, match="no column 'coord_lat': did you mean 'coord-lat'"):
        columns["coord_lat"]
    with pytest.raises(KeyError, match="no column 'xyz': there are order, coord-lat"):
        columns["xyz"]
    assert columns.get("xyz") is None
    assert "order" in columns
    with pytest.raises(InvalidRequestError, match="a list of names"):
        columns.to_pandas("order")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (categorical([0, 1]), r"\[2\] values for 3 records"),
        (categorical([0, 1, 3]), "codes 0 to 3 for 3 categories"),
        (categorical([0, 1, -2]), "codes -2 to 1"),
        (NullableColumn(np.zeros(3, int), np.zeros(2, bool)), r"\[2, 3\] values"),
        (CategoricalColumn(np.zeros(3), np.array(ORDERS, object)), "codes of type float64"),
        (NullableColumn(np.zeros(3, int), np.zeros(3, int)), "mask of type int64"),
    ],
)
def test_a_column_of_a_file_is_not_believed(stored, message):
    with pytest.raises(FormatError, match=f"column 'order' has {message}"):
        check_stored("order", stored, 3)


def test_large_integers_beside_missing_ones_are_counted_as_they_are():
    values, mask = np.array([2**53 + 1, 2**53, 5, 5], np.int64), np.array([False, False, False, True])
    assert Column("id", NullableColumn(values, mask)).value_counts() == {5: 1, 2**53: 1, 2**53 + 1: 1}
