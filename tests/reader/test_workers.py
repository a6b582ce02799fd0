"""Threads, forked and spawned processes read one store with equal results."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import arraystore


@pytest.fixture(scope="session", params=["store_path", "hdf5_path"])
def store(request):
    """The store in each container."""
    with arraystore.open(request.getfixturevalue(request.param)) as opened:
        yield opened


def batch_of(source, rows):
    return source.crops(rows, 64, seed=5, flip=0.5, threads=2), source.jpeg(rows), source.columns["order"][0]


def assert_equal_batches(batches, expected):
    for pixels, jpegs, order in batches:
        np.testing.assert_array_equal(pixels, expected[0])
        assert (jpegs, order) == expected[1:]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_read_what_their_parent_reads(store, sound, method):
    expected = batch_of(store, sound)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        assert_equal_batches(pool.map(batch_of, [store] * 4, [sound] * 4, timeout=120), expected)


def test_views_travel_to_processes(store, sound):
    view = store.select(sound[::2])
    rows = np.arange(len(view))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert_equal_batches(pool.map(batch_of, [view], [rows], timeout=120), batch_of(view, rows))


def test_threads_share_a_store(store, sound):
    expected = batch_of(store, sound)
    with ThreadPoolExecutor(8) as pool:
        assert_equal_batches(pool.map(batch_of, [store] * 40, [sound] * 40), expected)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_amid_reading_threads_does_not_wait(store, sound):
    """A child must not wait for what a thread of its parent held."""
    expected = batch_of(store, sound)
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(batch_of, store, sound) for _ in range(40)]
        with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
            assert_equal_batches(pool.map(batch_of, [store] * 4, [sound] * 4, timeout=120), expected)
        assert_equal_batches((each.result() for each in running), expected)
