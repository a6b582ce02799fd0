"""The parts of the BIOSCAN datasets that pandas does elsewhere: repeated barcodes, and numbers of labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arraystore.integrations.bioscan.barcodes import first_of_each_barcode
from arraystore.integrations.bioscan.categories import Categories
from arraystore.integrations.bioscan.cleaning import complete_labels
from arraystore.integrations.bioscan.splits import SplitNames

pandas = pytest.importorskip("pandas", reason="is the oracle")

barcodes = st.lists(st.one_of(st.none(), st.text("ACN", max_size=3)), max_size=40)
labels = st.lists(st.one_of(st.none(), st.sampled_from(["b", "a", "NA", "Z", "é", "a b", "None"])), max_size=40)


def categories(texts):
    names = [*dict.fromkeys(text for text in texts if text is not None)]
    codes = [-1 if text is None else names.index(text) for text in texts]
    return Categories(np.array(codes, np.int8), names)


@settings(deadline=None)
@given(barcodes)
def test_the_first_of_each_barcode_is_that_of_pandas(texts):
    series = pandas.Series(texts, dtype=object).sample(frac=1, random_state=0)
    expected = sorted(series.str.rstrip("N").drop_duplicates().index) if any(texts) else None
    rows = np.arange(len(texts)) + 100
    found = first_of_each_barcode(rows, lambda asked: [texts[row - 100] for row in asked])
    if expected is not None:
        assert (found - 100).tolist() == expected


@settings(deadline=None)
@given(labels, st.data())
def test_labels_of_some_rows_are_numbered_as_pandas_does(texts, data):
    chosen = sorted(data.draw(st.sets(st.sampled_from(range(len(texts))))) if texts else [])
    known = [None if text in ("NA", "None") else text for text in texts]
    expected = pandas.Series([known[row] for row in chosen], dtype=object).astype("category").cat
    found = categories(texts).in_order(np.array(chosen, np.int64))
    assert found.names == expected.categories.tolist()
    np.testing.assert_array_equal(found.codes[chosen], expected.codes)
    assert set(np.delete(found.codes, chosen).tolist()) <= {-1}


@pytest.mark.parametrize("count", [126, 127, 128, 32_766, 32_767])
def test_codes_have_the_integer_type_of_pandas(count):
    names = [f"{number:05d}" for number in range(count)]
    expected = pandas.Series(names).astype("category").cat.codes.dtype
    assert Categories.of_pandas(np.arange(count), names).codes.dtype == expected
    assert Categories.of_pandas(np.arange(count + 1), [*names, "NA"]).codes.dtype == expected


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([None, "x", "y z", "Asteia"])] * 5), min_size=1, max_size=12))
def test_labels_are_completed_row_by_row(rows):
    ranks = ["family", "subfamily", "tribe", "genus", "species"]
    columns = dict(zip(ranks, map(list, zip(*rows, strict=True)), strict=True))
    found = complete_labels({rank: categories(texts) for rank, texts in columns.items()}.__getitem__)
    everything = np.arange(len(rows))
    values = {rank: found[rank].at(everything).tolist() for rank in ("subfamily", "tribe", "genus")}
    for number, row in enumerate(rows):
        expected = completed(dict(zip(ranks, row, strict=True)))
        assert {
            rank: None if values[rank][number] != values[rank][number] else values[rank][number] for rank in values
        } == {rank: expected[rank] for rank in values}


def completed(row):
    """Complete one specimen as it is documented."""
    unassigned = {rank: row[rank] and f"unassigned {row[rank]}" for rank in ("family", "subfamily")}
    if row["genus"] == "Asteia":
        row["tribe"] = "Asteiini"
    if row["genus"] is None and row["species"]:
        row["genus"] = row["species"].split(" ")[0]
    if row["tribe"] is None and row["genus"]:
        row["tribe"] = unassigned["subfamily"] or unassigned["family"]
    if row["subfamily"] is None and row["tribe"]:
        row["subfamily"] = unassigned["family"]
    return row


def test_sums_of_splits_are_sets():
    names = SplitNames(["train", "val"], {"all": ["train", "val"], "other": ()}, {"validation": "val"})
    assert names.expand("validation+train + val") == {"train", "val"}
    assert names.expand("all+other") == {"train", "val", "other"}
    assert names.canonical("validation") == "val"
    assert names.canonical(None) is None
