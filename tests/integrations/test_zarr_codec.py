"""The codec of Zarr v3: arrays of JPEG files are read by zarr-python as any others, and never written."""

import json
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import LocalStore, MemoryStore

from arraystore.errors import DecodeError, InvalidRequestError
from arraystore.integrations.zarr_codec import JpegCodec
from arraystore.testing import texture_jpeg

ROOT = Path(__file__).parents[2]


def make_array(folder, jpegs, size=(48, 64), **options):
    """An array on disk with one JPEG file a chunk, written with nothing of the codec but its name."""
    shape = (len(jpegs), *size, 3)
    options = {"fill_value": 0, **options}
    array = zarr.create_array(
        LocalStore(folder),
        shape=shape,
        chunks=(1, *size, 3),
        dtype="uint8",
        serializer=JpegCodec(),
        compressors=None,
        **options,
    )
    for row, jpeg in enumerate(jpegs):
        if jpeg is not None:
            chunk = folder / f"c/{row}/0/0/0"
            chunk.parent.mkdir(parents=True)
            chunk.write_bytes(jpeg)
    return array


@pytest.fixture(scope="module")
def array(jpegs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("array")
    make_array(folder, [*jpegs, None])
    return zarr.open_array(folder, mode="r")


@pytest.fixture(scope="module")
def expected(jpegs, oracle):
    return np.stack([*map(oracle, jpegs), np.zeros((48, 64, 3), np.uint8)])


def test_the_document_names_the_codec_and_is_read_back(array):
    document = json.loads((Path(array.store.root) / "zarr.json").read_text())
    assert document["codecs"] == [{"name": "arraystore.jpeg"}]
    assert isinstance(array.metadata.codecs[0], JpegCodec)
    assert JpegCodec.from_dict({"name": "arraystore.jpeg", "configuration": {}}) == JpegCodec()


@pytest.mark.parametrize("data", [{"name": "jpeg"}, {"name": "arraystore.jpeg", "configuration": {"quality": 9}}])
def test_other_configurations_are_refused(data):
    with pytest.raises(InvalidRequestError, match="without configuration"):
        JpegCodec.from_dict(data)


def test_pixels_are_those_of_another_program(array, expected):
    np.testing.assert_array_equal(array[:], expected)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_chunks_may_come_in_batches_of_any_size(array, expected, batch_size):
    with zarr.config.set({"codec_pipeline.batch_size": batch_size}):
        again = zarr.open_array(array.store, mode="r")
    np.testing.assert_array_equal(again[:], expected)


AXES = [st.one_of(st.slices(n), st.integers(-n, n - 1)) for n in (4, 48, 64, 3)]


@settings(deadline=None, max_examples=80)
@given(selection=st.tuples(*AXES))
def test_any_basic_selection_is_that_of_numpy(array, expected, selection):
    # Zarr-python has no negative steps.
    if any(isinstance(each, slice) and (each.step or 1) < 0 for each in selection):
        return
    np.testing.assert_array_equal(array[selection], expected[selection])


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_any_list_of_places_is_that_of_numpy(array, expected, data):
    lists = [data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6)) for n in expected.shape]
    np.testing.assert_array_equal(array.oindex[tuple(lists)], expected[np.ix_(*lists)])
    points = data.draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in expected.shape)), min_size=1, max_size=9))
    coordinates = tuple(np.array(points).T)
    np.testing.assert_array_equal(array.vindex[coordinates], expected[coordinates])


def test_masks_are_those_of_numpy(array, expected):
    mask = expected > 128
    np.testing.assert_array_equal(array.get_mask_selection(mask), expected[mask])
    rows = np.arange(48) % 5 == 2
    np.testing.assert_array_equal(array.oindex[:, rows], expected[:, rows])


def test_smaller_images_stand_in_the_upper_left_corner(jpegs, gray_jpeg, oracle, tmp_path):
    small = texture_jpeg(9, height=20, width=64)
    tall = texture_jpeg(8, height=70, width=5)
    array = make_array(tmp_path, [small, tall, gray_jpeg, None], (70, 64), fill_value=200)
    expected = np.full((4, 70, 64, 3), 200, np.uint8)
    for row, jpeg in enumerate([small, tall, gray_jpeg]):
        pixels = oracle(jpeg)
        expected[row, : pixels.shape[0], : pixels.shape[1]] = pixels
    np.testing.assert_array_equal(array[:], expected)
    for box in [np.s_[:, 15:30, 3:9], np.s_[:, 60:, 60:], np.s_[1, 69, :, 2], np.s_[0, 19:21, 63]]:
        np.testing.assert_array_equal(array[box], expected[box])


