"""Columns in HDF5 as AnnData reads them, as we read them back, and what damage to them does."""

import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata.io import read_elem

from arraystore.errors import DamagedStoreError, FormatError, InvalidRequestError
from arraystore.format import hdf5_columns
from arraystore.format.columns import CategoricalColumn, NullableColumn, NumericColumn, StringColumn, categorical
from arraystore.format.hdf5_columns import read_column, write_columns
from arraystore.format.writer import Frame

KEYS = ["ABC-1", "Ünïcode-2", "NA"]


def texts(*values: str) -> np.ndarray:
    return np.array(values, dtype=object)


COLUMNS = {
    "order": categorical([1, -1, 0], ["NA", "Diptera"]),
    "coord-lat": NumericColumn(np.array([1.5, np.nan, -3.0])),
    "inferred_ranks": NumericColumn(np.array([0, 7, 255], np.uint8)),
    "is_low_quality": NumericColumn(np.array([True, False, True])),
    "index_bioscan_1M_insect": NullableColumn(np.array([0, 5, 0]), np.array([True, False, False])),
    "sampleid": StringColumn(texts("a", "None", "")),
    "name": StringColumn(texts("a", "", "null"), np.array([False, True, False])),
}
FRAME = pd.DataFrame(
    {
        "order": pd.Categorical(["Diptera", None, "NA"]),
        "coord-lat": [1.5, np.nan, -3.0],
        "inferred_ranks": np.array([0, 7, 255], np.uint8),
        "is_low_quality": [True, False, True],
        "index_bioscan_1M_insect": pd.array([None, 5, 0], dtype="Int64"),
        "sampleid": ["a", "None", ""],
        "name": pd.array(["a", None, "null"], dtype="string"),
    },
    index=pd.Index(KEYS, name="processid"),
)


def write(path, keys, columns):
    with h5py.File(path, "w") as file:
        return write_columns(file, Frame("processid", keys, columns))


def read_frame(path):
    with warnings.catch_warnings(), h5py.File(path) as file:
        warnings.simplefilter("error")
        return read_elem(file["columns"])


@pytest.fixture
def file(tmp_path):
    return tmp_path / "s.h5"


@pytest.fixture
def checksums(file):
    return write(file, texts(*KEYS), COLUMNS)


def test_anndata_reads_the_frame_without_a_warning(file, checksums):
    # Whether plain strings are Python objects or pandas' own depends on the version of pandas.
    found, expected = (frame.astype({"sampleid": object}) for frame in (read_frame(file), FRAME))
    pd.testing.assert_frame_equal(found, expected, check_index_type=False)


def test_each_column_reads_back_alone(file, checksums):
    for name, column in COLUMNS.items():
        found = read_column(file, name, n=3, checksums=checksums)
        assert type(found) is type(column)
        for entry in column.__dataclass_fields__:
            expected = getattr(column, entry)
            if expected is None:
                assert getattr(found, entry) is None
            else:
                assert getattr(found, entry).dtype == expected.dtype or expected.dtype == object
                np.testing.assert_array_equal(np.asarray(getattr(found, entry), expected.dtype), expected)
    assert list(read_column(file, "processid", n=3, checksums=checksums).values) == KEYS


def test_checksums_are_those_of_the_format(file, checksums):
    """By another implementation: bytes of numbers, texts with a zero byte behind each."""
    with h5py.File(file) as opened:
        found = {}
        opened.visititems(lambda name, node: found.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None)
    assert set(found) == set(checksums)
    for path, values in found.items():
        content = b"".join(text + b"\0" for text in values) if values.dtype == object else values.tobytes()
        assert slow_crc32c(content) == checksums[path], path


def slow_crc32c(content: bytes) -> int:
    """RFC 3720, B.4, bit by bit."""
    checksum = 0xFFFFFFFF
    for byte in content:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ (0x82F63B78 if checksum & 1 else 0)
    return checksum ^ 0xFFFFFFFF


@pytest.mark.parametrize("name", ["colour", "../columns", "order/codes", "", ".", "/columns/order"])
def test_what_is_no_column_is_a_format_error(file, checksums, name):
    with pytest.raises(FormatError, match="column"):
        read_column(file, name, n=3, checksums=checksums)


def test_strings_are_written_and_read_a_part_at_a_time(file, monkeypatch):
    monkeypatch.setattr(hdf5_columns, "STRING_PART_ROWS", 4)
    keys, live = [f"k{i}" for i in range(11)], []

    class Counted:
        def __len__(self):
            return len(keys)

        def to_list(self, start=0, stop=None):
            live.append((start, stop))
            return keys[start:stop]

    checksums = write(file, Counted(), {})
    assert live == [(0, 4), (4, 8), (8, 11)]
    assert list(read_column(file, "processid", n=11, checksums=checksums).values) == keys
    assert read_frame(file).index.tolist() == keys


