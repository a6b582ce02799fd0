"""Columns of several parts become one, and nothing of them changes but what was missing."""

import numpy as np
import pytest

from arraystore import _core
from arraystore.errors import DuplicateKeyError, InvalidRequestError
from arraystore.format.columns import CategoricalColumn, NullableColumn, NumericColumn, StringColumn, TextsColumn
from arraystore.ingestion.union import ColumnPart, as_strings, unite_columns

AT = {"left": [0, 1], "right": [2, 1]}


def labels(*names):
    categories = sorted({name for name in names if name is not None})
    codes = [-1 if name is None else categories.index(name) for name in names]
    return CategoricalColumn(np.array(codes, np.int8), np.array(categories, object))


def texts(*values):
    mask = np.array([value is None for value in values])
    return StringColumn(np.array([value or "" for value in values], object), mask if mask.any() else None)


def integers(*values, dtype="int64"):
    mask = np.array([value is None for value in values])
    kept = np.array([value or 0 for value in values], dtype)
    return NullableColumn(kept, mask) if mask.any() else NumericColumn(kept)


def floats(*values):
    return NumericColumn(np.array(values, float))


def united(left, right, n=4, strict=True):
    parts = [ColumnPart(each, np.array(AT[name]), name) for name, each in (("left", left), ("right", right))]
    return unite_columns("x", parts, n, key_of=(lambda record: f"K{record}") if strict else None)


def values(of):
    match of:
        case CategoricalColumn():
            return [None if code < 0 else of.categories[code] for code in of.codes.tolist()]
        case NullableColumn():
            return [None if gone else value for value, gone in zip(of.values.tolist(), of.mask.tolist(), strict=True)]
        case NumericColumn():
            return [None if value != value else value for value in of.values.tolist()]
        case StringColumn() | TextsColumn():
            given = as_strings(of).to_list()
            mask = np.zeros(len(of), bool) if of.mask is None else of.mask
            return [None if gone else value for value, gone in zip(given, mask.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (labels("b", None), labels("a", "c"), ["b", "c", "a", None]),
        (labels("b", "c"), labels("a", "c"), ["b", "c", "a", None]),
        (texts("b", None), texts("ä", "c"), ["b", "c", "ä", None]),
        (labels("b", None), texts("ä", "c"), ["b", "c", "ä", None]),
        (integers(1, None), integers(300, 2, dtype="int16"), [1, 2, 300, None]),
        (floats(0.5, np.nan), integers(3, None), [0.5, None, 3.0, None]),
        (NumericColumn(np.array([True, False])), NumericColumn(np.array([True, False])), [1, 0, 1, None]),
    ],
)
def test_what_one_part_lacks_another_gives(left, right, expected):
    assert values(united(left, right)) == expected


def test_categories_are_sorted_and_each_occurs():
    found = united(labels("z", "b"), labels("a", None), n=3)
    assert found.categories.tolist() == ["a", "b", "z"]
    assert found.codes.dtype == np.int8


def test_integers_take_a_type_that_holds_them_all():
    found = united(integers(1, 2, dtype="uint8"), integers(-300, None, dtype="int16"), n=3)
    assert (found.values.dtype, values(found)) == (np.int16, [1, 2, -300])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (labels("b", "c"), labels("a", "d")),
        (texts("b", "c"), texts("a", "d")),
        (integers(1, 2), integers(1, 3)),
        (floats(1, 2.5), floats(1, 2.25)),
        (labels("b", "c"), texts("a", "C")),
    ],
)
def test_two_values_of_one_record_are_refused_or_the_first_counts(left, right):
    with pytest.raises(DuplicateKeyError, match="'x' has different values for 'K1' in left and in right"):
        united(left, right)
    assert values(united(left, right, strict=False))[:2] == values(left)


@pytest.mark.parametrize("other", [labels("a", "c"), texts("a", "c")])
def test_text_and_numbers_are_not_joined(other):
    with pytest.raises(InvalidRequestError, match="'x' holds numbers in left and text in right"):
        united(integers(1, None), other)
    with pytest.raises(InvalidRequestError, match="'x' holds text in left and numbers in right"):
        united(other, integers(1, None))


def test_integers_that_are_no_floats_stay_integers_or_are_refused():
    large = integers(2**53 + 1, None)
    assert values(united(large, integers(1, None), n=3)) == [2**53 + 1, None, 1]
    with pytest.raises(InvalidRequestError, match="beyond 2\\*\\*53 in left"):
        united(large, floats(0.5, np.nan))


def test_texts_of_the_core_and_of_numpy_are_the_same():
    given = ["a", "", "äö", "c" * 70_000]
    of_core = TextsColumn(_core.Strings.from_list(given))
    assert as_strings(of_core).to_list() == as_strings(StringColumn(np.array(given, object))).to_list() == given
