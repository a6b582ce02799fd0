"""A source that is opened as it is gives what the store of it gives."""

import csv
import multiprocessing
import pickle
import zipfile
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import arraystore
from arraystore.errors import DecodeError, FormatError, InvalidRequestError, MissingImageError
from arraystore.testing import insect_jpeg, make_bioscan1m, make_bioscan5m

FORMS = ["stored", "deflated", "by-split", "tree", "zip64", "BIOSCAN-1M", "photos", "mixed"]


def photos(root):
    """Twelve photos in two folders, two of them without a row, and two rows without a photo."""
    for number in range(12):
        path = root / "photos" / f"day {number % 2}" / f"{number:02}é.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(insect_jpeg(number, width=120 + 7 * number))
    table = root / "photos.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "split", "weight"])
        writer.writerows([f"{number:02}é.jpg", ("train", "test")[number % 2], number / 2] for number in range(2, 14))
    return [root / "photos"], {"metadata": table, "key": "file"}


def zip64(root):
    archive = root / "cropped_256.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(10):
            with file.open(f"{number}.jpg", "w", force_zip64=True) as member:
                member.write(insect_jpeg(number, width=100))
    return [archive], {}


def sources_of(form, root):
    """Paths, and options that `open` and `ingest` share."""
    if form == "photos":
        return photos(root)
    if form == "zip64":
        return zip64(root)
    if form == "BIOSCAN-1M":
        made = make_bioscan1m(root, 9, package="original_full", form="zip-stored", distinct=3)
        return made.sources, {"metadata": made.metadata}
    if form == "mixed":
        folder, options = photos(root)
        archive = root / "more.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("deep/12é.jpg", insect_jpeg(50))
        return [archive, *folder], options
    made = make_bioscan5m(
        root,
        60,
        distinct=20,
        form={"tree": "tree", "deflated": "zip-deflated"}.get(form, "zip-stored"),
        by_split=form == "by-split",
        rows_without_image=2,
        images_without_row=3,
    )
    return made.sources(), {"metadata": made.metadata}


@pytest.fixture(scope="module", params=FORMS)
def pair(request, tmp_path_factory):
    """The same source as it is, and as a store."""
    root = tmp_path_factory.mktemp("source")
    paths, options = sources_of(request.param, root)
    arraystore.ingest(paths, root / "native.zarr", **options)
    with arraystore.open(paths, **options) as source, arraystore.open(root / "native.zarr") as native:
        yield source, native


@pytest.fixture
def sound(pair):
    return np.flatnonzero(pair[1].status == 0)


