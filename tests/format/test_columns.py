"""Columns as AnnData reads them, and as we read them back."""

import warnings

import numpy as np
import pandas as pd
import pytest
import zarr
from anndata.io import read_elem
from hypothesis import given, settings
from hypothesis import strategies as st

from arraystore.errors import FormatError
from arraystore.format import zarr_columns
from arraystore.format.columns import (
    CategoricalColumn,
    NullableColumn,
    NumericColumn,
    StringColumn,
    categorical,
)
from arraystore.format.writer import Frame
from arraystore.format.zarr_columns import read_column, write_columns

KEYS = ["ABC-1", "Ünïcode-2", "NA"]


def texts(*values: str) -> np.ndarray:
    return np.array(values, dtype=object)


COLUMNS = {
    "order": categorical([1, -1, 0], ["NA", "Diptera"]),
    "coord-lat": NumericColumn(np.array([1.5, np.nan, -3.0])),
    "inferred_ranks": NumericColumn(np.array([0, 7, 255], np.uint8)),
    "index_bioscan_1M_insect": NullableColumn(np.array([0, 5, 0]), np.array([True, False, False])),
    "sampleid": StringColumn(texts("a", "None", "")),
    "name": StringColumn(texts("a", "", "null"), np.array([False, True, False])),
}
FRAME = pd.DataFrame(
    {
        "order": pd.Categorical(["Diptera", None, "NA"]),
        "coord-lat": [1.5, np.nan, -3.0],
        "inferred_ranks": np.array([0, 7, 255], np.uint8),
        "index_bioscan_1M_insect": pd.array([None, 5, 0], dtype="Int64"),
        "sampleid": ["a", "None", ""],
        "name": pd.array(["a", None, "null"], dtype="string"),
    },
    index=pd.Index(KEYS, name="processid"),
)


def read_frame(store):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_elem(zarr.open_group(store, mode="r")["columns"])


@pytest.fixture
def store(tmp_path):
    zarr.open_group(tmp_path, mode="w", zarr_format=3)
    write_columns(tmp_path / "columns", Frame("processid", texts(*KEYS), COLUMNS))
    return tmp_path


def test_anndata_reads_the_frame_without_a_warning(store):
    # Whether plain strings are Python objects or pandas' own depends on the version of pandas.
    found, expected = (frame.astype({"sampleid": object}) for frame in (read_frame(store), FRAME))
    pd.testing.assert_frame_equal(found, expected, check_index_type=False)


def test_each_column_reads_back_alone(store):
    for name, column in COLUMNS.items():
        found = read_column(store / "columns", name, n=3)
        assert type(found) is type(column)
        for entry in column.__dataclass_fields__:
            expected = getattr(column, entry)
            if expected is None:
                assert getattr(found, entry) is None
            else:
                np.testing.assert_array_equal(np.asarray(getattr(found, entry), expected.dtype), expected)
    assert list(read_column(store / "columns", "processid", n=3).values) == KEYS


@pytest.mark.parametrize("name", ["colour", "../columns"])
def test_what_is_no_column_is_a_format_error(store, name):
    with pytest.raises(FormatError, match="column"):
        read_column(store / "columns", name, n=3)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("coord-lat/zarr.json", b"{"),
        ("coord-lat/zarr.json", b"[]"),
        ("coord-lat/c/0", b"not compressed"),
        ("order/codes/zarr.json", None),
        ("order/categories/c/0", b"\xff" * 40),
    ],
)
def test_what_zarr_cannot_read_is_a_format_error(store, path, content):
    file = store / "columns" / path
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(FormatError, match=f"column '{path.split('/')[0]}' cannot be read"):
        read_column(store / "columns", path.split("/")[0], n=3)


def test_a_hostile_shape_asks_for_no_memory(store):
    for path in ("coord-lat", "order/codes", "order/categories"):
        zarr.open_array(store / "columns" / path, mode="r+").resize((2**50,))
        with pytest.raises(FormatError, match="1125899906842624"):
            read_column(store / "columns", path.split("/")[0], n=3)


def test_foreign_encoding_is_named(store):
    zarr.open_array(store / "columns/coord-lat", mode="r+").attrs["encoding-type"] = "sparse"
    with pytest.raises(FormatError, match="column 'coord-lat': encoding 'sparse'"):
        read_column(store / "columns", "coord-lat", n=3)


def test_strings_are_written_a_part_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(zarr_columns, "STRING_CHUNK_ROWS", 4)
    keys = [f"k{i}" for i in range(11)]
    zarr.open_group(tmp_path, mode="w", zarr_format=3)
    write_columns(tmp_path / "columns", Frame("processid", texts(*keys), {}))
    assert zarr.open_array(tmp_path / "columns/processid").chunks == (4,)
    assert read_frame(tmp_path).index.tolist() == keys


def test_column_of_another_length_is_refused(tmp_path):
    with pytest.raises(ValueError, match="column x has 1 values for 3 records"):
        write_columns(tmp_path / "columns", Frame("processid", texts(*KEYS), {"x": NumericColumn(np.zeros(1))}))


def test_empty_frame_is_read(tmp_path):
    zarr.open_group(tmp_path, mode="w", zarr_format=3)
    write_columns(tmp_path / "columns", Frame("processid", texts(), {"split": categorical(np.zeros(0, np.int32), [])}))
    assert read_frame(tmp_path).shape == (0, 1)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=30), st.lists(st.text(max_size=5)))
def test_categories_are_those_of_pandas(values, unused):
    names = list(dict.fromkeys([*unused, *[value for value in values if value is not None]]))
    column = categorical([-1 if value is None else names.index(value) for value in values], names)
    expected = pd.Categorical(values, categories=sorted({value for value in values if value is not None}))
    assert column.categories.tolist() == expected.categories.tolist()
    assert column.codes.tolist() == expected.codes.tolist()


@pytest.mark.parametrize(("count", "dtype"), [(127, "int8"), (128, "int16"), (40_000, "int32")])
def test_codes_have_the_smallest_type(count, dtype):
    column = categorical(np.arange(count), [str(i) for i in range(count)])
    assert isinstance(column, CategoricalColumn)
    assert column.codes.dtype == dtype