def test_an_image_larger_than_its_chunk_is_an_error_that_names_it(jpegs, tmp_path):
    array = make_array(tmp_path, [jpegs[0], texture_jpeg(1, height=48, width=65)])
    with pytest.raises(InvalidRequestError, match=r"c/1/0/0/0: the image is 48x65 .* does not fit into 48x64"):
        array[:]
    assert array[0].shape == (48, 64, 3)


@pytest.mark.parametrize("damage", [lambda jpeg: jpeg[:-40], lambda jpeg: jpeg[:20], lambda _: b"", lambda _: b"no"])
def test_a_damaged_chunk_is_an_error_that_names_it(jpegs, tmp_path, damage):
    array = make_array(tmp_path, [jpegs[0], damage(jpegs[1])])
    with pytest.raises(DecodeError, match="c/1/0/0/0: cannot decode the JPEG"):
        array[:]


def test_nothing_is_encoded(array, jpegs, tmp_path):
    writable = make_array(tmp_path, [jpegs[0], None])
    for row in (0, 1):
        with pytest.raises(InvalidRequestError, match="only decodes"):
            writable[row] = 1
    assert (tmp_path / "c/0/0/0/0").read_bytes() == jpegs[0]
    assert not (tmp_path / "c/1/0/0/0").exists()


@pytest.mark.parametrize(
    ("shape", "chunks", "dtype"),
    [
        ((4, 8, 8, 3), (2, 8, 8, 3), "uint8"),
        ((4, 8, 8, 4), (1, 8, 8, 4), "uint8"),
        ((8, 8), (8, 8), "uint8"),
        ((4, 8, 8, 3), (1, 8, 8, 3), "uint16"),
        ((4, 16_385, 16_384, 3), (1, 16_385, 16_384, 3), "uint8"),
    ],
)
def test_arrays_that_no_jpeg_can_hold_are_refused(shape, chunks, dtype):
    with pytest.raises(InvalidRequestError, match=r"arraystore\.jpeg: expected"):
        zarr.create_array(
            MemoryStore(), shape=shape, chunks=chunks, dtype=dtype, serializer=JpegCodec(), compressors=None
        )


def test_chunks_may_be_compressed_besides_and_axes_moved(jpegs, oracle):
    """With other codecs around it, whole chunks are decoded."""
    store = MemoryStore()
    array = zarr.create_array(
        store,
        shape=(1, 3, 64, 48),
        chunks=(1, 3, 64, 48),
        dtype="uint8",
        filters=[zarr.codecs.TransposeCodec(order=(0, 3, 2, 1))],
        serializer=JpegCodec(),
        compressors=[zarr.codecs.GzipCodec()],
    )
    import gzip

    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    packed = default_buffer_prototype().buffer.from_bytes(gzip.compress(jpegs[0]))
    sync(store.set("c/0/0/0/0", packed))
    np.testing.assert_array_equal(array[0, :, 10:20], oracle(jpegs[0]).T[:, 10:20])


def test_arrays_are_pickled_and_read_by_threads(array, expected):
    from concurrent.futures import ThreadPoolExecutor

    again = pickle.loads(pickle.dumps(array))
    with ThreadPoolExecutor(8) as pool:
        for row, pixels in zip(range(32), pool.map(lambda row: again[row % 4], range(32)), strict=True):
            np.testing.assert_array_equal(pixels, expected[row % 4])


def test_the_zarrs_pipeline_leaves_it_to_zarr_python(array, expected):
    pytest.importorskip("zarrs")
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        with pytest.warns(UserWarning, match="unsupported by ZarrsCodecPipeline"):
            again = zarr.open_array(array.store, mode="r")
        np.testing.assert_array_equal(again[1:], expected[1:])


def entry_points_on(folder):
    """What installing the package leaves of its entry points, for a Python that has `folder` on its path."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    metadata = folder / "arraystore-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: arraystore\nVersion: 0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in each.items()) for group, each in groups.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]; "


def test_both_registries_find_it_by_entry_points(array, tmp_path):
    code = entry_points_on(tmp_path) + (
        "import zarr, numcodecs; "
        f"pixels = zarr.open_array({str(array.store.root)!r}, mode='r')[0]; "
        "codec = numcodecs.get_codec({'id': 'arraystore.jpeg', 'size': [48, 64]}); "
        "print(pixels.sum(), codec.size)"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == [str(array[0].sum()), "[48,", "64]"], run.stderr
