"""Conditions are NumPy masks; split names are those of the publisher."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arraystore.errors import InvalidRequestError
from arraystore.format.columns import CategoricalColumn, NumericColumn
from arraystore.reader.column import Column
from arraystore.reader.selection import conditions_mask, expand_splits
from arraystore.sources.bioscan5m import Bioscan5M

SPLITS = ["pretrain", "test", "train", "val", "val_unseen"]


def mask_of(splits, values, conditions):
    stored = {
        "split": CategoricalColumn(np.array(splits, np.int8), np.array(SPLITS, object)),
        "value": NumericColumn(np.array(values, np.float64)),
    }
    return conditions_mask(
        conditions,
        lambda name: Column(name, stored[name]),
        n=len(splits),
        splits=Bioscan5M.splits,
        dataset="BIOSCAN-5M",
    )


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 3)), max_size=30))
def test_conditions_are_masks_joined_by_and(records):
    splits, values = [split for split, _ in records], [value for _, value in records]
    expected = np.isin(splits, [1, 2, 3]) & np.isin(values, [0, 2])
    np.testing.assert_array_equal(mask_of(splits, values, {"split": "seen", "value": [0, 2]}), expected)


@pytest.mark.parametrize(
    ("split", "codes"),
    [
        ("train", [2]),
        ("all", [-1, 0, 1, 2, 3, 4]),
        (["train", "val"], [2, 3]),
        ("train + val", [2, 3]),
        ("unseen", [4]),
        ("validation", [3]),
        ("test_unseen", []),
        (None, [-1]),
        ([None, "train"], [-1, 2]),
        (np.array(["train", "test"]), [1, 2]),
        ({"train", "test"}, [1, 2]),
        (("train", "test"), [1, 2]),
        (dict.fromkeys(["train", "test"]).keys(), [1, 2]),
        (np.array("train"), [2]),
        ("pretrain+seen", [0, 1, 2, 3]),
    ],
)
def test_splits_and_their_unions(split, codes):
    every = [-1, 0, 1, 2, 3, 4]
    assert [every[i] for i in np.flatnonzero(mask_of(every, [0] * 6, {"split": split}))] == codes


def test_an_unknown_split_is_named_with_the_known_ones():
    with pytest.raises(
        InvalidRequestError, match=r"no split 'tain' in BIOSCAN-5M: there are pretrain, train.*seen"
    ) as it:
        mask_of([0], [0], {"split": "tain"})
    assert it.value.code == "unknown-split"


def test_another_data_set_has_the_splits_it_has():
    assert expand_splits(["mine"], ["mine"], splits={}, dataset="Other") == ["mine"]
    assert expand_splits(["a+b"], [], splits={"a": ["x", "y"], "b": ["z"]}, dataset="Other") == ["x", "y", "z"]
    # A split of a user's own table may be called like a sum, or like all.
    assert expand_splits(["a+b"], ["a+b"], splits={"a": ["x"], "b": ["z"]}, dataset="Other") == ["a+b"]
    assert expand_splits(["all"], ["all", "b"], splits={}, dataset="Other") == ["all"]
    with pytest.raises(InvalidRequestError, match="no split 'seen' in Other"):
        expand_splits(["seen"], ["mine"], splits={}, dataset="Other")


@pytest.mark.parametrize("condition", [{"split": {"train": 1}}, {"split": 0}, {"value": {"a": 1}}, {"value": "train"}])
def test_a_condition_that_can_never_hold_is_refused(condition):
    with pytest.raises(InvalidRequestError, match=next(iter(condition))):
        mask_of([0, 1], [1, 2], condition)


def test_a_value_that_does_not_occur_selects_nothing():
    assert not mask_of([0, 1], [1, 2], {"value": 7}).any()
    assert not mask_of([0, 1], [1, 2], {"value": []}).any()


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 3)), max_size=30), st.integers(-1, 4))
def test_a_function_makes_a_mask_of_the_values(records, least):
    splits, values = [split for split, _ in records], [value for _, value in records]
    expected = np.isin(splits, [2, 3]) & (np.array(values, float) > least)
    conditions = {
        "value": lambda values: values > least,
        "split": lambda names: [name is not None and name in ("train", "val") for name in names],
    }
    np.testing.assert_array_equal(mask_of(splits, values, conditions), expected)


def test_a_function_is_given_what_to_numpy_gives():
    given = []
    mask_of([0, -1], [1, 2], {"split": lambda names: given.append(names) or names == "pretrain"})
    assert given[0].tolist() == ["pretrain", None]
    assert isinstance(given[0], np.ndarray)
    # The name of a meta-split is nothing to a function.
    assert mask_of([0, 2], [1, 2], {"split": lambda names: names == "seen"}).tolist() == [False, False]


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, lambda mask: pd.array(mask, "boolean")])
def test_a_function_may_return_any_booleans(kind):
    assert mask_of([0, 1], [1, 2], {"value": lambda _: kind([False, True])}).tolist() == [False, True]


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        (True, "found True"),
        (None, "found None"),
        ("yes", "found 'yes'"),
        ([True], r"found shape \(1,\)"),
        ([[True], [False]], r"found shape \(2, 1\)"),
        ([[True, False], [True]], r"found \[\[True"),
        ([0, 1], "found int64"),
        ([1.0, np.nan], "found float64"),
        ([True, None], "found missing values, or objects"),
        (pd.array([True, None], "boolean"), "found missing values, or objects"),
        ({1, 2}, r"found \{1, 2\}"),
    ],
)
def test_a_function_that_makes_no_mask_is_told(returned, found):
    with pytest.raises(InvalidRequestError, match=f"value: the function must return 2 booleans.*, {found}") as it:
        mask_of([0, 1], [1, 2], {"value": lambda _: returned})
    assert it.value.code == "no-mask"


def test_an_error_of_a_function_is_its_own():
    with pytest.raises(ZeroDivisionError):
        mask_of([0], [1], {"value": lambda _: 1 // 0})
