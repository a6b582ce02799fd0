"""h5py and AnnData read a store in HDF5, bit for bit, without arraystore."""

import subprocess
import sys

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

import arraystore

READ = """
import hashlib, sys, warnings
warnings.simplefilter("error")
import h5py
with h5py.File(sys.argv[1]) as file:
    keys, offset, nbytes = file["columns/processid"].asstr()[:], file["image/offset"][:], file["image/nbytes"][:]
    for key, start, length in zip(keys, offset, nbytes):
        print(key, hashlib.sha256(file["image/data"][start : start + length].tobytes()).hexdigest())
assert "arraystore" not in sys.modules
"""


@pytest.fixture(scope="module")
def hdf5_path(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "cropped_256.h5"
    arraystore.ingest(package.sources(), path, metadata=package.metadata, shard_nbytes=262_144, progress=False)
    return path


def test_h5py_reads_every_jpeg(hdf5_path, jpegs):
    from hashlib import sha256

    run = subprocess.run(
        [sys.executable, "-c", READ, hdf5_path], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    read = dict(line.split() for line in run.stdout.splitlines())
    empty = sha256(b"").hexdigest()
    assert {key: digest for key, digest in read.items() if digest != empty} == {
        key: sha256(jpeg).hexdigest() for key, jpeg in jpegs.items()
    }


def test_arrays_are_those_of_the_zarr_store(hdf5_path, store_path):
    group = zarr.open_group(store_path, mode="r")
    with h5py.File(hdf5_path) as file:
        for field in ("image", "dna_barcode", "key"):
            assert set(file[field]) == set(group[field].array_keys())
            for name in file[field]:
                array = file[field][name]
                np.testing.assert_array_equal(array[:], group[field][name][:])
                assert array.dtype == group[field][name].dtype


def test_anndata_reads_the_same_columns_from_both(hdf5_path, store_path):
    with h5py.File(hdf5_path) as file:
        frame = anndata.io.read_elem(file["columns"])
    pd.testing.assert_frame_equal(frame, anndata.io.read_elem(zarr.open_group(store_path, mode="r")["columns"]))
    assert frame.index.name == "processid"


def test_h5dump_like_walk_meets_only_plain_groups_and_data_sets(hdf5_path):
    with h5py.File(hdf5_path) as file:
        nodes = {}
        file.visititems(nodes.__setitem__)
        for name, node in nodes.items():
            assert isinstance(node.parent.get(name.rsplit("/", 1)[-1], getlink=True), h5py.HardLink)
            if isinstance(node, h5py.Dataset):
                assert (node.chunks, node.compression, node.ndim) == (None, None, 1)
