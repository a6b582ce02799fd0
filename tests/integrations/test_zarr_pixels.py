"""The images of a store as one array: what zarr-python reads is what the store decodes, in a frame."""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import zarr
from zarr.core.sync import sync

import arraystore
from arraystore.errors import DamagedStoreError, DecodeError, InvalidRequestError
from arraystore.testing import make_large_store
from arraystore.testing.biosr import make_biosr


def framed(records, size, oracle, fill_value=0):
    """Every image of another program in the upper left corner of its frame."""
    expected = np.full((len(records), *size, 3), fill_value, np.uint8)
    for row in np.flatnonzero(records.status == 0):
        pixels = oracle(records.jpeg(int(row)))
        expected[row, : pixels.shape[0], : pixels.shape[1]] = pixels
    return expected


@pytest.fixture(scope="module")
def size(package_store):
    return tuple(package_store.sizes().max(axis=0).tolist())


@pytest.fixture(scope="module")
def expected(package_store, size, oracle):
    return framed(package_store, size, oracle)


def test_every_image_is_that_of_another_program(package_store, expected, size):
    array = arraystore.pixels(package_store)
    assert (array.shape, array.dtype, array.chunks) == ((40, *size, 3), np.uint8, (1, *size, 3))
    assert array.metadata.dimension_names == ("record", "y", "x", "channel")
    assert (package_store.status == 1).sum() == 2, "rows without an image are part of this test"
    np.testing.assert_array_equal(array[:], expected)


def test_parts_are_those_of_the_whole(package_store, expected):
    array = arraystore.pixels(package_store)
    for part in [np.s_[3], np.s_[-1, 10:90, ::7], np.s_[5:30:4, 200:, 250:, 1], np.s_[:, 0, 0, 0]]:
        np.testing.assert_array_equal(array[part], expected[part])
    rows = [30, 2, 2, 17]
    np.testing.assert_array_equal(array.oindex[rows, 100:110], expected[rows, 100:110])


def test_a_view_has_its_rows_in_its_order(package_store, oracle):
    view = package_store.select(package_store.status == 0).select(split="all").sample(7, seed=2)
    array = arraystore.pixels(view)
    assert array.shape[1:3] == tuple(view.sizes().max(axis=0))
    np.testing.assert_array_equal(array[:], framed(view, array.shape[1:3], oracle))
    assert list(array.store.records.keys) == list(view.keys)


def test_a_source_as_it_is_has_one_too(odd_files, oracle, tmp_path):
    for key, jpeg in odd_files.items():
        (tmp_path / f"{key}.jpg").write_bytes(jpeg)
    with arraystore.open(tmp_path) as source:
        pixels = arraystore.pixels(source, size=(64, 96))[:4]
    for row, jpeg in enumerate(list(odd_files.values())[:4]):
        image = oracle(jpeg)
        np.testing.assert_array_equal(pixels[row, : image.shape[0], : image.shape[1]], image)


def test_gray_progressive_and_tiny_images_have_their_frame(odd_store, oracle):
    array = arraystore.pixels(odd_store, size=(66, 97), fill_value=7)
    np.testing.assert_array_equal(array[:4], framed(odd_store, (66, 97), oracle, fill_value=7)[:4])


def test_an_image_that_cannot_be_decoded_is_an_error_that_names_its_record(odd_store):
    array = arraystore.pixels(odd_store)
    with pytest.raises(DecodeError, match="record e-damaged: cannot decode the JPEG"):
        array[:]
    sound = odd_store.select(odd_store.status < 2)
    assert arraystore.pixels(sound)[:].shape == (4, 64, 96, 3)


def test_an_image_larger_than_the_size_is_an_error_that_names_its_record(odd_store):
    array = arraystore.pixels(odd_store, size=(64, 95))
    with pytest.raises(InvalidRequestError, match=r"record a: the image is 64x96 .* does not fit into 64x95"):
        array[:2]
    assert array[3].shape == (64, 95, 3)


