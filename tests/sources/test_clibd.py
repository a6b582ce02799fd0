"""The HDF5 files of CLIBD: one record a specimen, its bytes without the padding, its groups as columns."""

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest

import arraystore
from arraystore.errors import DuplicateKeyError, SourceError
from arraystore.format.containers import open_layout
from arraystore.sources.archive import scan_sources
from arraystore.sources.clibd import Clibd
from arraystore.testing import insect_jpeg, make_bioscan5m
from arraystore.testing.hdf5 import write_clibd_hdf5, write_image_hdf5

ROWS = [
    {
        "sampleid": f"BIOUG{10_000 + i}-A0{i}",
        "processid": f"ABOTH{960 + i}-22",
        "barcode": "ACGT" * (i + 1) + "N",
        "order": "Diptera" if i % 2 else "Coleoptera",
        "family": "Phoridae" if i == 1 else "",
        "species": "Megaselia é" if i == 3 else "",
    }
    for i in range(7)
]
JPEGS = {row["sampleid"]: insect_jpeg((4, i), height=40, width=48) + bytes(i) for i, row in enumerate(ROWS) if i != 5}
GROUPS = {
    "all_keys": [ROWS[4], ROWS[0], ROWS[5], ROWS[1]],
    "no_split_and_seen_train": [ROWS[0], ROWS[2]],
    "other_heldout": [ROWS[6]],
    "val_seen": [ROWS[3], ROWS[4]],
}
ORDER = [4, 0, 5, 1, 2, 6, 3]


def make(path: Path, **options) -> Path:
    return write_clibd_hdf5(path, GROUPS, JPEGS, **options)


@pytest.mark.parametrize("with_processid", [False, True])
def test_a_specimen_is_one_record_with_its_groups(tmp_path, caplog, with_processid):
    path = make(tmp_path / "BioScan_data_in_splits.hdf5", with_processid=with_processid)
    with caplog.at_level(logging.WARNING):
        report = arraystore.ingest(path, tmp_path / "s.zarr", check="pixels")
    assert "2 data sets a group are left out: image_features, language_tokens_input_ids" in caplog.text
    key = "processid" if with_processid else "sampleid"
    assert (report.package, report.records, report.images) == ("BioScan_data_in_splits", 7, 6)
    assert (report.troubles, report.status) == ({"row-without-image": 1}, {"sound": 6, "missing": 1})
    spec = open_layout(tmp_path / "s.zarr").spec
    assert (spec.dataset, spec.key) == ("CLIBD", key)
    rows = [ROWS[i] for i in ORDER]
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert list(store.keys) == [row[key] for row in rows]
        for row in rows:
            if row is not ROWS[5]:
                assert store.jpeg(row[key]) == JPEGS[row["sampleid"]]
            assert store.text(row[key]) == row["barcode"]
            for name in ("order", "family", "species"):
                assert store.columns[name][store.row(row[key])] == (row[name] or None)
        assert len(store.select(genus=None)) == 7
        for group, members in GROUPS.items():
            flags = store.columns[group].to_numpy()
            assert flags.dtype == np.bool_
            assert flags.tolist() == [row in members for row in rows]
        assert set(store.select(all_keys=True, val_seen=True).keys) == {ROWS[4][key]}
        with pytest.raises(arraystore.errors.MissingImageError):
            store[ROWS[5][key]]
    assert arraystore.verify(tmp_path / "s.zarr").ok


def test_processids_come_from_the_tsv_that_is_named(tmp_path, caplog):
    path = make(tmp_path / "a.hdf5")
    table = tmp_path / "BIOSCAN_Insect_Dataset_metadata.tsv"
    lines = [f"{row['sampleid']}\t{row['processid']}\tx" for row in ROWS[1:]]
    table.write_text("\n".join(["sampleid\tprocessid\tname", *lines, "OTHER-A01\tOTHER-20\tx"]))
    report = arraystore.ingest(path, tmp_path / "s.zarr", metadata=table)
    assert "2 rows have no processid there" in caplog.text
    assert report.troubles == {"row-without-image": 1}
    with arraystore.open(tmp_path / "s.zarr") as store:
        expected = [ROWS[i]["processid"] if i else ROWS[0]["sampleid"] for i in ORDER]
        assert list(store.keys) == expected
        assert store.columns["sampleid"][:].tolist() == [ROWS[i]["sampleid"] for i in ORDER]
        assert store.jpeg("ABOTH963-22") == JPEGS[ROWS[3]["sampleid"]]
        assert store.columns["val_seen"][store.row("ABOTH963-22")]


