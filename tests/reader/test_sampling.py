"""Samples are without replacement, nested, fair, and the same for ever."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arraystore.errors import InvalidRequestError
from arraystore.reader.sampling import sample_rows

seeds = st.integers(0, 2**64 - 1)


@given(st.integers(0, 200), seeds, st.data())
def test_samples_are_distinct_and_nested(length, seed, data):
    n = data.draw(st.integers(0, length))
    every = sample_rows(length, length, seed=seed)
    assert sorted(every.tolist()) == list(range(length))
    assert sample_rows(n, length, seed=seed).tolist() == every[:n].tolist()


@given(st.integers(1, 100), seeds)
def test_the_rule_is_that_of_the_documentation(length, seed):
    numbers = np.random.PCG64(seed).random_raw(length).tolist()
    assert sample_rows(length, length, seed=seed).tolist() == sorted(range(length), key=numbers.__getitem__)


def test_samples_never_change():
    """Results that were published with a seed must be found again."""
    assert sample_rows(6, 1_000_000, seed=0).tolist() == [150050, 78538, 238149, 743558, 300025, 177914]
    assert sample_rows(6, 1_000_000, seed=2**64 - 1).tolist() == [253258, 54134, 463248, 563262, 541496, 737313]


def test_every_row_has_its_chance():
    drawn = np.bincount(np.concatenate([sample_rows(5, 20, seed=seed) for seed in range(4_000)]), minlength=20)
    # A thousand times each, with a standard deviation of 27.
    assert abs(drawn - 1_000).max() < 5 * 27


def test_equal_numbers_are_drawn_by_row(monkeypatch):
    class Tied:
        def __init__(self, seed):
            pass

        def random_raw(self, length):
            return np.arange(length, dtype=np.uint64)[::-1] // 3

    monkeypatch.setattr(np.random, "PCG64", Tied)
    assert sample_rows(4, 6, seed=0).tolist() == [3, 4, 5, 0]
    assert sample_rows(2, 6, seed=0).tolist() == [3, 4]


def test_a_sample_is_a_view(store):
    view = store.select(split="seen")
    sample = view.sample(5, seed=7)
    rows = sample_rows(5, len(view), seed=7)
    np.testing.assert_array_equal(sample.store_rows, view.store_rows[rows])
    assert list(sample.keys) == [view.keys[row] for row in rows.tolist()]
    assert sample.select(order="Diptera").store_rows.tolist() == [
        row for row in sample.store_rows.tolist() if store.columns["order"][row] == "Diptera"
    ]
    assert len(store.sample(0)) == 0
    assert store.sample(len(store)).store_rows.tolist() != list(range(len(store)))


@pytest.mark.parametrize(("n", "seed"), [(61, 0), (-1, 0), (2.0, 0), (True, 0), (3, -1), (3, 2**64), (3, None)])
def test_wrong_numbers_are_refused(store, n, seed):
    with pytest.raises(InvalidRequestError, match=r"(n=.* integer from 0 to 60|seed=.* integer from 0 to 18446)"):
        store.sample(n, seed=seed)
