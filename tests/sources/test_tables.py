"""The metadata table against Python's csv module: nothing is guessed, only an empty cell is missing."""

import csv
from pathlib import Path

import numpy as np
import pytest

from arraystore.errors import SourceError
from arraystore.sources.archive import column
from arraystore.sources.bioscan5m import COLUMNS, Bioscan5M
from arraystore.sources.tables import TableColumn, TableDialect, columns_of, fingerprint_file, read_metadata

NAMES = [each.name for each in COLUMNS]

ROWS = [
    {"processid": "A-1", "sampleid": "S1", "order": "Diptera", "chunk": "00", "coord-lat": "9.5", "split": "pretrain"},
    {"processid": "B-2", "sampleid": "None", "order": "NA", "species": "null", "country": "NaN", "chunk": "0"},
    {"processid": "C-3", "order": "", "taxon": "n/a", "dna_barcode": "ACGT", "index_bioscan_1M_insect": "17"},
    {"processid": "Ü-4", "country": 'Côte "d\'Ivoire", the', "dna_barcode": "N" * 700, "inferred_ranks": "255"},
]


def write_table(path: Path, *, line_end: str = "\n", mark: str = "", rows=ROWS, names=NAMES) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(mark)
        writer = csv.DictWriter(file, names, restval="", lineterminator=line_end)
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path):
    return read_metadata(path, Bioscan5M.table, key="processid", spill=path.with_name("spill.bin"))


def cells(metadata, name: str) -> list[str]:
    """The cells of one column as text, as the csv module gives them; numbers as Python writes them."""
    table = metadata.table
    match {each.name: each.kind for each in metadata.columns}[name]:
        case "string":
            return table.strings(name).to_list()
        case "category" | "boolean":
            names = [*table.categories(name), ""]
            return [names[code] for code in column(table.codes(name), np.int32)]
        case "float":
            return ["" if np.isnan(value) else str(value) for value in column(table.floats(name), np.float64).tolist()]
        case "integer":
            values, mask = table.integers(name)
            pairs = zip(column(values, np.int64).tolist(), column(mask, np.uint8).tolist(), strict=True)
            return ["" if is_missing else str(value) for value, is_missing in pairs]
        case _:
            path, offset, nbytes = table.text(name)
            spilled = Path(path).read_bytes()
            places = zip(column(offset, np.uint64).tolist(), column(nbytes, np.uint32).tolist(), strict=True)
            return [spilled[start : start + length].decode() for start, length in places]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_cell_is_that_of_the_csv_module(tmp_path, line_end, mark):
    path = write_table(tmp_path / "m.csv", line_end=line_end, mark=mark)
    metadata = read(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        expected = list(csv.DictReader(file))
    assert len(metadata) == len(expected)
    for name in NAMES:
        assert cells(metadata, name) == [row[name] for row in expected], name


def test_all_23_columns_are_known():
    assert len(NAMES) == 23
    assert len(set(NAMES)) == 23


def test_order_of_columns_is_that_of_the_file(tmp_path):
    names = NAMES[::-1]
    assert [each.name for each in read(write_table(tmp_path / "m.csv", names=names)).columns] == names


def test_an_unknown_column_is_kept_as_categories(tmp_path):
    rows = [{"processid": "A-1", "note": "x"}, {"processid": "B-2", "note": ""}]
    metadata = read(write_table(tmp_path / "m.csv", rows=rows, names=["processid", "note"]))
    assert cells(metadata, "note") == ["x", ""]
    assert metadata.has("note")
    assert not metadata.has("order")


def test_row_numbers_of_pandas_are_left_out(tmp_path, caplog):
    path = tmp_path / "m.csv"
    path.write_text(",processid,order\n0,A-1,Diptera\n")
    metadata = read(path)
    assert [each.name for each in metadata.columns] == ["processid", "order"]
    assert cells(metadata, "order") == ["Diptera"]
    assert "column without a name" in caplog.text


@pytest.mark.parametrize("header", ["order,family", "", "processid,order,order", "processid,a/b", "processid,_index"])
def test_header_that_cannot_be_kept_is_refused_by_name(tmp_path, header):
    (tmp_path / "m.csv").write_text(header + "\n")
    with pytest.raises(SourceError, match=r"m\.csv"):
        columns_of(tmp_path / "m.csv", Bioscan5M.table, key="processid")


@pytest.mark.parametrize(
    "name", ["zarr.json", "Zarr.JSON", ".", "..", "a/b", "a\\b", "_index", "__x", "x" * 201, "a\x00b", "\x1b[2J"]
)
def test_column_that_cannot_be_a_directory_is_refused_by_name(tmp_path, name):
    (tmp_path / "m.csv").write_text(f"processid,{name}\nA-1,x\n")
    with pytest.raises(SourceError, match="cannot be called .* rename it") as caught:
        columns_of(tmp_path / "m.csv", Bioscan5M.table, key="processid")
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00processid", b"x" * 300_000, bytes(100)])
def test_what_is_no_table_is_refused_by_name(tmp_path, content):
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(SourceError, match=r"m\.csv"):
        columns_of(tmp_path / "m.csv", Bioscan5M.table, key="processid")


def test_cell_of_a_wrong_type_names_its_line_and_column(tmp_path):
    rows = [{"processid": "A-1", "coord-lat": "1"}, {"processid": "B-2", "coord-lat": "north"}]
    path = write_table(tmp_path / "m.csv", rows=rows)
    with pytest.raises(SourceError, match="coord-lat") as caught:
        read(path)
    assert "3" in str(caught.value)
    assert "north" in str(caught.value)


def test_fingerprint_changes_with_the_file(tmp_path):
    path = write_table(tmp_path / "m.csv")
    before = fingerprint_file(path)
    assert fingerprint_file(path) == before
    path.write_bytes(path.read_bytes().replace(b"Diptera", b"Coptera"))
    assert fingerprint_file(path) != before


def test_table_of_another_dialect_is_read(tmp_path):
    """Tabs between the cells, and words for what is missing: that of BIOSCAN-1M."""
    columns = (TableColumn("sampleid", "string"), TableColumn("uri", "category"), TableColumn("size", "integer"))
    dialect = TableDialect(columns, delimiter="\t", missing=("", "not_classified", "no_data"))
    (tmp_path / "m.tsv").write_text(
        "sampleid\turi\tsize\tname\nA,1\tnot_classified\tno_data\t\nB\tBOLD:X\t3\tDiptera\n"
    )
    metadata = read_metadata(tmp_path / "m.tsv", dialect, key="sampleid", spill=tmp_path / "spill")
    assert cells(metadata, "sampleid") == ["A,1", "B"]
    assert cells(metadata, "uri") == ["", "BOLD:X"]
    assert cells(metadata, "size") == ["", "3"]
    assert cells(metadata, "name") == ["", "Diptera"]
