"""Codes of labels are those of pandas, and the same in every view."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from arraystore.errors import InvalidRequestError, UnknownColumnError
from arraystore.format.columns import CategoricalColumn, NumericColumn, StringColumn, categorical
from arraystore.reader import labels as module
from arraystore.reader.labels import make_labels

# What pandas itself does: since version 3 the order is that of all labels.
PANDAS_ORDER = "sorted" if int(pd.__version__.split(".")[0]) >= 3 else "pandas<3"
NAMES = ["Zeta", "alpha", "Beta", "Ärger", "beta", "NaN?", "😀", "\uffee"]

values_of = st.lists(st.none() | st.sampled_from(NAMES), max_size=60)


def stored_from(values, extra=("Unused",)):
    """Categories in the order in which they come, with some that do not occur: no order to lean on."""
    names = [*extra, *dict.fromkeys(value for value in values if value is not None)]
    codes = [-1 if value is None else names.index(value) for value in values]
    return CategoricalColumn(np.array(codes, np.int16), np.array(names, object))


def names_by_blocks(values, nrows):
    """The rule, one value at a time."""
    names = []
    for start in range(0, len(values), nrows):
        new = set()
        for value in values[start : start + nrows]:
            if value is not None and value not in names:
                new.add(value)
        names.extend(sorted(new))
    return names


@pytest.mark.parametrize("order", ["sorted", "pandas<3"])
@given(values=values_of, nrows=st.integers(1, 20))
@example(values=[], nrows=1)
@example(values=[None, None], nrows=1)
def test_codes_follow_the_rule(order, values, nrows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK_NROWS", nrows)
        labels = make_labels("species", stored_from(values), order=order)
    assert labels.names == names_by_blocks(values, nrows if order == "pandas<3" else len(values) + 1)
    assert labels.codes.tolist() == [-1 if value is None else labels.names.index(value) for value in values]


@settings(deadline=None, max_examples=10)
@given(st.lists(st.tuples(st.integers(0, 100_000), st.none() | st.sampled_from(NAMES)), max_size=12))
def test_blocks_are_of_32768_rows(runs):
    values = [value for count, value in runs for _ in range(count)]
    labels = make_labels("species", stored_from(values), order="pandas<3")
    assert labels.names == names_by_blocks(values, 32_768)


@pytest.mark.parametrize("columns", [16, 23, 31])
def test_codes_are_those_of_pandas(columns):
    random = np.random.default_rng(columns)
    # Later labels come to sort first, and some rows have none.
    ranks = np.sort(random.integers(0, 4_000, 80_000)) + random.integers(-300, 300, 80_000)
    values = [None if rank % 11 == 0 else f"Species {9_000 - rank}" for rank in ranks.tolist()]
    text = "species" + ",x" * (columns - 1) + "\n" + "".join(f"{each or ''}{',' * (columns - 1)}\n" for each in values)
    theirs = pd.read_csv(io.StringIO(text), dtype="category", usecols=["species"])["species"]
    ours = make_labels("species", stored_from(values), order=PANDAS_ORDER)
    assert ours.names == theirs.cat.categories.tolist()
    np.testing.assert_array_equal(ours.codes, theirs.cat.codes)
    assert ours.codes.dtype == theirs.cat.codes.dtype
    # Else the table would show nothing.
    assert names_by_blocks(values, 32_768) != sorted(ours.names)


@pytest.mark.parametrize("count", [0, 1, 126, 127, 128, 32_766, 32_767, 32_768])
def test_the_type_of_codes_is_that_of_pandas(count):
    names = np.array([f"{number:05d}" for number in range(count)], object)
    labels = make_labels("species", categorical(np.arange(count), names.tolist()))
    assert labels.codes.dtype == pd.Categorical(names).codes.dtype
    np.testing.assert_array_equal(labels.codes, np.arange(count))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(data=st.data())
def test_codes_do_not_depend_on_the_view(store, data):
    column = data.draw(st.sampled_from(["order", "species", "split", "country"]))
    order = data.draw(st.sampled_from(["sorted", "pandas<3"]))
    rows = data.draw(st.lists(st.integers(0, len(store) - 1)))
    whole, part = store.labels(column, order=order), store.select(rows).labels(column, order=order)
    assert part.names == whole.names
    np.testing.assert_array_equal(part.codes, whole.codes[rows])
    texts = store.select(rows).columns[column].to_numpy().tolist()
    assert [whole.names[code] if code >= 0 else None for code in part.codes] == texts


def test_images_without_a_row_change_no_code(store, package):
    """The table has 57 rows, with and without an image; the records of three more images come last."""
    labels = store.labels("order")
    theirs = pd.read_csv(package.metadata, dtype="category", keep_default_na=False, na_values=[""])["order"]
    assert labels.names == theirs.cat.categories.tolist()
    np.testing.assert_array_equal(labels.codes, [*theirs.cat.codes, -1, -1, -1])


@pytest.mark.parametrize("stored", [NumericColumn(np.zeros(1)), StringColumn(np.array(["a"], object))])
def test_only_categories_are_labels(stored):
    with pytest.raises(InvalidRequestError, match="column 'x' is not categorical"):
        make_labels("x", stored)


def test_a_wrong_column_or_order_is_named(store):
    with pytest.raises(UnknownColumnError, match="no column 'specie': did you mean 'species'"):
        store.labels("specie")
    with pytest.raises(InvalidRequestError, match="order='pandas': expected one of sorted, pandas<3"):
        store.labels("species", order="pandas")
    with pytest.raises(InvalidRequestError, match="column 'coord-lat' is not categorical"):
        store.labels("coord-lat")
    assert repr(store.labels("order")).startswith("Labels(60 codes of ")
