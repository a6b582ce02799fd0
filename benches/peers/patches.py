"""Ways to read random patches of one shape, one thread: a batch for each list of rows."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from peers import Task, peer

PLAIN, ZSTD = WORKS = ("patches/batch of random rows/not compressed", "patches/batch of random rows/zstd")


def store_path(task: Task) -> str:
    return str(task.folder / ("zstd.zarr" if task.work == ZSTD else "none.zarr"))


def array_path(task: Task) -> str:
    """That of the Zarr array, which all readers of Zarr share: one chunk a patch, in shards."""
    return f"{store_path(task)}/wf/data"


def drawn(task: Task) -> np.ndarray:
    return np.load(task.folder / "patches.npy", mmap_mode="r")


def read_with(task: Task, **given: Any):
    store = importlib.import_module("arraystore").open(store_path(task))
    out = np.empty((task.batch_rows, *drawn(task).shape[1:]), np.float32)
    return lambda rows: store.arrays(rows, field="wf", out=out[: len(rows)], threads=1, **given)


@peer(*WORKS, name="arraystore", needs=["arraystore"], settings="arrays(rows, out=), checksums compared")
def arraystore_arrays(task: Task):
    return read_with(task)


@peer(PLAIN, name="arraystore, verify=False", needs=["arraystore"], settings="arrays(rows, out=)")
def arraystore_not_verified(task: Task):
    return read_with(task, verify=False)


@peer(PLAIN, name="np.memmap", settings="one .npy; compares nothing")
def mapped(task: Task):
    data = drawn(task)
    return lambda rows: data[rows]


@peer(PLAIN, name="h5py", needs=["h5py"], settings="contiguous, read_direct of each patch")
def h5py_contiguous(task: Task):
    import h5py

    def write(path: Any) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("data", data=drawn(task))

    data = h5py.File(task.made("patches.h5", write))["data"]
    out = np.empty((task.batch_rows, *data.shape[1:]), np.float32)

    def read(rows: np.ndarray) -> np.ndarray:
        for place, row in enumerate(rows.tolist()):
            data.read_direct(out, np.s_[row], np.s_[place])
        return out[: len(rows)]

    return read


@peer(PLAIN, name="tifffile", needs=["tifffile"], settings="imread of the publisher's file of each patch")
def tiff_files(task: Task):
    import tifffile

    (folder,) = (task.folder / "package").rglob("training_wf")
    return lambda rows: np.stack([tifffile.imread(folder / f"{row + 1:08d}.tif") for row in rows.tolist()])


@peer(*WORKS, name="zarr-python", needs=["zarr"], settings="the store of arraystore, oindex[rows]")
def zarr_python(task: Task):
    import zarr

    data = zarr.open_array(array_path(task), mode="r")
    return lambda rows: data.oindex[rows]


@peer(*WORKS, name="zarr-python with zarrs", needs=["zarr", "zarrs"], settings="ZarrsCodecPipeline, data[row]")
def zarr_with_zarrs(task: Task):
    import zarr

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "threading.max_workers": 1})
    data = zarr.open_array(array_path(task), mode="r")
    return lambda rows: np.stack([data[row] for row in rows.tolist()])


@peer(*WORKS, name="tensorstore", needs=["tensorstore"], settings="the same store, data[rows]")
def tensorstore_rows(task: Task):
    import tensorstore

    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": array_path(task)}}
    context = tensorstore.Context({"data_copy_concurrency": {"limit": 1}, "file_io_concurrency": {"limit": 1}})
    data = tensorstore.open(spec, context=context, read=True).result()
    return lambda rows: data[rows].read().result()
