"""Any folder or zip of JPEGs becomes a store, with a table of any columns."""

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest

import arraystore
from arraystore import cli
from arraystore.errors import DuplicateKeyError, InvalidRequestError, SourceError
from arraystore.format.containers import open_layout
from arraystore.sources.archive import scan_sources
from arraystore.sources.folder import Folder
from arraystore.sources.image_files import file_names
from arraystore.sources.registry import recognise
from arraystore.testing import insect_jpeg

JPEGS = {name: insect_jpeg((7, seed), height=48, width=64) for seed, name in enumerate(("a", "b", "c", "d"))}
NAMES = {"a": "a.jpg", "b": "sub/b.JPG", "c": "sub/deep/c.jpeg", "d": "d.jpg"}


@pytest.fixture
def photos(tmp_path) -> Path:
    return write_photos(tmp_path / "photos")


def write_photos(root: Path) -> Path:
    for key, name in NAMES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(JPEGS[key])
    (root / "notes.txt").write_text("mine")
    return root


def write_table(path: Path, *rows: tuple[str, ...], delimiter: str = ",", line_end: str = "\n") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    return path


def test_a_folder_simply_works(photos, tmp_path):
    report = arraystore.ingest(photos, tmp_path / "s.zarr")
    assert (report.package, report.images, report.exit_code) == ("photos", 4, 0)
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert sorted(store.keys) == list(JPEGS)
        assert {key: store.jpeg(key) for key in JPEGS} == JPEGS
        assert list(store.columns) == []
    assert open_layout(tmp_path / "s.zarr").spec.dataset == "folder"
    assert arraystore.verify(tmp_path / "s.zarr").ok


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_simply_works(tmp_path, compression):
    with zipfile.ZipFile(tmp_path / "Summer.ZIP", "w", compression) as archive:
        for key, name in NAMES.items():
            archive.writestr(name, JPEGS[key])
    assert arraystore.ingest(tmp_path / "Summer.ZIP", tmp_path / "s.zarr").package == "Summer"
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert {key: store.jpeg(key) for key in store.keys} == JPEGS


def test_command_and_demo_take_a_folder(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("arraystore.cli.speeds._MEASURED_S", 0.01)
    assert cli.main(["ingest", str(photos), "-o", str(tmp_path / "s.zarr"), "--quiet"]) == 0
    assert cli.main(["demo", str(photos), "--out", str(tmp_path / "demo")]) == 0
    assert (tmp_path / "demo/demo.png").exists()
    assert "every checksum agrees" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["train", "val/x", "part1", "cropped", "data/cropped/mine"])
def test_common_names_of_folders_are_no_layout_of_a_publisher(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "IMG-1.jpg").write_bytes(JPEGS["a"])
    assert recognise(scan_sources([tmp_path])).dataset == "folder"


def test_layouts_of_publishers_keep_their_errors(photos, tmp_path):
    with pytest.raises(SourceError, match=r"cropped_512.*expected one of original_full"):
        arraystore.ingest(photos, tmp_path / "s.zarr", package="cropped_512")
    (tmp_path / "b/train").mkdir(parents=True)
    (tmp_path / "b/train/ABCDE123-20.jpg").write_bytes(JPEGS["a"])
    with pytest.raises(SourceError, match="--package"):
        arraystore.ingest(tmp_path / "b", tmp_path / "s.zarr")


def test_stems_that_repeat_name_both_files_and_the_way_out(photos, tmp_path):
    (photos / "sub/a.jpg").write_bytes(JPEGS["b"])
    with pytest.raises(
        DuplicateKeyError, match=r"photos/a\.jpg and .*photos/sub/a\.jpg; ingest their folders"
    ) as caught:
        arraystore.ingest(photos, tmp_path / "s.zarr")
    assert "'a'" in str(caught.value)
    (photos / "sub/a.jpg").write_bytes(JPEGS["a"])
    report = arraystore.ingest(photos, tmp_path / "s.zarr")
    assert (report.images, report.troubles["merged-duplicate"]) == (4, 1)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t"), (".TAB", "\t")])
