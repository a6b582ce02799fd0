"""Real BIOSCAN images, where they are present: bytes in are bytes out, and pixels are those of Pillow."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import arraystore
from arraystore.testing.hdf5 import write_image_hdf5

REAL = Path(__file__).parents[3] / "shared" / "data" / "bioscan_real"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real BIOSCAN samples are not here")

# The folder of the samples and the package of BIOSCAN-5M whose place they take.
PACKAGES = {"full": "original_full", "original_256": "original_256", "cropped_256": "cropped_256"}


@pytest.fixture(scope="module", params=PACKAGES.items(), ids=list(PACKAGES))
def real(request, tmp_path_factory):
    """The originals by key, and the store made of them."""
    folder, package = request.param
    files = {path.stem: path.read_bytes() for path in sorted((REAL / folder).glob("*.jpg"))}
    root = tmp_path_factory.mktemp(folder)
    images = root / "bioscan5m" / "images" / package / "val"
    images.mkdir(parents=True)
    for key, jpeg in files.items():
        (images / f"{key}.jpg").write_bytes(jpeg)
    report = arraystore.ingest(root / "bioscan5m", root / "some.zarr", check="pixels", progress=False)
    assert report.exit_code == 0, report
    with arraystore.open(root / "some.zarr") as store:
        yield files, store


def pillow(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def test_bytes_are_kept_with_what_follows_the_end_marker(real):
    files, store = real
    assert {key: store.jpeg(key) for key in files} == files


def test_pixels_are_those_of_pillow(real):
    files, store = real
    for key, jpeg in files.items():
        np.testing.assert_array_equal(store[key], pillow(jpeg))


def test_boxes_are_cut_from_the_whole_image(real):
    files, store = real
    rng = np.random.default_rng(0)
    keys = list(itertools.islice(files, 6))
    for key in keys:
        whole = pillow(files[key])
        for _ in range(8):
            (top, bottom), (left, right) = (
                np.sort(rng.choice(length + 1, 2, replace=False)) for length in whole.shape[:2]
            )
            box = (top, left, bottom - top, right - left)
            [cut] = store.read_boxes([key], [box])
            np.testing.assert_array_equal(cut, whole[top:bottom, left:right])


def test_resized_crops_are_within_one_of_pillow(real):
    files, store = real
    keys = list(itertools.islice(files, 6))
    crops, boxes, _ = store.crops(keys, size=224, seed=1, return_boxes=True)
    for key, crop, (top, left, height, width) in zip(keys, crops, boxes.tolist(), strict=True):
        image = Image.open(io.BytesIO(files[key])).convert("RGB").crop((left, top, left + width, top + height))
        expected = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(crop.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("values", ["string", "bytes"])
def test_publishers_hdf5_gives_the_same_bytes(tmp_path, values):
    files = {path.name: path.read_bytes() for path in sorted(REAL.glob("*/*.jpg")) if path.parent.name == "full"}
    # What the camera wrote behind the end marker.
    assert any(not jpeg.endswith(b"\xff\xd9") for jpeg in files.values())
    arraystore.ingest(write_image_hdf5(tmp_path / "a.hdf5", files, values=values, group=""), tmp_path / "s.zarr")
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert {f"{key}.jpg": store.jpeg(key) for key in store.keys} == files