def test_bytes_that_changed_on_disk_are_an_error_that_names_the_record(odd_files, tmp_path):
    (tmp_path / "files").mkdir()
    for key in ("a", "b-gray"):
        (tmp_path / f"files/{key}.jpg").write_bytes(odd_files[key])
    arraystore.ingest(tmp_path / "files", tmp_path / "store.zarr", progress=False)
    shard = tmp_path / "store.zarr/image/data/c/0"
    data = bytearray(shard.read_bytes())
    place = bytes(data).index(odd_files["b-gray"]) + len(odd_files["b-gray"]) // 2
    data[place] ^= 1
    shard.write_bytes(data)
    with arraystore.open(tmp_path / "store.zarr") as store:
        array = arraystore.pixels(store)
        with pytest.raises(DamagedStoreError, match="b-gray"):
            array[:]
        assert array[0].any()


def test_it_is_pickled_as_the_place_of_the_store(package_store, expected):
    array = arraystore.pixels(package_store.select(range(10, 20)))
    pickled = pickle.dumps(array)
    assert len(pickled) < 5000
    again = pickle.loads(pickled)
    assert again.store == array.store
    assert again.store != arraystore.pixels(package_store.select(range(11, 21))).store
    height, width = array.shape[1:3]
    np.testing.assert_array_equal(again[:], expected[10:20, :height, :width])


def total(array, row):
    return int(array[row].sum(dtype=np.int64))


def test_spawned_processes_and_threads_read_it(package_store, expected):
    array = arraystore.pixels(package_store)
    sums = expected.sum(axis=(1, 2, 3), dtype=np.int64).tolist()
    rows = list(range(40)) * 2
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(total, [array] * 80, rows)) == sums * 2
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(total, [array] * 3, [0, 5, 39])) == [sums[0], sums[5], sums[39]]


def test_nothing_can_be_written(package_store):
    array = arraystore.pixels(package_store)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        zarr.create_group(array.store, path="other")
    with pytest.raises(InvalidRequestError, match="read-only"):
        array.store.with_read_only(False)


def listed(keys):
    async def collect():
        return [key async for key in keys]

    return sync(collect())


def test_keys_are_those_of_the_images_there_are(package_store):
    store = arraystore.pixels(package_store).store
    there = np.flatnonzero(package_store.status == 0)
    chunks = [f"image/c/{row}/0/0/0" for row in there]
    assert listed(store.list()) == ["zarr.json", "image/zarr.json", *chunks]
    assert listed(store.list_prefix("image/c/1")) == [key for key in chunks if key.startswith("image/c/1")]
    assert listed(store.list_dir("")) == ["zarr.json", "image"]
    assert listed(store.list_dir("image")) == ["zarr.json", "c"]
    assert listed(store.list_dir("image/c")) == [str(row) for row in there]
    assert listed(store.list_dir(f"image/c/{there[0]}")) == ["0"]
    missing = np.flatnonzero(package_store.status == 1)[0]
    for key in [
        f"image/c/{missing}/0/0/0",
        "image/c/40/0/0/0",
        "image/c/-1/0/0/0",
        "image/c/00/0/0/0",
        "image/c/0/0/0/1",
    ]:
        assert not sync(store.exists(key)), key


def test_chunks_are_the_original_bytes(package_store):
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest

    store = arraystore.pixels(package_store).store
    key, jpeg = "image/c/5/0/0/0", package_store.jpeg(5)
    parts = {
        None: jpeg,
        RangeByteRequest(3, 9): jpeg[3:9],
        OffsetByteRequest(7): jpeg[7:],
        SuffixByteRequest(4): jpeg[-4:],
    }
    for part, expected in parts.items():
        assert store.get_sync(key, byte_range=part).to_bytes() == expected
    assert sync(store.getsize(key)) == len(jpeg)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 256},
        {"size": (0, 5)},
        {"size": (5, 70_000)},
        {"size": (16_385, 16_384)},
        {"size": (5.0, 5)},
        {"size": (5, 5), "fill_value": 256},
    ],
)
def test_wrong_arguments_are_refused(package_store, options):
    with pytest.raises(InvalidRequestError):
        arraystore.pixels(package_store, **options)


