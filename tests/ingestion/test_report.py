"""What an ingest and a verification tell: one of a thing is not several."""

import re
from pathlib import Path

import pytest

from arraystore.ingestion.report import _LABELS, IngestReport
from arraystore.ingestion.verify import Problem, VerifyReport

KINDS = [*_LABELS, "empty", "truncated"]


def ingested(count):
    troubles = dict.fromkeys(KINDS, count)
    left_out = {"rows_left_out": count, "images_left_out": count}
    return str(IngestReport(Path("s.zarr"), "cropped_256", count, count, 7, 1.0, troubles=troubles, **left_out))


def verified(count):
    problems = (Problem("record", "image row 1", "damaged"),) * count
    return str(VerifyReport(Path("s.zarr"), count, count, count, problems))


@pytest.mark.parametrize("text", [ingested, verified])
def test_one_is_singular_and_two_are_plural(text):
    nouns = ("row", "image", "file", "duplicate", "record", "problem", "byte")
    one, two = text(1).replace("\n", " "), text(2).replace("\n", " ")
    assert any(f" 1 {noun}" in one for noun in nouns)
    for noun in nouns:
        # A rate, such as images/s, has its unit in the plural.
        assert not re.search(rf"\b1 {noun}s\b(?!/s)", one)
        assert not re.search(rf"\b2 {noun}\b", two)
