"""Sources and a cache folder of their own for each test."""

import pytest

from arraystore.testing import make_bioscan5m


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("ARRAYSTORE_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def package(tmp_path):
    """A zip and its table, which may be changed."""
    return make_bioscan5m(tmp_path / "package", 24, distinct=4, form="zip-stored")


@pytest.fixture
def tree(tmp_path):
    """A folder and its table, which may be changed."""
    return make_bioscan5m(tmp_path / "tree", 24, distinct=4)
