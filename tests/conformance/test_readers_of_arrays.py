"""Other implementations of Zarr, and h5py, read fields of arrays without arraystore."""

import subprocess
import sys

import anndata
import h5py
import numpy as np
import pytest
import tensorstore
import zarr

import arraystore
from arraystore.testing.biosr import make_biosr

FIELDS = ("wf", "gt")

# In an interpreter of its own: the pipeline is a setting of the process, and arraystore must not be needed.
READ_WITH_ZARRS = """
import sys
import numpy as np
import zarr, zarrs
zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
store = zarr.open_group(sys.argv[1], mode="r")
assert type(store["wf/data"]._async_array.codec_pipeline).__name__ == "ZarrsCodecPipeline"
np.savez(sys.argv[2], **{field: store[f"{field}/data"][:][store[f"{field}/row"][:]] for field in ("wf", "gt")})
assert "arraystore" not in sys.modules
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    # Sizes that differ, and are no powers of two: no two dimensions can be taken for each other.
    return make_biosr(tmp_path_factory.mktemp("biosr"), 5, validate=2, test=1, side=24, gt_side=40, dtype="uint16")


@pytest.fixture(scope="module", params=["none", "zstd", "blosc", "shards"])
def path(request, package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "b.zarr"
    options = {"shard_nbytes": 20_000} if request.param == "shards" else {"codec": request.param}
    arraystore.ingest(package.root, path, progress=False, **options)
    return path


def expected(package, keys):
    patches = {"wf": package.wf, "gt": package.gt}
    return {field: np.stack([patches[field][key] for key in keys]) for field in FIELDS}


def test_zarr_python_reads_every_patch(package, path):
    store = zarr.open_group(path, mode="r")
    for field, patches in expected(package, store["columns/patch"][:]).items():
        assert store[f"{field}/data"].dtype == np.uint16
        np.testing.assert_array_equal(store[f"{field}/data"][:][store[f"{field}/row"][:]], patches)


def test_tensorstore_reads_every_patch(package, path):
    store = zarr.open_group(path, mode="r")
    for field, patches in expected(package, store["columns/patch"][:]).items():
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path / field / "data")}}
        read = tensorstore.open(spec, open=True).result().read().result()
        np.testing.assert_array_equal(read[store[f"{field}/row"][:]], patches)


def test_the_zarrs_pipeline_reads_every_patch(package, path, tmp_path):
    subprocess.run([sys.executable, "-c", READ_WITH_ZARRS, path, tmp_path / "read.npz"], check=True)
    keys = zarr.open_group(path, mode="r")["columns/patch"][:]
    with np.load(tmp_path / "read.npz") as read:
        for field, patches in expected(package, keys).items():
            np.testing.assert_array_equal(read[field], patches)


def test_anndata_reads_the_columns_of_patches(path):
    frame = anndata.io.read_elem(zarr.open_group(path, mode="r")["columns"])
    assert frame["split"].value_counts().to_dict() == {"training": 5, "validate": 2, "test": 9}
    assert frame["level"].dropna().tolist() == list(range(1, 10))


def test_h5py_reads_and_numpy_maps_every_patch(package, tmp_path):
    arraystore.ingest(package.root, tmp_path / "b.h5", progress=False)
    with h5py.File(tmp_path / "b.h5") as file:
        for field, patches in expected(package, file["columns/patch"].asstr()[:]).items():
            data = file[f"{field}/data"]
            np.testing.assert_array_equal(data[:][file[f"{field}/row"][:]], patches)
            mapped = np.memmap(tmp_path / "b.h5", data.dtype, "r", data.id.get_offset(), data.shape)
            np.testing.assert_array_equal(mapped, data[:])
