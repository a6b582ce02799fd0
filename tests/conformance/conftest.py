"""A store of several shards, so that every implementation has to find its way between them."""

import pytest

import arraystore
from arraystore.testing import make_bioscan5m


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    root = tmp_path_factory.mktemp("package")
    return make_bioscan5m(root, 90, seed=3, distinct=30, form="tree", rows_without_image=2, images_without_row=3)


@pytest.fixture(scope="session")
def jpegs(package):
    """The bytes of every image by key, as the package has them."""
    return package.jpegs["cropped_256"]


@pytest.fixture(scope="session")
def store_path(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "cropped_256.zarr"
    arraystore.ingest(package.sources(), path, metadata=package.metadata, shard_nbytes=262_144, progress=False)
    assert len(list((path / "image/data/c").iterdir())) > 2
    return path
