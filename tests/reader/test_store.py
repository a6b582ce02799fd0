"""A store gives back what its source holds: bytes, pixels, text, columns, by row and by key."""

import contextlib
import csv
import io
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import arraystore
from arraystore.errors import FormatError, InvalidRequestError, MissingImageError, UnknownColumnError, UnknownKeyError
from arraystore.testing.strategies import store_indices


def pillow_pixels(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


@pytest.fixture(scope="module")
def jpegs(package):
    return package.jpegs["cropped_256"]


@pytest.fixture(scope="module")
def table(package):
    """The metadata as pandas reads it, all text, in the order of the CSV."""
    return pd.read_csv(package.metadata, dtype=str, keep_default_na=False).set_index("processid")


def test_records_are_in_the_order_of_the_table_then_of_the_source(store, package, table):
    assert len(store) == 60
    assert list(store.keys)[:57] == table.index.tolist() == list(package.keys[:57])
    assert set(list(store.keys)[57:]) == set(package.keys[57:])


def test_bytes_in_are_bytes_out(store, jpegs):
    for key, jpeg in jpegs.items():
        assert store.jpeg(key) == jpeg
    keys = list(jpegs)
    assert store.jpeg(keys) == [jpegs[key] for key in keys]


def test_pixels_are_those_of_pillow(store, jpegs):
    for key, jpeg in jpegs.items():
        pixels = store[key]
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, pillow_pixels(jpeg))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(data=st.data())
def test_many_are_given_in_the_order_asked(store, sound, data):
    view = store.select(sound)
    index = data.draw(store_indices(len(view)))
    expected = np.array(view.keys.to_list(), object)[index].tolist()
    assert view.keys[index] == expected
    assert view.jpeg(index) == [store.jpeg(key) for key in expected]
    for pixels, key in zip(view[index], expected, strict=True):
        np.testing.assert_array_equal(pixels, store[key])


def test_rows_and_keys_are_two_names_of_one_record(store):
    for row in (0, 5, 59):
        key = store.keys[row]
        assert store.row(key) == row
        assert key in store
        assert key in store.keys
        assert store.keys.index(key) == row
    assert store.keys[-1] == store.keys[np.int32(59)]
    assert store.rows(store.keys[10:20]).tolist() == list(range(10, 20))
    assert "XXXX001-20" not in store
    assert 5 not in store


@pytest.mark.parametrize("name", ["split", "coord-lat", "index_bioscan_1M_insect", "sampleid"])
def test_nobody_writes_into_the_columns_of_a_store(store, name):
    """They are shared: a written code would make every later selection wrong."""
    column = store.columns[name]
    shared = [array for array in (column.codes, column.isna(), column.to_numpy()) if array is not None]
    before = column.to_numpy().tolist()
    for array in shared:
        with contextlib.suppress(ValueError):
            array[:] = array[::-1].copy()
    np.testing.assert_array_equal(store.columns[name].to_numpy().tolist(), before)


def test_codes_are_read_only(store):
    with pytest.raises(ValueError, match="read-only"):
        store.columns["split"].codes[:] = -1


def test_keys_are_a_sequence(store):
    with pytest.raises(ValueError, match="no record has the key 'XXXX001-20'"):
        store.keys.index("XXXX001-20")
    with pytest.raises(ValueError, match="no record from row 6 to None"):
        store.keys.index(store.keys[5], 6)
    with pytest.raises(ValueError, match="no record has the key 5"):
        store.keys.index(5)
    assert (store.keys.count(store.keys[5]), store.keys.count("XXXX001-20")) == (1, 0)


@pytest.mark.parametrize("wrong", [{"verify": "no"}, {"verify": None}, {"return_boxes": "yes"}, {"threads": 2.5}])
def test_a_wrong_argument_is_named(store, wrong):
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        store.crops([0], 16, **wrong)


def test_a_wrong_key_or_row_is_named(store):
    with pytest.raises(UnknownKeyError, match="XXXX001-20"):
        store["XXXX001-20"]
    with pytest.raises(KeyError, match="XXXX001-20"):
        store.row("XXXX001-20")
    with pytest.raises(IndexError, match="row 60 is out of range: there are 60 records"):
        store[60]
    with pytest.raises(IndexError, match="one dimension"):
        store[1, 2]
    with pytest.raises(InvalidRequestError, match="put it in a list"):
        store.read(5)


def test_a_record_without_image_keeps_its_row(store, package, table):
    missing = [key for key in package.keys if key not in package.jpegs["cropped_256"]]
    assert len(missing) == 2
    for key in missing:
        assert store.status[store.row(key)] == 1
        assert store.text(key) == table.loc[key, "dna_barcode"]
        for read in (lambda key: store[key], store.jpeg, lambda key: store.read([key])):
            with pytest.raises(MissingImageError, match=key):
                read(key)
    assert store.sizes(missing).tolist() == [[0, 0]] * 2


def test_text_is_that_of_the_table(store, table, package):
    assert store.text(table.index.tolist()) == table["dna_barcode"].tolist()
    assert store.text(package.keys[-1]) is None
    assert store.text(0, field="dna_barcode") == store.text(0)
    with pytest.raises(InvalidRequestError, match="text field 'rna': the store has dna_barcode"):
        store.text(0, field="rna")