def test_images_of_very_different_sizes_are_no_array(package_store, monkeypatch):
    monkeypatch.setattr(type(package_store), "sizes", lambda _: np.array([[1, 60_000], [60_000, 1]]))
    with pytest.raises(InvalidRequestError, match=r"at most 268,435,456 pixels.*select images that are alike in size"):
        arraystore.pixels(package_store)


def test_a_store_of_arrays_has_no_jpegs(tmp_path):
    arraystore.ingest(make_biosr(tmp_path).root, tmp_path / "biosr.zarr", progress=False)
    with arraystore.open(tmp_path / "biosr.zarr") as store, pytest.raises(InvalidRequestError, match="no images"):
        arraystore.pixels(store)


def test_what_has_no_images_needs_a_size(package_store):
    with pytest.raises(InvalidRequestError, match="expected a store or a view"):
        arraystore.pixels(package_store.path)
    empty = package_store.select([])
    with pytest.raises(InvalidRequestError, match="give size="):
        arraystore.pixels(empty)
    assert arraystore.pixels(empty, size=(4, 5))[:].shape == (0, 4, 5, 3)


def test_the_zarrs_pipeline_leaves_it_to_zarr_python(package_store, expected):
    pytest.importorskip("zarrs")
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        array = arraystore.pixels(package_store)
        np.testing.assert_array_equal(array[7:9], expected[7:9])


def test_dask_reads_it_lazily(package_store, expected):
    dask_array = pytest.importorskip("dask.array")
    array = arraystore.pixels(package_store)
    lazy = dask_array.from_zarr(array, chunks=(8, -1, -1, -1))
    assert lazy.chunksize == (8, *array.shape[1:])
    np.testing.assert_array_equal(lazy[4:20, 30:60].compute(scheduler="threads"), expected[4:20, 30:60])
    mean = lazy.mean(axis=(1, 2)).compute(scheduler="threads")
    np.testing.assert_allclose(mean, expected.mean(axis=(1, 2)))


def test_xarray_opens_it_by_names(package_store, expected):
    xarray = pytest.importorskip("xarray")
    array = arraystore.pixels(package_store)
    with xarray.open_zarr(array.store, chunks=None, consolidated=False) as dataset:
        image = dataset["image"]
        assert image.dims == ("record", "y", "x", "channel")
        np.testing.assert_array_equal(image.isel(record=[9, 3], y=slice(5, 50)), expected[[9, 3], 5:50])
        labelled = image.assign_coords(record=list(array.store.records.keys))
        np.testing.assert_array_equal(labelled.sel(record=package_store.keys[6]), expected[6])


def test_xarray_has_chunks_of_several_records_for_dask(package_store, expected):
    pytest.importorskip("dask.array")
    xarray = pytest.importorskip("xarray")
    array = arraystore.pixels(package_store)
    with xarray.open_zarr(array.store, consolidated=False, chunks={"record": 8}) as dataset:
        image = dataset["image"]
        assert image.data.chunksize == (8, *array.shape[1:])
        np.testing.assert_array_equal(image[4:20].compute(scheduler="threads"), expected[4:20])


def test_nothing_of_it_is_loaded_before_it_is_asked_for():
    code = "import arraystore, sys; print('zarr' in sys.modules); arraystore.pixels; print('zarr' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == ["False", "True"]


def test_a_large_store_is_opened_without_a_look_at_its_records(tmp_path, monkeypatch):
    with arraystore.open(make_large_store(tmp_path / "large.zarr", 200_000)) as store:
        looked = threading.Event()
        monkeypatch.setattr(type(store), "sizes", lambda *_, **__: looked.set())
        array = arraystore.pixels(store, size=(256, 300), verify=False)
        assert array.shape == (200_000, 256, 300, 3)
        np.testing.assert_array_equal(array[199_999], array[15])
        assert not looked.is_set()
