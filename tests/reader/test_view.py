"""A selection is a NumPy mask, and a view of it is a store."""

import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arraystore.errors import InvalidRequestError, UnknownKeyError

FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


@pytest.fixture(scope="module")
def frame(store):
    return store.columns.to_pandas()


@FIXTURES
@given(data=st.data())
def test_a_selection_is_a_mask(store, frame, data):
    conditions, mask = {}, np.ones(len(store), bool)
    for name in data.draw(st.sets(st.sampled_from(["order", "family", "split", "country", "inferred_ranks"]))):
        present = [*frame[name].dropna().unique().tolist(), None]
        values = data.draw(st.lists(st.sampled_from(present), max_size=4))
        conditions[name] = values
        mask &= frame[name].isin([each for each in values if each is not None]) | (
            frame[name].isna() & (None in values)
        )
    view = store.select(**conditions)
    np.testing.assert_array_equal(view.store_rows, np.flatnonzero(mask))
    assert list(view.keys) == frame.index[mask].tolist()


@FIXTURES
@given(data=st.data())
def test_selecting_in_a_view_is_selecting_both(store, data):
    first = data.draw(st.permutations(range(len(store)))).copy()
    rows = np.array(first[: data.draw(st.integers(0, len(store)))], np.int64)
    view = store.select(rows).select(split="seen", order="Diptera")
    both = store.select(split="seen", order="Diptera").store_rows
    assert view.store_rows.tolist() == [row for row in rows.tolist() if row in both]
    assert [view.row(key) for key in view.keys] == list(range(len(view)))


def test_a_view_reads_as_its_store(store, sound):
    view = store.select(sound).select(split="all")
    subset = view.select(order="Diptera")
    assert len(subset) > 3
    for row in range(-3, 3):
        key = subset.keys[row]
        np.testing.assert_array_equal(subset[row], store[key])
        assert subset.jpeg(row) == store.jpeg(key)
        assert subset.text(key) == store.text(key)
    assert subset.columns["order"].value_counts() == {"Diptera": len(subset)}
    assert subset.columns.to_pandas().index.tolist() == list(subset.keys)
    np.testing.assert_array_equal(subset.sizes(), store.sizes(subset.store_rows))
    np.testing.assert_array_equal(subset.status, store.status[subset.store_rows])
    assert subset.info().records == len(subset)
    assert f"{len(subset)} of 60 records" in repr(subset)


def test_a_key_outside_a_view_is_unknown_to_it(store):
    view = store.select(split="train")
    outside = next(key for key in store.keys if key not in view)
    with pytest.raises(UnknownKeyError, match=outside):
        view[outside]
    assert outside in store


def test_crops_of_a_view_are_those_of_its_records(store, sound):
    view = store.select(sound[::-2])
    rows = [3, 0, 5]
    np.testing.assert_array_equal(
        view.crops(rows, 32, seed=4, flip=0.5), store.crops(view.store_rows[rows], 32, seed=4, flip=0.5)
    )


def test_a_view_is_pickled_with_its_rows(store):
    view = store.select(split="seen")
    again = pickle.loads(pickle.dumps(view))
    assert list(again.keys) == list(view.keys)
    np.testing.assert_array_equal(again[0], view[0])


def test_rows_of_a_view_cannot_be_changed(store):
    with pytest.raises(ValueError, match="read-only"):
        store.select(split="seen").store_rows[0] = 1


def test_where_takes_conditions_rows_keys_and_masks(store):
    north = store.columns["coord-lat"].to_numpy() > 10
    np.testing.assert_array_equal(store.select(north).store_rows, np.flatnonzero(north))
    assert (
        store.select({"coord-lat": None}).store_rows.tolist()
        == np.flatnonzero(np.isnan(store.columns["coord-lat"].to_numpy())).tolist()
    )
    assert list(store.select(store.keys[4:2:-1]).keys) == [store.keys[4], store.keys[3]]
    assert len(store.select(north, split="train")) == len(
        store.select(split="train").select(north[store.select(split="train").store_rows])
    )
    assert len(store.select()) == 60
    assert len(store.select(order="Odonata")) == 0
    assert store.select(order="Odonata")[:] == []


def test_chains_of_any_conditions_are_joined_by_and(store):
    latitude = store.columns["coord-lat"].to_numpy()
    expected = np.flatnonzero((latitude > 10) & (store.columns["order"] == "Diptera"))
    north = {"coord-lat": lambda values: values > 10}
    assert len(expected) > 1
    for view in (
        store.select(north).select(order="Diptera"),
        store.select(order="Diptera").select(north),
        store.select(north, order="Diptera"),
        store.select(order=lambda names: names == "Diptera").select(north),
    ):
        np.testing.assert_array_equal(view.store_rows, expected)
    with pytest.raises(InvalidRequestError, match=f"must return {len(expected)} booleans"):
        store.select(north, order="Diptera").select(order=lambda _: [True] * 60)


def test_a_column_named_in_a_mapping_and_by_keyword_meets_both(store):
    assert len(store.select({"order": ["Diptera", "Coleoptera"]}, order="Diptera")) == len(
        store.select(order="Diptera")
    )
    assert len(store.select({"order": "Coleoptera"}, order="Diptera")) == 0


def test_meta_splits_are_names_in_the_column_of_splits_only(store):
    assert len(store.select(split="all")) == 60
    assert len(store.select(order="all")) == 0
    assert len(store.select(country="seen")) == 0


def test_a_wrong_split_is_named(store):
    with pytest.raises(InvalidRequestError, match="no split 'valid'"):
        store.select(split="valid")