def test_columns_of_a_table_have_the_kinds_of_their_cells(photos, tmp_path, suffix, delimiter, line_end):
    table = write_table(
        tmp_path / f"t{suffix}",
        ("weight", "key", "count", "code", "order", "id", "split", "empty"),
        ("1.5", "b", "3", "007", "Diptera", "12345678901234567890", "1", ""),
        ("", "a", "", "10", "NA", "7", "2", ""),
        ("-2e3", "c", "-4", "11", "", "8", "1", ""),
        ("7", "x", "0", "12", "Diptera", "9", "", ""),
        delimiter=delimiter,
        line_end=line_end,
    )
    report = arraystore.ingest(photos, tmp_path / "s.zarr", metadata=table)
    assert report.troubles == {"row-without-image": 1, "image-without-row": 1, "skipped-file": 1}
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert list(store.keys) == ["b", "a", "c", "x", "d"]
        assert store.jpeg("c") == JPEGS["c"]
        frame = store.columns.to_pandas()
        assert np.array_equal(frame["weight"], [1.5, np.nan, -2000, 7, np.nan], equal_nan=True)
        assert frame["count"].tolist()[::2][:2] == [3, -4]
        assert frame["count"].isna().tolist() == [False, True, False, False, True]
        assert frame["code"].tolist()[:4] == ["007", "10", "11", "12"]
        assert frame["id"].tolist()[:2] == ["12345678901234567890", "7"]
        assert frame["order"].astype(object).where(frame["order"].notna(), None).tolist()[:3] == ["Diptera", "NA", None]
        assert frame["empty"].isna().all()
        assert list(store.select(split="1").keys) == ["b", "c"]


def kinds(path: Path, key: str | None = None) -> dict[str, str]:
    return {each.name: each.kind for each in Folder().for_table(path, key=key).table.columns}


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", "0"], "integer"),
        (["9" * 18], "integer"),
        (["9" * 19], "category"),
        (["1", "2."], "float"),
        ([".5", "-1E-7"], "float"),
        (["1e999"], "category"),
        (["nan"], "category"),
        (["1", "-"], "category"),
        (["1", "e5"], "category"),
        (["00", "1"], "category"),
        (["1_000"], "category"),
        (["\u0663"], "category"),
        (["+1"], "category"),
        ([f"n{i}" for i in range(300)], "string"),
        ([f"n{i % 260}" for i in range(600)], "category"),
    ],
)
def test_kind_follows_from_all_cells(tmp_path, cells, kind):
    rows = [(f"k{i}", cell) for i, cell in enumerate(cells)]
    assert kinds(write_table(tmp_path / "t.csv", ("key", "x"), *rows)) == {"key": "string", "x": kind}


@pytest.mark.parametrize("header", ["key", "processid", "image_file", "file", "filename", "name"])
def test_key_column_is_found_by_its_name(photos, tmp_path, header):
    table = write_table(tmp_path / "t.csv", ("order", header), ("Diptera", "a"), ("Hemiptera", "b"))
    arraystore.ingest(photos, tmp_path / "s.zarr", metadata=table)
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert [store.columns["order"][store.row(key)] for key in ("a", "b", "d")] == ["Diptera", "Hemiptera", None]


def test_key_column_may_be_chosen_and_name_whole_files(photos, tmp_path):
    table = write_table(tmp_path / "t.csv", ("key", "photo"), ("x", "a.jpg"), ("y", "b.JPG"), ("z", "d"))
    out = tmp_path / "s.zarr"
    assert cli.main(["ingest", str(photos), "-o", str(out), "--metadata", str(table), "--key", "photo", "--quiet"]) == 3
    with arraystore.open(out) as store:
        assert list(store.keys) == ["a.jpg", "b.JPG", "d", "c"]
        assert [store.jpeg(key) for key in store.keys] == [JPEGS[key] for key in "abdc"]
        assert store.columns["key"][0] == "x"


