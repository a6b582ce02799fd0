"""One small store: images of many sizes, rows without an image, a gray and a progressive image."""

import io

import numpy as np
import pytest
from PIL import Image

import arraystore
from arraystore.testing import make_bioscan5m, texture_jpeg
from arraystore.testing.jpegs import encode_jpeg


def pillow_pixels(jpeg):
    """RGB pixels by another program: libjpeg-turbo as Pillow has it."""
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


@pytest.fixture(scope="session")
def oracle():
    return pillow_pixels


@pytest.fixture(scope="session")
def package_store(tmp_path_factory):
    """A published package; two rows lack an image."""
    root = tmp_path_factory.mktemp("package")
    package = make_bioscan5m(root, 40, distinct=20, rows_without_image=2)
    path = tmp_path_factory.mktemp("store") / "cropped_256.zarr"
    arraystore.ingest(package.sources(), path, metadata=package.metadata, progress=False)
    with arraystore.open(path) as store:
        yield store


@pytest.fixture(scope="session")
def odd_files():
    """Images by their keys, one of them damaged."""
    whole = texture_jpeg(4, height=50, width=70)
    return {
        "a": texture_jpeg(0, height=64, width=96),
        "b-gray": texture_jpeg(1, height=40, width=96, mode="L"),
        "c-progressive": texture_jpeg(2, height=64, width=33, progressive=True),
        "d-small": texture_jpeg(3, height=1, width=1, subsampling="4:4:4"),
        "e-damaged": whole[: len(whole) // 2],
    }


@pytest.fixture(scope="session")
def odd_store(odd_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for key, jpeg in odd_files.items():
        (folder / f"{key}.jpg").write_bytes(jpeg)
    path = tmp_path_factory.mktemp("store") / "odd.zarr"
    arraystore.ingest(folder, path, progress=False)
    with arraystore.open(path) as store:
        yield store


@pytest.fixture(scope="session")
def jpegs():
    """Three images of 48 x 64."""
    return [texture_jpeg(seed, height=48, width=64) for seed in range(3)]


@pytest.fixture(scope="session")
def gray_jpeg():
    picture = Image.fromarray(np.arange(48 * 64, dtype=np.uint8).reshape(48, 64))
    return encode_jpeg(picture)


@pytest.fixture(scope="session")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torch")
    package = make_bioscan5m(folder, 62, distinct=20, form="zip-stored", rows_without_image=2)
    arraystore.ingest(package.sources(), folder / "images.zarr", metadata=package.metadata, progress=False)
    return folder / "images.zarr"


@pytest.fixture(scope="session")
def images(path):
    """A view of what can be decoded, so that its rows are not those of the store."""
    with arraystore.open(path) as store:
        yield store.select(np.flatnonzero(store.status == 0)[::-1])
