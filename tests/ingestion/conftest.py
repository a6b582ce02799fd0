"""One small package and its store, for all tests of this folder that only read them."""

from __future__ import annotations

import pytest

import arraystore
from arraystore.testing import make_bioscan5m


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    root = tmp_path_factory.mktemp("package")
    return make_bioscan5m(root, n=48, seed=3, distinct=6, rows_without_image=3, images_without_row=2)


@pytest.fixture(scope="session")
def store(package, tmp_path_factory):
    """Do not change it: see `damaged` for that."""
    path = tmp_path_factory.mktemp("store") / "cropped_256.zarr"
    arraystore.ingest(package.sources(), path, shard_nbytes=65_536)
    return path