def test_sizes_are_those_of_the_images(store, sound):
    expected = [pixels.shape[:2] for pixels in store.read(sound)]
    assert store.sizes(sound).tolist() == [list(size) for size in expected]
    assert store.sizes().shape == (60, 2)


def test_columns_are_those_of_the_table(store, table):
    frame = store.columns.to_pandas().iloc[:57]
    assert frame.index.name == "processid"
    for name in ("order", "species", "split", "chunk", "province_state", "sampleid"):
        assert frame[name].astype(object).where(frame[name].notna(), "").tolist() == table[name].tolist()
    for name in ("coord-lat", "scale_factor"):
        np.testing.assert_array_equal(frame[name], pd.to_numeric(table[name]))
    known = table["index_bioscan_1M_insect"] != ""
    assert frame["index_bioscan_1M_insect"][known].tolist() == [
        int(text) for text in table["index_bioscan_1M_insect"][known]
    ]
    assert frame["index_bioscan_1M_insect"][~known].isna().all()


def test_images_without_a_row_have_missing_columns(store):
    assert store.columns["order"].isna()[57:].all()
    assert store.columns["country"][-1] is None


def test_arrow_and_pandas_agree(store):
    arrow = store.columns.to_arrow().to_pandas().set_index("processid")
    frame = store.columns.to_pandas()
    for name in ("family", "coord-lon", "inferred_ranks"):
        pd.testing.assert_series_equal(
            arrow[name], frame[name], check_dtype=False, check_index_type=False, check_categorical=False
        )


def test_unknown_columns_are_named(store):
    with pytest.raises(UnknownColumnError, match="did you mean 'family'"):
        store.columns["famly"]
    with pytest.raises(UnknownColumnError, match="did you mean 'family'"):
        store.select(famly="Phoridae")


def test_info_counts_what_there_is(store, package):
    info = store.info()
    assert (info.records, info.dataset, info.package, info.key) == (60, "BIOSCAN-5M", "cropped_256", "processid")
    assert info["status"] == {"sound": 58, "missing": 2}
    # An image without a row has the split that its path tells.
    assert sum(info.splits.values()) == 60
    assert info.nbytes["image"] == sum(map(len, package.jpegs["cropped_256"].values()))
    assert set(dict(info)) == set(info)
    assert "cropped_256" in repr(info)
    assert "sound 58" in repr(info)


def test_a_representation_says_what_it_is(store, store_path):
    assert repr(store) == (
        f"Store({str(store_path)!r}, 60 records of BIOSCAN-5M cropped_256: image (jpeg), dna_barcode (text))"
    )
    assert repr(store.keys).startswith("KeySequence(60 keys: ")
    assert repr(store.columns).startswith("Columns(60 rows: ")


def test_a_store_is_pickled_by_its_place(store, store_path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    with pickle.loads(pickled) as again:
        assert again.jpeg(59) == store.jpeg(59)


def test_a_relative_path_is_resolved_when_opened(store_path, monkeypatch, tmp_path):
    monkeypatch.chdir(store_path.parent)
    opened = arraystore.open(store_path.name)
    monkeypatch.chdir(tmp_path)
    assert len(opened.jpeg(59)) > 100
    assert pickle.loads(pickle.dumps(opened)).jpeg(59) == opened.jpeg(59)


def test_a_closed_store_says_so(store_path):
    with arraystore.open(store_path) as opened:
        pixels, view = opened[59], opened.select(split="train")
        before = pixels.copy()
    np.testing.assert_array_equal(pixels, before)
    for read in (lambda: opened[59], lambda: view[0], lambda: opened.columns, lambda: "x" in opened):
        with pytest.raises(InvalidRequestError, match="was closed"):
            read()
    assert "closed" in repr(opened)
    opened.close()


def test_a_store_can_be_gone_through(store, sound):
    for count, pixels in enumerate(store.select(sound)):
        np.testing.assert_array_equal(pixels, store[int(sound[count])])
    assert count == len(sound) - 1


@pytest.mark.parametrize("arguments", [{"threads": 0}, {"threads": -2}])
def test_wrong_threads_are_refused(store, sound, arguments):
    with pytest.raises(InvalidRequestError, match="threads="):
        store.read(sound, **arguments)


def test_what_is_no_store_is_said(tmp_path, package):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        arraystore.open(tmp_path / "nowhere.zarr")
    with pytest.raises(FormatError, match="neither an arraystore.* nor a source of images"):
        arraystore.open(package.root)
    with pytest.raises(InvalidRequestError, match="URL"):
        arraystore.open("s3://bucket/cropped_256.zarr")


def test_the_csv_is_read_as_the_csv_module_does(store, package):
    """Places like `NA` and `Québec` are text, not missing values or mojibake."""
    with package.metadata.open(encoding="utf-8", newline="") as file:
        places = [row["province_state"] or None for row in csv.DictReader(file)]
    assert store.columns["province_state"][:57].tolist() == places
    assert "NA" in places
