"""Other implementations of Zarr and AnnData read a store, bit for bit, without arraystore."""

import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import tensorstore
import zarr

# Run in an interpreter of its own: the pipeline is a setting of the process, and arraystore must not be needed.
READ_WITH_ZARRS = """
import sys, hashlib, warnings
warnings.simplefilter("error")
import zarr, zarrs
zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
store = zarr.open_group(sys.argv[1], mode="r")
assert type(store["image/data"]._async_array.codec_pipeline).__name__ == "ZarrsCodecPipeline"
data, offset, nbytes = (store[f"image/{name}"] for name in ("data", "offset", "nbytes"))
for key, start, length in zip(store["columns/processid"][:], offset[:].tolist(), nbytes[:].tolist()):
    print(key, hashlib.sha256(data[start : start + length].tobytes()).hexdigest())
assert "arraystore" not in sys.modules
"""


def tensorstore_array(store_path: Path, array: str) -> np.ndarray:
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(store_path / array)}}
    return tensorstore.open(spec, open=True).result()


def test_zarr_python_reads_every_jpeg(store_path, jpegs):
    store = zarr.open_group(store_path, mode="r")
    offset, nbytes, data = store["image/offset"][:], store["image/nbytes"][:], store["image/data"]
    read = {
        key: data[int(start) : int(start + length)].tobytes()
        for key, start, length in zip(store["columns/processid"][:], offset, nbytes, strict=True)
        if length
    }
    assert read == jpegs


def test_tensorstore_reads_every_jpeg(store_path, jpegs):
    offset = tensorstore_array(store_path, "image/offset").read().result()
    nbytes = tensorstore_array(store_path, "image/nbytes").read().result()
    data = tensorstore_array(store_path, "image/data")
    keys = zarr.open_group(store_path, mode="r")["columns/processid"][:]
    read = {
        key: data[int(start) : int(start + length)].read().result().tobytes()
        for key, start, length in zip(keys, offset, nbytes, strict=True)
        if length
    }
    assert read == jpegs


def test_the_zarrs_pipeline_reads_every_jpeg(store_path, jpegs):
    from hashlib import sha256

    run = subprocess.run(
        [sys.executable, "-c", READ_WITH_ZARRS, store_path], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    read = dict(line.split() for line in run.stdout.splitlines())
    empty = sha256(b"").hexdigest()
    assert {key: digest for key, digest in read.items() if digest != empty} == {
        key: sha256(jpeg).hexdigest() for key, jpeg in jpegs.items()
    }


@pytest.mark.parametrize("array", ["image/height", "image/status", "dna_barcode/offset", "key/hash", "key/row"])
def test_index_arrays_are_the_same_for_all(store_path, array):
    ours = zarr.open_group(store_path, mode="r")[array]
    np.testing.assert_array_equal(ours[:], tensorstore_array(store_path, array).read().result())


def test_barcodes_read_as_text(store_path, package):
    store = zarr.open_group(store_path, mode="r")
    data, offset, nbytes = (store[f"dna_barcode/{name}"][:] for name in ("data", "offset", "nbytes"))
    read = [
        data[int(start) : int(start + length)].tobytes().decode() for start, length in zip(offset, nbytes, strict=True)
    ]
    table = pd.read_csv(package.metadata, dtype=str, keep_default_na=False)
    assert read[: len(table)] == table["dna_barcode"].tolist()


def test_anndata_reads_the_columns_of_the_csv(store_path, package):
    frame = anndata.io.read_elem(zarr.open_group(store_path, mode="r")["columns"])
    table = pd.read_csv(package.metadata, dtype=str, keep_default_na=False).set_index("processid")
    assert frame.index.name == "processid"
    assert frame.index.tolist()[: len(table)] == table.index.tolist()
    for name in table.columns.drop("dna_barcode"):
        found, expected = frame[name].iloc[: len(table)], table[name]
        assert (found.isna().to_numpy() == (expected == "").to_numpy()).all(), name
        there = (expected != "").to_numpy()
        if isinstance(found.dtype, pd.CategoricalDtype) or not pd.api.types.is_numeric_dtype(found.dtype):
            assert found[there].astype(str).tolist() == expected[there].tolist(), name
        else:
            assert found[there].astype(float).tolist() == expected[there].astype(float).tolist(), name


def test_zarr_python_lists_the_whole_tree_without_a_warning(store_path):
    store = zarr.open_group(store_path, mode="r")
    paths = {path for path, _ in store.members(max_depth=None)}
    assert {"image/data", "dna_barcode/nbytes", "key/hash", "columns/order/codes"} <= paths
    assert "arraystore" in store.attrs
