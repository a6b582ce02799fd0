"""A store in HDF5 gives what its twin in Zarr gives, and each damage to it is met and named."""

import pickle
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import arraystore
from arraystore.errors import DamagedStoreError
from arraystore.format.containers import open_layout


@pytest.fixture(scope="module")
def twin(hdf5_path):
    with arraystore.open(hdf5_path) as opened:
        yield opened


@pytest.fixture
def copy(hdf5_path, tmp_path):
    return shutil.copyfile(hdf5_path, tmp_path / "damaged.h5")


def test_every_record_is_that_of_the_twin(store, twin, sound):
    assert list(twin.keys) == list(store.keys)
    assert twin.jpeg(sound) == store.jpeg(sound)
    assert twin.text(range(len(twin))) == store.text(range(len(store)))
    np.testing.assert_array_equal(twin.status, store.status)
    np.testing.assert_array_equal(twin.sizes(), store.sizes())
    for one, other in zip(twin[sound], store[sound], strict=True):
        np.testing.assert_array_equal(one, other)
    crops = [each.crops(sound, 48, seed=3, epoch=1, flip=0.5) for each in (twin, store)]
    np.testing.assert_array_equal(*crops)


def test_columns_and_selections_are_those_of_the_twin(store, twin):
    pd.testing.assert_frame_equal(twin.columns.to_pandas(), store.columns.to_pandas())
    for wanted in ({"split": "train"}, {"order": "Diptera"}, {"coord-lat": lambda latitude: latitude > 10}):
        np.testing.assert_array_equal(twin.select(**wanted).store_rows, store.select(**wanted).store_rows)
    assert twin.labels("species").names == store.labels("species").names
    here, there = ({**each.info(), "path": ""} for each in (twin, store))
    assert here == there


def test_a_pickled_store_reads_on(twin, sound):
    again = pickle.loads(pickle.dumps(twin))
    assert again.jpeg(sound) == twin.jpeg(sound)
    assert again.path == twin.path


def test_keys_are_found(twin):
    assert [twin.row(key) for key in twin.keys[:5]] == list(range(5))
    assert "nobody" not in twin


READ = """
import os, sys
import arraystore

store = arraystore.open(sys.argv[1])
rows = (store.status == 0).nonzero()[0].tolist()
store.crops(rows, 32), store.jpeg(rows), store.text(rows)
print(*(name for name in ("zarr", "anndata", "pandas", "numcodecs") if name in sys.modules))
print(any(sys.argv[1] in line for line in open("/proc/self/maps")))
links = [f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd")]
print(sum(os.readlink(link) == sys.argv[1] for link in links if os.path.lexists(link)))
"""


def test_images_are_read_in_place_with_no_file_left_open(hdf5_path):
    run = subprocess.run([sys.executable, "-c", READ, hdf5_path], capture_output=True, text=True, check=True)
    guests, is_mapped, open_files = run.stdout.split("\n")[:3]
    assert (guests, is_mapped, open_files) == ("", "True", "0")


def test_a_store_that_is_open_does_not_keep_hdf5_from_the_file(twin, sound):
    """No lock is held while a store is open, so that others may do with it what they want."""
    code = "import h5py, sys; h5py.File(sys.argv[1], 'r+').close()"
    before = twin.jpeg(sound)
    subprocess.run([sys.executable, "-c", code, twin.path], check=True)
    assert twin.jpeg(sound) == before


def test_a_flipped_byte_is_named_by_the_read(copy, twin, sound):
    row = int(sound[7])
    content = bytearray(copy.read_bytes())
    content[content.index(twin.jpeg(row)) + 700] ^= 1
    copy.write_bytes(content)
    with arraystore.open(copy) as damaged:
        for read in (lambda: damaged[row], lambda: damaged.jpeg(row), lambda: damaged.crops([row], 32)):
            with pytest.raises(DamagedStoreError, match=twin.keys[row]):
                read()
        others = [int(other) for other in sound if other != row]
        assert damaged.jpeg(others) == twin.jpeg(others)


def test_a_file_that_is_cut_short_after_it_was_opened_is_named(copy, sound):
    with arraystore.open(copy) as damaged:
        assert damaged.jpeg(sound)
        [(_, offset)], *_ = open_layout(copy).pieces("image/data")
        with copy.open("r+b") as file:
            file.truncate(offset + 100)
        with pytest.raises(DamagedStoreError, match=r"damaged\.h5.*cut short"):
            damaged.read(sound)


def test_a_damaged_column_is_named_when_it_is_read(copy):
    content = bytearray(copy.read_bytes())
    content[content.index(b"Diptera")] ^= 1
    copy.write_bytes(content)
    with arraystore.open(copy) as damaged:
        with pytest.raises(DamagedStoreError, match="column 'order'.*CRC-32C"):
            damaged.columns["order"]
        assert len(damaged.columns["family"]) == len(damaged)
