"""Five million records: keys and selections are right at that size, and opening takes no memory for them.

How long it takes is measured by `benches/large.py`.
"""

from pathlib import Path

import numpy as np
import pytest

import arraystore
from arraystore.testing import make_large_store

N = 5_000_000


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    return make_large_store(tmp_path_factory.mktemp("large") / "large.zarr", N)


def private_nbytes():
    """Memory of this process that is its own: without mapped files."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


@pytest.mark.slow
def test_opening_takes_no_memory_for_the_rows(large):
    before = private_nbytes()
    with arraystore.open(large) as store:
        assert store.keys[N - 1] == "ABCD4999999-20"
        assert store.row("ABCD0000005-20") == 5
        assert store.read([N - 1], verify=False)[0].shape == (256, 300, 3)
    assert private_nbytes() - before < 60_000_000


@pytest.mark.slow
def test_keys_are_found_and_named(large):
    rows = np.random.default_rng(0).integers(0, N, 100_000)
    with arraystore.open(large) as store:
        keys = store.keys[rows]
        assert keys[:3] == [f"ABCD{row:07d}-20" for row in rows[:3]]
        np.testing.assert_array_equal(store.rows(keys), rows)
        assert "ABCD5000000-20" not in store


@pytest.mark.slow
def test_selections_are_views(large):
    with arraystore.open(large) as store:
        view = store.select(split="train")
        np.testing.assert_array_equal(view.store_rows, np.arange(2, N, 3))
        assert view.keys[-1] == f"ABCD{view.store_rows[-1]:07d}-20"
        assert view.row("ABCD0000005-20") == 1
        assert "ABCD0000004-20" not in view
        assert view.select(index=[5, 6, 8]).store_rows.tolist() == [5, 8]
        assert store.info().splits == {"pretrain": 1_666_667, "test": 1_666_667, "train": 1_666_666}
