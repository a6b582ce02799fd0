"""One small store for the tests of reading, made by an ingest as a user would."""

import pytest

import arraystore
from arraystore.testing import make_bioscan5m


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """Sixty specimens; two rows lack an image, three images lack a row."""
    root = tmp_path_factory.mktemp("package")
    return make_bioscan5m(root, 60, distinct=20, form="zip-stored", rows_without_image=2, images_without_row=3)


@pytest.fixture(scope="session")
def store_path(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "cropped_256.zarr"
    arraystore.ingest(package.sources(), path, metadata=package.metadata)
    return path


@pytest.fixture(scope="session")
def hdf5_path(package, tmp_path_factory):
    """The same store as one HDF5 file."""
    path = tmp_path_factory.mktemp("store") / "cropped_256.h5"
    arraystore.ingest(package.sources(), path, metadata=package.metadata)
    return path


@pytest.fixture(scope="session")
def store(store_path):
    with arraystore.open(store_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def sound(store):
    """Rows of the images that can be decoded."""
    return (store.status == 0).nonzero()[0]
