"""The JSON-LD of the publishers gives the same store as their CSV or TSV."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import arraystore
from arraystore.errors import DuplicateKeyError, SourceError
from arraystore.sources.archive import column
from arraystore.sources.bioscan1m import Bioscan1M
from arraystore.sources.bioscan5m import Bioscan5M
from arraystore.sources.tables import read_metadata
from arraystore.testing import insect_jpeg, make_bioscan1m, make_bioscan5m


def rows_of(table: Path, delimiter: str) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def typed(name: str, cell: str) -> object:
    """A cell as a program would dump it that has types."""
    kinds = {each.name: each.kind for each in Bioscan5M.table.columns}
    if cell == "":
        return None
    return {"integer": int, "float": float}.get(kinds[name], str)(cell)


def files_of(store: Path) -> dict[str, bytes]:
    """All of a store but what says where it came from."""
    files = {path.relative_to(store).as_posix(): path for path in store.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name != "zarr.json"}


@pytest.mark.parametrize("form", ["strings", "null", "typed", "reordered", "absent"])
def test_store_from_jsonld_is_that_from_the_csv(tmp_path, form):
    made = make_bioscan5m(tmp_path, 24, distinct=2, rows_without_image=1, images_without_row=1)
    arraystore.ingest(made.sources(), tmp_path / "csv.zarr")
    rows = rows_of(made.metadata, ",")
    table = tmp_path / "bioscan5m/metadata/jsonld/BIOSCAN_5M_Insect_Dataset_metadata.jsonld"
    table.parent.mkdir()
    names = list(rows[0])
    objects = {
        "strings": rows,
        "null": [{name: cell or None for name, cell in row.items()} for row in rows],
        "typed": [{name: typed(name, cell) for name, cell in row.items()} for row in rows],
        "reordered": [rows[0], *({name: row[name] for name in reversed(names)} for row in rows[1:])],
        "absent": [rows[0], *({name: cell for name, cell in row.items() if cell} for row in rows[1:])],
    }[form]
    table.write_text(json.dumps(objects, indent=None if form == "null" else 1, ensure_ascii=form == "typed"))
    made.metadata.unlink()
    report = arraystore.ingest(made.sources(), tmp_path / "json.zarr")
    assert report.metadata == table
    assert files_of(tmp_path / "json.zarr") == files_of(tmp_path / "csv.zarr")


def test_jsonld_of_bioscan1m_is_its_tsv(tmp_path):
    made = make_bioscan1m(tmp_path, 12, distinct=2)
    arraystore.ingest(made.sources, tmp_path / "tsv.zarr")
    table = made.metadata.with_name("BIOSCAN_1M_Insect_Dataset_metadata.jsonld")
    table.write_text(json.dumps(rows_of(made.metadata, "\t")))
    assert Bioscan1M().find_table(made.sources) == made.metadata
    made.metadata.unlink()
    report = arraystore.ingest(made.sources, tmp_path / "json.zarr")
    assert (report.metadata, report.troubles) == (table, {})
    assert files_of(tmp_path / "json.zarr") == files_of(tmp_path / "tsv.zarr")


def test_a_farther_csv_comes_before_a_nearer_jsonld(tmp_path):
    csv_table = tmp_path / "bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv"
    for path in (csv_table, tmp_path / "x/metadata/jsonld/BIOSCAN_5M_Insect_Dataset_metadata.jsonld"):
        path.parent.mkdir(parents=True)
        path.touch()
    assert Bioscan5M().find_table([tmp_path / "x/images"]) == csv_table


@pytest.mark.parametrize("name", ["t.json", "t.JSONLD"])
def test_any_folder_takes_a_json_table(tmp_path, name):
    (tmp_path / "photos").mkdir()
    for key in "ab":
        (tmp_path / f"photos/{key}.jpg").write_bytes(insect_jpeg(0, height=24, width=24))
    rows = [{"file": "a.jpg", "n": 1, "split": "train"}, {"file": "b.jpg", "x": 0.5, "split": "test"}]
    (tmp_path / name).write_text(json.dumps(rows))
    report = arraystore.ingest(tmp_path / "photos", tmp_path / "s.zarr", metadata=tmp_path / name)
    assert report.troubles == {}
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert list(store.keys) == ["a.jpg", "b.jpg"]
        assert list(store.select(split="test").keys) == ["b.jpg"]
        assert store.columns["n"][0] == 1
        assert np.isnan(store.columns["n"][1])
        assert store.columns["x"][1] == 0.5


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ('[{"processid": "A-1"},\n{"processid"', SourceError, r"m\.jsonld line 2, byte 35: expected a colon"),
        ('[{"processid": "A-1"}', SourceError, r"byte 21: expected .*the end of the file: it is cut short"),
        ('{"@graph": []}', SourceError, r"expected a JSON array of objects, found '\{'"),
        ('[{"id": "A-1"}]', SourceError, r"no object has the name 'processid', there are \['id'\]"),
        ('[{"processid": "A-1"}, {"split": "train"}]', SourceError, "object 2 has no processid"),
        ('[{"processid": "A-1"}, {"processid": "A-1"}]', DuplicateKeyError, "stands on object 1 and on object 2"),
        ('[{"processid": "A-1", "a/b": 1}]', SourceError, "a column cannot be called 'a/b'"),
        ('[{"processid": "A-1", "coord-lat": "north"}]', SourceError, "column coord-lat: expected a number"),
    ],
)
def test_a_damaged_table_is_told(tmp_path, text, error, message):
    made = make_bioscan5m(tmp_path, 8, distinct=2)
    (tmp_path / "m.jsonld").write_text(text)
    with pytest.raises(error, match=message):
        arraystore.ingest(made.sources(), tmp_path / "s.zarr", metadata=tmp_path / "m.jsonld")
    assert not (tmp_path / "s.zarr").exists()


def test_values_are_those_of_the_json_module(tmp_path):
    texts = ["", "ä", "\u2028", "\U0001f41e", 'quote " and \\', "line\nbreak\ttab", "NA", "null", "x" * 70_000]
    rows = [{"processid": f"P-{i}", "taxon": text} for i, text in enumerate(texts)]
    for ascii_only in (True, False):
        (tmp_path / "m.json").write_text(json.dumps(rows, ensure_ascii=ascii_only), encoding="utf-8")
        found = read_metadata(tmp_path / "m.json", Bioscan5M.table, key="processid", spill=tmp_path / "spill")
        names = [*found.table.categories("taxon"), ""]
        assert [names[code] for code in column(found.table.codes("taxon"), np.int32)] == texts
