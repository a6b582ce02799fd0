"""Conditions are NumPy masks; split names are those of the publisher."""

import numpy as np
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
    with pytest.raises(InvalidRequestError, match="no split 'seen' in Other"):
        expand_splits(["seen"], ["mine"], splits={}, dataset="Other")


@pytest.mark.parametrize("condition", [{"split": {"train": 1}}, {"split": 0}, {"value": {"a": 1}}, {"value": "train"}])
def test_a_condition_that_can_never_hold_is_refused(condition):
    with pytest.raises(InvalidRequestError, match=next(iter(condition))):
        mask_of([0, 1], [1, 2], condition)


def test_a_value_that_does_not_occur_selects_nothing():
    assert not mask_of([0, 1], [1, 2], {"value": 7}).any()
    assert not mask_of([0, 1], [1, 2], {"value": []}).any()
