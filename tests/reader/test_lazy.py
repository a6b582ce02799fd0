"""Nothing is read or imported before it is asked for: a worker that reads images never loads a column."""

import subprocess
import sys

import numpy as np
import pytest

import arraystore
from arraystore.errors import DamagedStoreError
from arraystore.format import zarr_columns

GUESTS = ("zarr", "anndata", "numcodecs", "h5py", "pandas", "pyarrow", "torch")

READ_IMAGES = """
import sys
import arraystore

store = arraystore.open(sys.argv[1])
rows = (store.status == 0).nonzero()[0].tolist()
key = store.keys[rows[0]]
store[key], store[rows[:3]], store.jpeg(rows[:3]), store.text(rows[:3]), store.dna(rows[:3]), store.sizes()
view = store.select(rows).sample(4, seed=1)
view.crops(slice(None), 32, seed=2, epoch=3), view[0], view.keys[0]
print(*sorted({kind for kind, _ in store.handle._made}))
print(*(name for name in GUESTS if name in sys.modules))
"""


def test_reading_images_loads_no_column_and_no_guest(store_path):
    code = f"GUESTS = {GUESTS!r}\n{READ_IMAGES}"
    command = [sys.executable, "-c", code, str(store_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    kinds, guests = run.stdout.split("\n")[:2]
    assert kinds == "field keys status"
    assert guests == ""


FIRST_BATCH = """
import sys
import arraystore

next(iter(arraystore.open(sys.argv[1]).loader(2, size=32, threads=1, bad="skip")))
print(*(name for name in sys.modules if name.startswith("arraystore.") or name in OTHERS))
"""


def test_a_first_batch_loads_no_other_container_no_writer_and_no_column(store_path):
    others = (*GUESTS, "concurrent.futures", "difflib", "logging", "shutil")
    command = [sys.executable, "-W", "ignore", "-c", f"OTHERS = {others!r}\n{FIRST_BATCH}", str(store_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    loaded = run.stdout.split()
    unwanted = ("hdf5", "writer", "growth", "column", "ingestion", "sources", "virtual", "integrations")
    assert [name for name in loaded if name in others or any(part in name for part in unwanted)] == []


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.labels("order"),
        lambda store: store.select(order="Diptera"),
        lambda store: store.select(order=lambda names: names == "Diptera"),
        lambda store: store.columns["order"].value_counts(),
    ],
)
@pytest.mark.parametrize("path", ["store_path", "hdf5_path"])
def test_only_the_column_that_is_named_is_loaded(request, path, use):
    with arraystore.open(request.getfixturevalue(path)) as store:
        use(store)
        assert [made for made in store.handle._made if made[0] == "column"] == [("column", "order")]


def test_of_a_column_of_strings_one_chunk_is_read_for_one_value(package, store, tmp_path, monkeypatch):
    monkeypatch.setattr(zarr_columns, "STRING_CHUNK_ROWS", 8)
    # Those of the mask in which nothing is missing have no file.
    monkeypatch.setattr(zarr_columns, "CHUNK_ROWS", 4)
    arraystore.ingest(package.sources(), tmp_path / "some.zarr", metadata=package.metadata, progress=False)
    expected = store.columns["sampleid"].to_numpy()
    assert None in expected
    with arraystore.open(tmp_path / "some.zarr") as chunked:
        assert chunked.record(19)["sampleid"] == expected[19]
        assert [made for made in chunked.handle._made if made[1] == "sampleid"][1:] == [("chunk 2", "sampleid")]
        for rows in ([59, 0, 17, 0], range(30, 50), []):
            assert chunked.select(rows).columns["sampleid"].to_numpy().tolist() == expected[list(rows)].tolist()
        assert ("column", "sampleid") not in chunked.handle._made
        assert chunked.columns["sampleid"].to_numpy().tolist() == expected.tolist()
    # Its documents are read when it is first asked for, and no more: they are gone once a store has grown twice.
    with arraystore.open(tmp_path / "some.zarr") as older:
        record = older.record(15)
        assert record["sampleid"] == expected[15]
        (tmp_path / "some.zarr/columns/sampleid").rename(tmp_path / "sampleid")
        with pytest.raises(DamagedStoreError, match="sampleid/values/c/0: the file is missing"):
            older.record(0).get("sampleid")
        (tmp_path / "sampleid").rename(tmp_path / "some.zarr/columns/sampleid")
    (tmp_path / "some.zarr/columns/sampleid/values/c/2").unlink()
    with arraystore.open(tmp_path / "some.zarr") as damaged:
        assert damaged.record(15)["sampleid"] == expected[15]
        with pytest.raises(DamagedStoreError, match="sampleid/values/c/2: the file is missing"):
            damaged.record(16)["sampleid"]


def test_a_column_is_loaded_once_for_a_store_and_its_views(store_path, monkeypatch):
    with arraystore.open(store_path) as store:
        read, layout = [], type(store.handle.layout)
        before = layout.read_column
        monkeypatch.setattr(layout, "read_column", lambda self, name: read.append(name) or before(self, name))
        view = store.select(split="train").sample(3)
        for each in (store, view):
            each.labels("order")
            np.asarray(each.columns["order"])
            each.select(order="Diptera")
        assert read == ["split", "order"]