def test_string_with_a_zero_byte_is_refused_by_its_row(file, monkeypatch):
    monkeypatch.setattr(hdf5_columns, "STRING_PART_ROWS", 2)
    with pytest.raises(InvalidRequestError, match="name: value 2 holds a zero byte") as caught:
        write(file, texts(*KEYS), {"name": StringColumn(texts("a", "b", "c\0d"))})
    assert caught.value.code == "zero-byte"


def test_column_of_another_length_is_refused(file):
    with pytest.raises(ValueError, match="column x has 1 values for 3 records"):
        write(file, texts(*KEYS), {"x": NumericColumn(np.zeros(1))})


def test_empty_frame_is_read(file):
    checksums = write(file, texts(), {"split": categorical(np.zeros(0, np.int32), []), "x": NumericColumn(np.zeros(0))})
    assert read_frame(file).shape == (0, 2)
    assert len(read_column(file, "split", n=0, checksums=checksums)) == 0
    assert len(read_column(file, "processid", n=0, checksums=checksums)) == 0


@pytest.mark.parametrize(
    "path", ["coord-lat", "order/codes", "name/mask", "sampleid", "order/categories", "name/values"]
)
def test_changed_values_are_damage(file, checksums, path):
    with h5py.File(file, "r+") as opened:
        dataset = opened["columns"][path]
        dataset[0] = {"O": "other", "b": True}.get(dataset.dtype.kind, 2)
    name = path.split("/")[0]
    with pytest.raises(DamagedStoreError, match=f"column '{name}'.*expected CRC-32C.*restore the file"):
        read_column(file, name, n=3, checksums=checksums)


def test_text_that_is_no_utf8_is_damage(file, checksums):
    content = file.read_bytes()
    assert content.count("Ünïcode-2".encode()) == 1
    file.write_bytes(content.replace("Ünïcode-2".encode(), b"\xff" * 11))
    with pytest.raises(DamagedStoreError, match="no valid UTF-8"):
        read_column(file, "processid", n=3, checksums=checksums)


def test_column_without_a_checksum_is_not_believed(file, checksums):
    for path in ("coord-lat", "sampleid"):
        rest = {each: value for each, value in checksums.items() if each != f"columns/{path}"}
        with pytest.raises(FormatError, match="no checksum"):
            read_column(file, path, n=3, checksums=rest)


HOSTILE = {
    "shape": (
        lambda frame: frame.create_dataset("coord-lat", (2**50,), "<f8", chunks=(2**10,)),
        "found 1125899906842624",
    ),
    "chunks": (lambda frame: frame.create_dataset("coord-lat", (3,), "<f8", compression="gzip"), "found chunks"),
    "strings": (lambda frame: frame.create_dataset("coord-lat", (3,), h5py.string_dtype()), "expected numbers"),
    "compound": (lambda frame: frame.create_dataset("coord-lat", (3,), [("a", "<f8")]), "expected numbers"),
    "big-endian": (lambda frame: frame.create_dataset("coord-lat", (3,), ">f8"), "expected type <f8, found >f8"),
    "two dimensions": (lambda frame: frame.create_dataset("coord-lat", (3, 1), "<f8"), "one dimension"),
    "link": (lambda frame: frame.__setitem__("coord-lat", h5py.ExternalLink("/etc/passwd", "x")), "found a link"),
    "group": (lambda frame: frame.create_group("coord-lat"), "encoding"),
}


@pytest.mark.parametrize(("make", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_column_is_refused_and_asks_for_no_memory(file, checksums, make, message):
    with h5py.File(file, "r+") as opened:
        del opened["columns/coord-lat"]
        make(opened["columns"])
        if "coord-lat" in opened["columns"] and message != "found a link":
            opened["columns/coord-lat"].attrs["encoding-type"] = "array"
    with pytest.raises((FormatError, DamagedStoreError), match=message):
        read_column(file, "coord-lat", n=3, checksums=checksums)


def test_categories_of_another_length_are_refused(file, checksums):
    with h5py.File(file, "r+") as opened:
        del opened["columns/order/categories"]
        opened["columns/order"].create_dataset("categories", (4,), h5py.string_dtype())
    with pytest.raises(FormatError, match="4 categories for 3 records"):
        read_column(file, "order", n=3, checksums=checksums)


def test_foreign_encoding_is_named(file, checksums):
    with h5py.File(file, "r+") as opened:
        opened["columns/coord-lat"].attrs["encoding-type"] = "sparse"
    with pytest.raises(FormatError, match="column 'coord-lat': encoding 'sparse'"):
        read_column(file, "coord-lat", n=3, checksums=checksums)


def test_kinds_of_columns_are_kept(file, checksums):
    kinds = [type(read_column(file, name, n=3, checksums=checksums)) for name in ("order", "name", "coord-lat")]
    assert kinds == [CategoricalColumn, StringColumn, NumericColumn]