def test_bytes_and_pixels_are_those_of_the_store(pair, sound):
    source, native = pair
    assert source.jpeg(sound) == native.jpeg(sound)
    assert source.jpeg(sound[::-1], verify=False) == native.jpeg(sound[::-1])
    for found, expected in zip(source.read(sound), native.read(sound), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(source[int(sound[-1])], native[int(sound[-1])])


def test_crops_and_boxes_are_those_of_the_store(pair, sound):
    source, native = pair
    for options in ({"seed": 3, "flip": 0.5}, {"mode": "center"}, {"threads": 1, "epoch": 2}):
        np.testing.assert_array_equal(source.crops(sound, 64, **options), native.crops(sound, 64, **options))
    boxes = np.tile([1, 2, 30, 40], (len(sound), 1))
    for found, expected in zip(source.read_boxes(sound, boxes), native.read_boxes(sound, boxes), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_sizes_are_read_from_the_headers(pair):
    source, native = pair
    for threads in (1, 3):
        np.testing.assert_array_equal(source.sizes(threads=threads), native.sizes())


def test_keys_and_columns_are_those_of_the_store(pair):
    source, native = pair
    assert source.keys.to_list() == native.keys.to_list()
    assert [source.row(key) for key in native.keys[:5]] == list(range(5))
    assert "nobody" not in source
    assert source.columns.names == native.columns.names
    if len(native.columns):
        assert source.columns.to_pandas().equals(native.columns.to_pandas())


def test_selections_and_labels_are_those_of_the_store(pair):
    source, native = pair
    if "split" in native.columns:
        chosen = source.select(split="train")
        np.testing.assert_array_equal(chosen.store_rows, native.select(split="train").store_rows)
        rows = np.flatnonzero(chosen.status == 0)[:4]
        np.testing.assert_array_equal(chosen.crops(rows, 32), native.select(split="train").crops(rows, 32))
        assert source.labels("split").names == native.labels("split").names
    assert source.sample(5, seed=1).keys.to_list() == native.sample(5, seed=1).keys.to_list()


def test_texts_are_those_of_the_store(pair):
    source, native = pair
    assert source.handle.spec.fields == native.handle.spec.fields
    if len(native.handle.spec.fields) > 1:
        assert source.text(slice(None)) == native.text(slice(None))
        np.testing.assert_array_equal(source.dna(slice(None)), native.dna(slice(None)))


def test_what_is_known_is_told(pair):
    source, native = pair
    found, expected = dict(source.info()), dict(native.info())
    differ = {"path", "is_source"}
    assert {name: found[name] for name in found if name not in differ} == {
        name: expected[name] for name in expected if name not in differ
    }
    assert found["is_source"]
    assert not expected["is_source"]
    assert "no image is checked" in repr(source.info())
    assert "as it is" in repr(source)
    np.testing.assert_array_equal(source.status, native.status)


def test_a_row_without_image_is_told_as_missing(pair):
    source, native = pair
    for row in np.flatnonzero(native.status == 1):
        for read in (lambda row=row: source[int(row)], lambda row=row: source.jpeg(int(row))):
            with pytest.raises(MissingImageError, match=native.keys[int(row)]):
                read()


def test_a_copy_from_a_pickle_reads_the_same(pair, sound):
    source, native = pair
    again = pickle.loads(pickle.dumps(source))
    assert again.jpeg(sound) == native.jpeg(sound)
    view = pickle.loads(pickle.dumps(source.select(sound[::2])))
    assert view.jpeg(0) == native.jpeg(int(sound[0]))
    assert view.keys.to_list() == native.keys[sound[::2]]


def batch_of(source, rows):
    return source.crops(rows, 64, seed=5, threads=2), source.jpeg(rows)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("cache", [True, False])
def test_processes_read_what_their_parent_reads(package, store, sound_rows, method, cache):
    with arraystore.open(package.sources(), metadata=package.metadata, cache=cache) as source:
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            batches = list(pool.map(batch_of, [source] * 3, [sound_rows] * 3, timeout=120))
        expected = batch_of(store, sound_rows)
        for pixels, jpegs in [*batches, batch_of(source, sound_rows)]:
            np.testing.assert_array_equal(pixels, expected[0])
            assert jpegs == expected[1]


@pytest.fixture(scope="module")
def sound_rows(store):
    return np.flatnonzero(store.status == 0)


def test_bad_images_are_kept_and_told_when_they_are_decoded(tmp_path):
    whole = insect_jpeg(1)
    bad = {"cut": whole[:600], "empty": b"", "png": b"\x89PNG\r\n\x1a\n", "whole": whole}
    folder = tmp_path / "photos"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in bad.items():
            (folder / f"{name}.jpg").write_bytes(content)
            archive.writestr(f"{name}.jpg", content)
    arraystore.ingest(folder, tmp_path / "native.zarr")
    native = arraystore.open(tmp_path / "native.zarr")
    for path in (folder, tmp_path / "photos.zip"):
        with arraystore.open(path) as source:
            np.testing.assert_array_equal(source.select(list(bad)).sizes(), native.select(list(bad)).sizes())
            assert source.info().status == {"sound": 3, "empty": 1}
            assert source.info().troubles == {"empty": 1}
            assert source.jpeg("cut") == bad["cut"]
            assert (source["whole"] == native["whole"]).all()
            for key in ("cut", "png"):
                with pytest.raises(DecodeError, match=key):
                    source[key]
            with pytest.raises(MissingImageError, match=r"empty.*status is empty"):
                source["empty"]


def test_what_is_neither_store_nor_source_is_told_as_both(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("nothing to see")
    for name in ("empty", "notes.txt"):
        with pytest.raises(
            FormatError, match=f"neither an arraystore.*zarr.json.*nor a source of images.*{name}|{name}"
        ):
            arraystore.open(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        arraystore.open([tmp_path / "empty", tmp_path / "nowhere.zip"])


def test_options_of_a_source_are_refused_for_a_store(store_path, package):
    with pytest.raises(InvalidRequestError, match=r"package='cropped'.*no source but a store"):
        arraystore.open(store_path, package="cropped")
    with pytest.raises(InvalidRequestError, match="is a store"):
        arraystore.open([*package.sources(), store_path])
    with pytest.raises(InvalidRequestError, match="cache='yes'"):
        arraystore.open(package.sources(), cache="yes")


@pytest.mark.parametrize("make", [make_bioscan5m, make_bioscan1m])
def test_a_metadata_table_alone_has_all_but_images(tmp_path, make, caplog):
    metadata = make(tmp_path, 12, distinct=1).metadata
    with arraystore.open(metadata) as table, arraystore.open(tmp_path, metadata=metadata) as source:
        assert list(table.keys) == list(source.keys)
        assert table.text(range(12)) == source.text(range(12))
        for name in source.columns:
            np.testing.assert_array_equal(table.columns[name].to_numpy(), source.columns[name].to_numpy())
        with pytest.raises(MissingImageError, match=table.keys[3]):
            table.jpeg(3)
        assert pickle.loads(pickle.dumps(table)).text(3) == source.text(3)
    assert "without an image" not in caplog.text


def test_only_a_table_of_published_name_is_opened_alone(tmp_path):
    metadata = make_bioscan5m(tmp_path, 8, distinct=1).metadata
    with pytest.raises(FormatError, match="neither an arraystore"):
        arraystore.open(metadata.rename(tmp_path / "my.csv"))