def test_wrong_keys_and_delimiters_are_refused_with_advice(photos, tmp_path):
    out = tmp_path / "s.zarr"
    tabs = write_table(tmp_path / "t.csv", ("key", "order"), ("a", "b"), delimiter="\t")
    with pytest.raises(SourceError, match=r"t\.csv: .*--key COLUMN.*separated by tabs, where commas are expected"):
        arraystore.ingest(photos, out, metadata=tabs)
    commas = write_table(tmp_path / "t.tsv", ("key", "order"), ("a", "b"))
    with pytest.raises(SourceError, match=r"t\.tsv: no column 'key'.*separated by commas, where tabs are expected"):
        arraystore.ingest(photos, out, metadata=commas, key="key")
    with pytest.raises(InvalidRequestError, match="--metadata"):
        arraystore.ingest(photos, out, key="file")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match=r"x\.csv"):
        arraystore.ingest(photos, out, metadata=tmp_path / "x.csv")
    assert not out.exists()


def test_another_key_of_a_publisher_is_refused(tmp_path):
    (tmp_path / "cropped_256/val").mkdir(parents=True)
    (tmp_path / "cropped_256/val/A-1.jpg").write_bytes(JPEGS["a"])
    table = write_table(tmp_path / "t.csv", ("processid", "file"), ("A-1", "x"))
    with pytest.raises(InvalidRequestError, match="known by their processid"):
        arraystore.ingest(tmp_path / "cropped_256", tmp_path / "s.zarr", metadata=table, key="file")


@pytest.mark.parametrize("names", [[], ["notes.txt"], ["x.zip"]])
def test_no_image_is_an_error_that_names_the_folder(tmp_path, names):
    (tmp_path / "empty").mkdir()
    for name in names:
        (tmp_path / "empty" / name).write_bytes(b"")
    with pytest.raises(SourceError, match="no images in .*empty") as caught:
        arraystore.ingest(tmp_path / "empty", tmp_path / "s.zarr")
    assert ("name them instead" in str(caught.value)) == (names == ["x.zip"])


def test_names_of_files_are_those_on_disk(photos, monkeypatch):
    monkeypatch.setattr("arraystore.sources.image_files._BATCH", 3)
    (photos / "\u00e4\u732b.jpg").write_bytes(b"x")
    images = Folder().images(scan_sources([photos]))
    assert file_names(images).to_list() == [Path(images.path(i)).name for i in range(len(images))]


def test_several_sources_are_one_package(photos, tmp_path):
    other = write_photos(tmp_path / "more")
    for key, name in NAMES.items():
        (other / name).rename(other / f"{key}2.jpg")
    assert arraystore.ingest([photos, other], tmp_path / "s.zarr").package == "photos and 1 more"


def test_a_folder_that_looks_published_is_taken_as_it_is_if_so_said(tmp_path, capsys):
    folder = tmp_path / "mine"
    (folder / "part1").mkdir(parents=True)
    for number, jpeg in enumerate(JPEGS.values()):
        (folder / f"part1/1234567{number}.jpg").write_bytes(jpeg)
    with pytest.raises(SourceError, match="BIOSCAN-1M.*--package .*folder if they are of no publisher"):
        arraystore.ingest(folder, tmp_path / "s.zarr")
    assert cli.main(["ingest", str(folder), "-o", str(tmp_path / "s.zarr"), "--package", "folder"]) == 0
    capsys.readouterr()
    spec = open_layout(tmp_path / "s.zarr").spec
    assert (spec.dataset, spec.package) == ("folder", "mine")
    with arraystore.open(tmp_path / "s.zarr") as store, arraystore.open(folder, package="folder") as source:
        assert list(store.keys) == list(source.keys) == [f"1234567{number}" for number in range(4)]
        assert [store.jpeg(row) for row in range(4)] == source.jpeg(range(4)) == list(JPEGS.values())
    (tmp_path / "more/part2").mkdir(parents=True)
    (tmp_path / "more/part2/99999999.jpg").write_bytes(JPEGS["a"])
    assert arraystore.append(tmp_path / "s.zarr", tmp_path / "more", package="folder").added == 1
