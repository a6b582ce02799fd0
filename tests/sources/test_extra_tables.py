"""Further tables beside the metadata: bounding boxes, the list of poor images, and any other."""

import csv
import sys
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import zarr
from anndata.io import read_elem

import arraystore
from arraystore import cli
from arraystore.errors import DuplicateKeyError, InvalidRequestError, SourceError
from arraystore.sources.quality_list import read_quality_list
from arraystore.testing import insect_jpeg, make_bioscan1m, make_bioscan5m

BOXES = "BIOSCAN_5M_Insect_bbox.tsv"
POOR = "BIOSCAN_1M_low_quality_images.xlsx"
NAMES = ["processid", "width_original", "height_original", "x0", "y0", "x1", "y1", "scale_factor", "area_fraction"]


def write_boxes(path: Path, keys: list[str], delimiter: str = "\t") -> list[dict[str, str]]:
    rows = []
    for i, key in enumerate(keys):
        box = ["", "", "", ""] if i == 2 else [str(-7 - i), "20", "3000", str(1500 + i)]
        rows.append(dict(zip(NAMES, [key, "2880", "2160", *box, "9.5", "0.25"], strict=True)))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, NAMES, delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def write_list(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("place", ["csv", "", ".."])
@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_bounding_boxes_are_found_beside_the_metadata(tmp_path, place, delimiter):
    made = make_bioscan5m(tmp_path, 12, distinct=2)
    path = (made.metadata.parent.parent / place / BOXES).resolve()
    rows = write_boxes(path, list(reversed(made.keys[:10])), delimiter)
    report = arraystore.ingest(made.sources(), tmp_path / "s.zarr")
    assert (report.metadata, report.joined, report.troubles) == (made.metadata, (path,), {})
    assert str(path) in str(report)
    by_key = {row["processid"]: row for row in rows}
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert store.columns.names[-6:] == tuple(NAMES[1:7])
        for name in NAMES[1:7]:
            found = store.columns[name].to_pandas()
            assert str(found.dtype) == "Int32"
            expected = [by_key.get(key, {}).get(name) or None for key in store.keys]
            assert [None if value is pd.NA else str(value) for value in found] == expected
        # What both tables have is that of the metadata.
        first = pd.read_csv(made.metadata)["scale_factor"]
        np.testing.assert_array_equal(store.columns["scale_factor"].to_numpy(), first)
        assert len(store.select({"x0": lambda left: left < 0})) == 9


def test_rows_without_a_record_are_listed(tmp_path):
    made = make_bioscan5m(tmp_path, 8, distinct=2, rows_without_image=1)
    write_boxes(made.metadata.with_name(BOXES), [*made.keys, "NOBODY-22", "NOONE-23"])
    report = arraystore.ingest(made.sources(), tmp_path / "s.zarr", rows="images")
    # One whose record was left out is none of them.
    assert report.troubles == {"unmatched-row": 2}
    assert "2 rows of further tables without a record" in str(report)
    lines = (tmp_path / "s.zarr.troubles.csv").read_text().splitlines()
    assert lines[1].startswith("unmatched-row,NOBODY-22,,")
    assert lines[1].endswith(f"{BOXES},no record has this processid")


def test_a_box_of_an_image_without_a_row_is_kept(tmp_path):
    made = make_bioscan5m(tmp_path, 8, distinct=2, images_without_row=1)
    write_boxes(made.metadata.with_name(BOXES), list(made.keys))
    arraystore.ingest(made.sources(), tmp_path / "s.zarr")
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert store.columns["x0"][7] == -14


def test_tables_that_are_named_are_the_only_ones(tmp_path):
    made = make_bioscan5m(tmp_path, 8, distinct=2)
    write_boxes(made.metadata.with_name(BOXES), list(made.keys))
    alone = arraystore.ingest(made.sources(), tmp_path / "a.zarr", metadata=made.metadata)
    assert alone.joined == ()
    (tmp_path / "mine.csv").write_text(
        "weight;processid;site\n" + "".join(f"{i}.5;{key};s{i}\n" for i, key in enumerate(made.keys))
    )
    arguments = ["ingest", str(made.images["cropped_256"]), "-o", str(tmp_path / "b.zarr"), "--quiet"]
    assert cli.main([*arguments, "--metadata", str(made.metadata), "--metadata", str(tmp_path / "mine.csv")]) == 0
    with arraystore.open(tmp_path / "b.zarr") as store:
        assert store.columns.names[-2:] == ("weight", "site")
        assert store.columns["weight"].to_numpy().tolist() == [i + 0.5 for i in range(8)]
        assert list(store.select(site="s3").keys) == [made.keys[3]]


def test_a_changed_further_table_is_another_job(tmp_path):
    made = make_bioscan5m(tmp_path, 8, distinct=2)
    write_boxes(made.metadata.with_name(BOXES), list(made.keys))
    assert arraystore.ingest(made.sources(), tmp_path / "s.zarr").state == "new"
    assert arraystore.ingest(made.sources(), tmp_path / "s.zarr").state == "complete"
    write_boxes(made.metadata.with_name(BOXES), list(made.keys[1:]))
    with pytest.raises(InvalidRequestError, match="made from other sources or with other options"):
        arraystore.ingest(made.sources(), tmp_path / "s.zarr")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("id,x0\nA,1\n", SourceError, r"t\.csv: no column 'processid' in the header \['id', 'x0'\], by which"),
        ("processid,x0\nA,1\nA,2\n", DuplicateKeyError, r"t\.csv: processid 'A' stands on line 2 and on line 3"),
        ("processid,x0\n,1\n", SourceError, r"t\.csv: line 2 has no processid"),
        ("processid,x0\nA,left\n", SourceError, "column x0: expected a whole number, found 'left'"),
    ],
)
def test_a_wrong_further_table_is_told(tmp_path, text, error, message):
    made = make_bioscan5m(tmp_path, 8, distinct=2)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(error, match=message):
        arraystore.ingest(made.sources(), tmp_path / "s.zarr", metadata=[made.metadata, tmp_path / "t.csv"])
    assert not (tmp_path / "s.zarr").exists()


