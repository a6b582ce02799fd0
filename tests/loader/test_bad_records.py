"""A record that cannot be read is left out or filled, with all that belongs to it; a file of many is not excused."""

import os
import shutil
import zipfile

import numpy as np
import pytest

import arraystore
from arraystore.errors import DamagedStoreError, SourceChangedError
from arraystore.testing import insect_jpeg
from arraystore.testing.biosr import make_biosr


@pytest.fixture
def damaged(store_path, store, sound, tmp_path):
    """A view of sound images, one of which has a damaged barcode, and its row."""
    copy = shutil.copytree(store_path, tmp_path / "damaged.zarr")
    (shard,) = (copy / "dna_barcode/data/c").iterdir()
    payload = bytearray(shard.read_bytes())
    keys = store.select(sound).keys[:20]
    row = next(row for row, text in enumerate(store.text(keys, field="dna_barcode")) if row > 3 and text)
    payload[payload.index(store.text(keys[row], field="dna_barcode").encode()) + 5] ^= 1
    shard.write_bytes(payload)
    with arraystore.open(copy) as opened:
        yield opened.select(keys), row


TEXTS = {"size": 8, "text": ("dna_barcode", "processid"), "dna": {"length": 40}, "labels": "order", "shuffle": None}


def test_a_damaged_text_is_raised_with_its_record(damaged):
    view, row = damaged
    with pytest.raises(DamagedStoreError, match=view.keys[row]):
        list(view.loader(8, **TEXTS))
    assert sum(len(batch["row"]) for batch in view.loader(8, **TEXTS, verify=False)) == len(view)


def test_a_damaged_text_is_left_out_with_its_record(damaged):
    view, row = damaged
    loader = view.loader(8, **TEXTS, bad="skip")
    with pytest.warns(RuntimeWarning, match=f"left out.*{view.keys[row]}") as warned:
        batches = list(loader)
    assert warned[0].filename == __file__
    kept = [other for other in range(len(view)) if other != row]
    assert [number for batch in batches for number in batch["row"]] == kept
    assert (loader.bad_count, [each.row for each in loader.bad]) == (1, [row])
    for batch in batches:
        rows = batch["row"]
        assert batch["processid"] == view.keys[rows]
        assert batch["dna_barcode"] == view.text(rows, field="dna_barcode")
        np.testing.assert_array_equal(batch["dna"], view.dna(rows, length=40))
        np.testing.assert_array_equal(batch["image"], view.crops(rows, 8))
        assert batch["order"].tolist() == view.labels("order").codes[rows].tolist()


def test_a_damaged_text_is_filled_as_one_that_is_missing(damaged):
    view, row = damaged
    loader = view.loader(len(view), **TEXTS, bad="fill")
    with pytest.warns(RuntimeWarning, match=f"filled.*{view.keys[row]}"):
        (batch,) = loader
    good = np.arange(len(view)) != row
    assert batch["bad"].tolist() == (~good).tolist()
    assert batch["dna_barcode"][row] is None
    assert batch["processid"][row] == view.keys[row]
    assert set(batch["dna"][row].tolist()) == {5}
    assert not batch["image"][row].any()
    np.testing.assert_array_equal(batch["image"][good], view.crops(np.flatnonzero(good), 8))
    np.testing.assert_array_equal(batch["dna"][good], view.dna(np.flatnonzero(good), length=40))


def test_an_archive_that_changes_concerns_all_records(tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(12):
            archive.writestr(f"{number}.jpg", insect_jpeg(number))
    running = iter(arraystore.open(path).loader(4, size=8, bad="skip", prefetch=1))
    assert len(next(running)["row"]) == 4
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(SourceChangedError, match=r"some\.zip has changed"):
        list(running)


def test_a_file_of_a_folder_that_is_gone_concerns_its_record(tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(insect_jpeg(number))
    source = arraystore.open(tmp_path)
    (tmp_path / "4.jpg").unlink()
    loader = source.loader(3, size=8, bad="skip")
    with pytest.warns(RuntimeWarning, match=r"left out.*4\.jpg has changed.*it is gone"):
        batches = list(loader)
    assert sum(len(batch["row"]) for batch in batches) == 5
    assert [each.key for each in loader.bad] == ["4"]


def test_a_shard_of_compressed_patches_that_is_cut_short_concerns_all_records(tmp_path):
    package = make_biosr(tmp_path, 7, side=24)
    path = tmp_path / "biosr.zarr"
    arraystore.ingest(package.root, path, codec="zstd", progress=False)
    for shard in (path / "wf/data/c").rglob("*"):
        if shard.is_file():
            os.truncate(shard, shard.stat().st_size - 100)
    with (
        arraystore.open(path) as cut,
        pytest.raises(DamagedStoreError, match="the shard index .* is damaged") as raised,
    ):
        list(cut.loader(4, bad="skip"))
    assert raised.value.code == "damaged-shard"


def test_a_shard_that_is_cut_short_concerns_all_records(store_path, sound, tmp_path):
    copy = shutil.copytree(store_path, tmp_path / "damaged.zarr")
    (shard,) = (copy / "image/data/c").iterdir()
    os.truncate(shard, 1000)
    with arraystore.open(copy) as cut, pytest.raises(DamagedStoreError, match="1000"):
        list(cut.select(sound).loader(8, size=8, bad="skip"))
