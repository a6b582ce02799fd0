"""The plan joins images and table as a dictionary would, for any order and any gaps."""

import csv
import zipfile

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arraystore.errors import DuplicateKeyError, SourceError
from arraystore.ingestion.plan import make_plan
from arraystore.sources.archive import scan_sources
from arraystore.sources.bioscan5m import Bioscan5M
from arraystore.sources.tables import read_metadata

KEYS = [f"K-{i}" for i in range(12)]


def plan_of(directory, images, table_keys, *, splits=None, **options):
    """Plan an archive with these images and a table with these rows."""
    archive, table = directory / "a.zip", directory / "m.csv"
    with zipfile.ZipFile(archive, "w") as file:
        for key, jpeg in images:
            file.writestr(f"cropped_256/val/{key}.jpg", jpeg)
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["processid", "split"], *([key, (splits or {}).get(key, "val")] for key in table_keys)]
        )
    found = Bioscan5M().images(scan_sources([archive]))
    metadata = read_metadata(table, Bioscan5M.table, key="processid", spill=directory / "spill")
    return make_plan(found, metadata, image_keys=found.stems, **options)


@settings(deadline=None, max_examples=40)
@given(
    st.permutations(KEYS),
    st.permutations(KEYS),
    st.integers(1, len(KEYS)),
    st.integers(0, len(KEYS)),
    st.sampled_from(["all", "images"]),
)
def test_plan_joins_as_a_dictionary_does(tmp_path_factory, images, table, image_count, row_count, rows):
    images, table = images[:image_count], table[:row_count]
    # A table in which no image has a row is refused.
    assume(set(images) & set(table) or not table)
    plan = plan_of(tmp_path_factory.mktemp("plan"), [(key, key.encode()) for key in images], table, rows=rows)
    kept = [key for key in table if rows == "all" or key in images]
    expected = kept + [key for key in images if key not in table]
    assert plan.keys.to_list() == expected
    assert plan.table_row.tolist() == [table.index(key) if key in table else -1 for key in expected]
    assert [expected[record] for record in plan.record] == images
    assert plan.image.tolist() == list(range(len(images)))
    assert plan.rows_left_out == len(table) - len(kept)
    assert plan.has_image.tolist() == [key in images for key in expected]


def test_equal_duplicates_are_merged_and_counted(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        plan = plan_of(tmp_path, [("A", b"1"), ("B", b"2"), ("A", b"1")], ["A", "B"])
    assert plan.image.tolist() == [0, 1]
    assert plan.merged.tolist() == [[0, 2]]


@pytest.mark.parametrize("other", [b"2", b"12"])
def test_different_images_of_one_key_are_an_error_naming_both(tmp_path, other):
    with zipfile.ZipFile(tmp_path / "1.zip", "w") as file:
        file.writestr("cropped_256/val/A-1.jpg", b"1")
    with zipfile.ZipFile(tmp_path / "2.zip", "w") as file:
        file.writestr("cropped_256/train/0/A-1.jpg", other)
    images = Bioscan5M().images(scan_sources([tmp_path / "1.zip", tmp_path / "2.zip"]))
    with pytest.raises(DuplicateKeyError, match=r"'A-1'.*1\.zip/cropped_256/val.*2\.zip/cropped_256/train"):
        make_plan(images, None, image_keys=images.stems)


def test_duplicate_row_is_an_error_naming_both_lines(tmp_path):
    with pytest.raises(DuplicateKeyError, match="'B' stands on line 3 and on line 5"):
        plan_of(tmp_path, [("A", b"1")], ["A", "B", "C", "B"])


def test_row_without_a_key_is_an_error_naming_its_line(tmp_path):
    with pytest.raises(SourceError, match="line 3 has no processid"):
        plan_of(tmp_path, [("A", b"1")], ["A", "", "C"])


def test_split_that_disagrees_with_the_path_is_noticed(tmp_path):
    images = [(key, b"1") for key in "ABCD"]
    plan = plan_of(tmp_path, images, ["D", "B", "A"], splits={"B": "train", "A": "", "D": "val"})
    assert [plan.keys[int(record)] for record in plan.split_mismatch] == ["B", "A"]


def test_plan_is_the_same_without_a_table(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for key in "BCA":
            file.writestr(f"cropped_256/val/{key}.jpg", b"1")
    images = Bioscan5M().images(scan_sources([tmp_path / "a.zip"]))
    plan = make_plan(images, None, image_keys=images.stems)
    assert plan.keys.to_list() == ["B", "C", "A"]
    assert plan.table_row.tolist() == [-1, -1, -1]
    assert plan.record.tolist() == [0, 1, 2]