def test_a_folder_takes_further_tables_too(tmp_path):
    (tmp_path / "photos").mkdir()
    for key in "ab":
        (tmp_path / f"photos/{key}.jpg").write_bytes(insect_jpeg(0, height=24, width=24))
    (tmp_path / "one.csv").write_text("file,n\na,1\nb,2\n")
    (tmp_path / "two.json").write_text('[{"file": "b", "m": 3, "n": 9}]')
    arraystore.ingest(tmp_path / "photos", tmp_path / "s.zarr", metadata=[tmp_path / "one.csv", tmp_path / "two.json"])
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert store.columns["n"].to_numpy().tolist() == [1, 2]
        assert store.columns["m"].isna().tolist() == [True, False]


# ---- the list of poor images ----


def sample_ids(metadata: Path) -> list[str]:
    with metadata.open(encoding="utf-8", newline="") as file:
        return [row["sampleid"] for row in csv.DictReader(file, delimiter="\t")]


def test_poor_images_are_a_boolean_column(tmp_path):
    made = make_bioscan1m(tmp_path, 8, distinct=2)
    ids = sample_ids(made.metadata)
    path = write_list(
        made.metadata.with_name(POOR),
        {
            "About": [["Poor images"]],
            "List": [["n", " SampleID "], [1, ids[2]], [2, f"{ids[5]}  "], [3, ids[2]], [None, None]],
        },
    )
    report = arraystore.ingest(made.sources, tmp_path / "s.zarr")
    assert (report.joined, report.troubles) == ((path,), {})
    expected = [i in (2, 5) for i in range(8)]
    with arraystore.open(tmp_path / "s.zarr") as store:
        poor = store.columns["low_quality"]
        assert poor.to_numpy().dtype == np.bool_
        assert poor.to_numpy().tolist() == expected
        keys = list(made.files)
        assert list(store.select(low_quality=True).keys) == [keys[2], keys[5]]
        assert len(store.select(low_quality=False)) == 6
        assert store.columns.to_pandas()["low_quality"].dtype == np.bool_
        assert store.columns.to_arrow()["low_quality"].to_pylist() == expected
        assert poor.value_counts() == {False: 6, True: 2}
    frame = read_elem(zarr.open_group(tmp_path / "s.zarr", mode="r")["columns"])
    assert frame["low_quality"].dtype == np.bool_
    assert frame["low_quality"].tolist() == expected
    assert arraystore.verify(tmp_path / "s.zarr").ok


@pytest.mark.parametrize(
    ("sheets", "ids"),
    [
        ({"a": [["A-1"], ["B-2 "], [None], [""]]}, ["A-1", "B-2"]),
        ({"a": [["A-1", "x"]], "b": [[17], [18.0], [1.5]]}, ["A-1", "17", "18", "1.5"]),
        (
            {"a": [["title"], [], ["x", "sampleid"], [1, "A-1"]], "b": [["SAMPLEID"], ["B-2"]], "c": [["C-3"]]},
            ["A-1", "B-2"],
        ),
    ],
)
def test_ids_are_found_in_any_sheet(tmp_path, sheets, ids):
    assert read_quality_list(write_list(tmp_path / "l.xlsx", sheets)).keys.to_list() == ids


def test_ids_of_no_row_are_listed_and_the_list_may_be_named(tmp_path):
    made = make_bioscan1m(tmp_path, 6, distinct=2)
    path = write_list(tmp_path / "mine.xlsx", {"a": [["sampleid"], [sample_ids(made.metadata)[0]], ["NOBODY-A01"]]})
    report = arraystore.ingest(made.sources, tmp_path / "s.zarr", metadata=[path, made.metadata])
    assert (report.metadata, report.joined, report.troubles) == (made.metadata, (path,), {"unmatched-row": 1})
    assert "NOBODY-A01" in (tmp_path / "s.zarr.troubles.csv").read_text()
    with pytest.raises(InvalidRequestError, match="that tells the records, found none"):
        arraystore.ingest(made.sources, tmp_path / "t.zarr", metadata=path)


def test_a_list_that_is_none_is_told(tmp_path, monkeypatch):
    made = make_bioscan1m(tmp_path, 3, distinct=2)
    path = made.metadata.with_name(POOR)
    path.write_bytes(b"sampleid\nA-1\n")
    with pytest.raises(SourceError, match=f"{POOR}: it is no Excel file"):
        arraystore.ingest(made.sources, tmp_path / "s.zarr")
    write_list(path, {"a": [[None]]})
    with pytest.raises(SourceError, match="no sample ids in any of its sheets"):
        arraystore.ingest(made.sources, tmp_path / "s.zarr")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r"needs openpyxl: pip install 'arraystore\[xlsx\]', or name only the other"):
        arraystore.ingest(made.sources, tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()
    assert arraystore.ingest(made.sources, tmp_path / "s.zarr", metadata=made.metadata).images == 3


def test_excel_is_no_table_of_others(tmp_path):
    made = make_bioscan5m(tmp_path, 8, distinct=2)
    path = write_list(tmp_path / "l.xlsx", {"a": [["A-1"]]})
    with pytest.raises(SourceError, match="only the list of poor images of BIOSCAN-1M is read: save it as CSV"):
        arraystore.ingest(made.sources(), tmp_path / "s.zarr", metadata=[made.metadata, path])