def test_a_table_of_others_is_told(tmp_path):
    (tmp_path / "t.tsv").write_text("sampleid\tprocessid\nX-A01\tX-20\n")
    with pytest.raises(SourceError, match=r"t\.tsv: it has none of the sample ids, such as 'BIOUG10004-A04'"):
        arraystore.ingest(make(tmp_path / "a.hdf5"), tmp_path / "s.zarr", metadata=tmp_path / "t.tsv")
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize("change", ["bytes", "length"])
def test_different_images_of_one_specimen_are_refused(tmp_path, change):
    path = make(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        if change == "bytes":
            file["val_seen/image"][1, 100] ^= 1
        else:
            file["val_seen/image_mask"][1] -= 1
    with pytest.raises(DuplicateKeyError, match=r"'BIOUG10004-A04': .*a\.hdf5/all_keys/.*jpg and .*/val_seen/.*jpg"):
        arraystore.ingest(path, tmp_path / "s.zarr")


def test_an_image_that_only_a_later_group_has_is_taken(tmp_path):
    path = make(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["all_keys/image_mask"][0] = 0
    report = arraystore.ingest(path, tmp_path / "s.zarr")
    assert report.images == 6
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert store.keys[0] == ROWS[4]["sampleid"]
        assert store.jpeg(0) == JPEGS[ROWS[4]["sampleid"]]


def test_blocks_do_not_matter(tmp_path, monkeypatch):
    path = make(tmp_path / "a.hdf5")
    stores = []
    for number, (nbytes, rows) in enumerate([(64 << 20, 65_536), (1, 2)]):
        monkeypatch.setattr("arraystore.sources.clibd_rows._BLOCK_NBYTES", nbytes)
        monkeypatch.setattr("arraystore.sources.clibd_rows._BLOCK_ROWS", rows)
        store = tmp_path / f"{number}.zarr"
        arraystore.ingest(path, store)
        files = {file.relative_to(store): file.read_bytes() for file in store.rglob("*") if file.is_file()}
        stores.append(files)
    assert stores[0] == stores[1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file["val_seen/image_mask"].__setitem__(1, 99_999), "row 1 has a length of 99999"),
        (lambda file: file["val_seen/image_mask"].__setitem__(1, -1), "row 1 has a length of -1"),
        (lambda file: file.__delitem__("val_seen/sampleid"), "expected 'processid' or 'sampleid' in each"),
        (lambda file: file["val_seen/image_mask"].resize(1, 0), "expected 2 whole numbers in image_mask"),
    ],
)
def test_a_damaged_file_is_told(tmp_path, damage, message):
    path = make(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(SourceError, match=message):
        arraystore.ingest(path, tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_only_an_ingest_reads_it(tmp_path):
    path = make(tmp_path / "a.hdf5")
    with pytest.raises(SourceError, match="only an ingest reads"):
        scan_sources([path])
    write_image_hdf5(tmp_path / "b.hdf5", {"a.jpg": JPEGS[ROWS[0]["sampleid"]]})
    with pytest.raises(SourceError, match="one data set at a time"):
        arraystore.ingest([path, tmp_path / "b.hdf5"], tmp_path / "s.zarr")
    zips = make_bioscan5m(tmp_path, 8, distinct=2, form="zip-stored")
    assert not Clibd().recognises(scan_sources(zips.sources()))


@pytest.mark.parametrize("with_processid", [False, True])
def test_a_file_of_further_groups_is_appended(tmp_path, with_processid):
    first = {name: GROUPS[name] for name in ("all_keys", "other_heldout")}
    then = {name: GROUPS[name] for name in ("no_split_and_seen_train", "val_seen")}
    options = {"with_processid": with_processid}
    write_clibd_hdf5(tmp_path / "a.hdf5", first, JPEGS, **options)
    write_clibd_hdf5(tmp_path / "b.hdf5", then, JPEGS, **options)
    arraystore.ingest(tmp_path / "a.hdf5", tmp_path / "s.zarr")
    report = arraystore.append(tmp_path / "s.zarr", tmp_path / "b.hdf5")
    assert (report.records, report.added, report.merged) == (7, 2, 2)
    with arraystore.open(tmp_path / "s.zarr") as store:
        key = "processid" if with_processid else "sampleid"
        assert store.jpeg([ROWS[2][key], ROWS[3][key]]) == [JPEGS[ROWS[i]["sampleid"]] for i in (2, 3)]
