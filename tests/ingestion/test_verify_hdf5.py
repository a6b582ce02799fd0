"""Each damage to a store in HDF5 is found, and named by its data set."""

import json
import shutil
from pathlib import Path

import h5py
import pytest

import arraystore
from arraystore.errors import DamagedStoreError
from arraystore.format.containers import open_layout


@pytest.fixture(scope="module")
def twin(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "cropped_256.h5"
    arraystore.ingest(package.sources(), path, shard_nbytes=65_536)
    return path


@pytest.fixture
def damaged(twin, tmp_path):
    """A copy that may be damaged."""
    return Path(shutil.copyfile(twin, tmp_path / "s.h5"))


def problems_of(path):
    report = arraystore.verify(path)
    assert not report.ok
    return {(each.kind, each.place): each.detail for each in report.problems}


def test_sound_store_is_sound(twin):
    report = arraystore.verify(twin)
    assert report.ok
    assert (report.records, report.files, report.nbytes) == (48, 1, twin.stat().st_size)
    assert "is sound: 48 records, 1 file" in str(report)


def test_every_data_set_is_watched(damaged):
    """One changed value in any of them is found, by the name of the data set or of the record."""
    with h5py.File(damaged) as file:
        names = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
    assert {"image/data", "key/hash", "columns/order/codes", "columns/order/categories", "columns/processid"} < {*names}
    original = damaged.read_bytes()
    for name in names:
        with h5py.File(damaged, "r+") as file:
            dataset = file[name]
            value = dataset[0]
            dataset[0] = value + b"x" if dataset.dtype == object else value == 0
        found = problems_of(damaged)
        damaged.write_bytes(original)
        if name.endswith("/data"):
            field = name.split("/")[0]
            assert any(place.startswith(f"{field} row ") for kind, place in found if kind == "record"), name
        else:
            assert ("checksum", name) in found
    assert arraystore.verify(damaged).ok


CHANGES = {
    "stray data set": (lambda file: file.create_dataset("image/extra", data=[1]), "stray-data-set", "image/extra"),
    "missing array": (lambda file: file.__delitem__("image/height"), "document", "image/height"),
    "missing column": (lambda file: file.__delitem__("columns/order"), "document", "columns/order"),
    "missing member": (lambda file: file.__delitem__("columns/order/codes"), "unreadable", "columns/order/codes"),
    "missing columns": (lambda file: file.__delitem__("columns"), "document", "columns"),
    "foreign encoding": (
        lambda file: file["columns/coord-lat"].attrs.__setitem__("encoding-type", "sparse"),
        "document",
        "columns/coord-lat",
    ),
    "other index": (lambda file: file["columns"].attrs.__setitem__("_index", "other"), "document", "columns"),
    "column not in order": (
        lambda file: file["columns"].attrs.__setitem__("column-order", ["order"]),
        "document",
        "columns/coord-lat",
    ),
}


@pytest.mark.parametrize(("change", "kind", "place"), CHANGES.values(), ids=list(CHANGES))
def test_change_of_the_tree_is_found(damaged, change, kind, place):
    with h5py.File(damaged, "r+") as file:
        change(file)
    assert (kind, place) in problems_of(damaged)


def test_checksum_that_is_missing_from_the_description_is_found(damaged):
    with h5py.File(damaged, "r+") as file:
        document = json.loads(file.attrs["arraystore"])
        for path in ("image/offset", "columns/coord-lat"):
            del document["checksums"][path]
        file.attrs["arraystore"] = json.dumps(document)
    found = problems_of(damaged)
    assert ("document", "image/offset") in found
    assert ("document", "columns/coord-lat") in found


def test_file_that_is_cut_short_is_refused(damaged):
    with damaged.open("r+b") as file:
        file.truncate(100_000)
    with pytest.raises(DamagedStoreError):
        arraystore.verify(damaged)


def test_checksums_name_every_data_set_but_those_of_records(twin):
    with h5py.File(twin) as file:
        names = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
    expected = {name for name in names if not name.endswith("/data")}
    assert set(open_layout(twin).spec.checksums) == expected
