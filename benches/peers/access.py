"""Ways to keep many small files, and to get the bytes of random ones, one thread: a list for each batch of rows."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from peers import Task, peer

WORK = "bytes/list of random rows"


def offsets(task: Task) -> list[int]:
    return np.load(task.folder / "pack.npy").tolist()


@peer(WORK, name="arraystore", needs=["arraystore"], settings="store.jpeg(rows), checksums compared")
def arraystore_jpeg(task: Task):
    arraystore = importlib.import_module("arraystore")
    store = arraystore.open(task.store)
    return store.jpeg


@peer(WORK, name="mmap of all bytes", settings="one file, offsets in a list; compares nothing")
def mapped(task: Task):
    packed = task.items
    return lambda rows: [packed[row] for row in rows.tolist()]


@peer(WORK, name="files", settings="256 directories, unbuffered")
def files(task: Task):
    names = file_names(task)

    def read(row: int) -> bytes:
        with open(names[row], "rb", buffering=0) as file:  # noqa: PTH123  Path.open costs a third more
            return file.read()

    return lambda rows: [read(row) for row in rows.tolist()]


def file_names(task: Task) -> list[str]:
    """Write each image into a file; list them."""

    def write(folder: Path) -> None:
        for row, item in enumerate(task.items):
            path = folder / f"{row % 256:02x}" / f"{row}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(item)

    folder = task.made("files", write)
    return [f"{folder}/{row % 256:02x}/{row}.jpg" for row in range(task.count)]


@peer(WORK, name="zipfile", settings="stored members, opened once; CRC-32 compared")
def zip_file(task: Task):
    import zipfile

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for row, item in enumerate(task.items):
                archive.writestr(f"{row}.jpg", item)

    archive = zipfile.ZipFile(task.made("stored.zip", write))
    members = [archive.getinfo(f"{row}.jpg") for row in range(task.count)]
    return lambda rows: [archive.read(members[row]) for row in rows.tolist()]


@peer(WORK, name="h5py, one flat data set", needs=["h5py"], settings="contiguous uint8, offsets in a list")
def h5py_flat(task: Task):
    import h5py

    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("data", data=np.fromfile(task.folder / "pack.bin", np.uint8))

    data, offset = h5py.File(task.made("flat.h5", write))["data"], offsets(task)
    return lambda rows: [data[offset[row] : offset[row + 1]] for row in rows.tolist()]


@peer(WORK, name="h5py, one data set an image", needs=["h5py"], settings="libver=latest; opened by name")
def h5py_each(task: Task):
    import h5py

    def write(path: Path) -> None:
        with h5py.File(path, "w", libver="latest") as file:
            for row, item in enumerate(task.items):
                file.create_dataset(str(row), data=np.frombuffer(item, np.uint8))

    file = h5py.File(task.made("each.h5", write))
    return lambda rows: [file[str(row)][()] for row in rows.tolist()]


@peer(WORK, name="zarr-python", needs=["zarr"], settings="the store of arraystore: one chunk a shard of flat bytes")
def zarr_python(task: Task):
    return _zarr_slices(task)


@peer(WORK, name="zarr-python with zarrs", needs=["zarr", "zarrs"], settings="ZarrsCodecPipeline; the same store")
def zarr_with_zarrs(task: Task):
    import zarr

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "threading.max_workers": 1})
    return _zarr_slices(task)


def _zarr_slices(task: Task):
    import zarr

    group = zarr.open_group(task.store, mode="r")
    data, start, nbytes = group["image/data"], group["image/offset"][:], group["image/nbytes"][:]
    start, stop = start.tolist(), (start + nbytes).tolist()
    return lambda rows: [data[start[row] : stop[row]] for row in rows.tolist()]


@peer(WORK, name="tensorstore", needs=["tensorstore"], settings="the same store; all of a batch asked for at once")
def tensorstore_slices(task: Task):
    import tensorstore

    def array(name: str):
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{task.store}/image/{name}"}}
        context = tensorstore.Context({"data_copy_concurrency": {"limit": 1}, "file_io_concurrency": {"limit": 1}})
        return tensorstore.open(spec, context=context, read=True).result()

    data = array("data")
    start, nbytes = (array(name).read().result().astype(np.int64) for name in ("offset", "nbytes"))
    start, stop = start.tolist(), (start + nbytes).tolist()

    def read(rows: np.ndarray) -> list[np.ndarray]:
        asked = [data[start[row] : stop[row]].read() for row in rows.tolist()]
        return [each.result() for each in asked]

    return read


@peer(WORK, name="LMDB", needs=["lmdb"], settings="readonly, no lock, no read-ahead; one transaction")
def lmdb_reader(task: Task):
    import lmdb

    def write(path: Path) -> None:
        nbytes = (task.folder / "pack.bin").stat().st_size
        with (
            lmdb.open(str(path), map_size=4 * nbytes + (1 << 26)) as environment,
            environment.begin(write=True) as into,
        ):
            for row, item in enumerate(task.items):
                into.put(row.to_bytes(8, "big"), item)

    environment = lmdb.open(
        str(task.made("some.lmdb", write)), readonly=True, lock=False, readahead=False, meminit=False
    )
    transaction = environment.begin()
    return lambda rows: [transaction.get(row.to_bytes(8, "big")) for row in rows.tolist()]


@peer(WORK, name="Lance", needs=["lance", "pyarrow"], settings="take(rows) of one binary column, format 2.1")
def lance_take(task: Task):
    data = open_lance(task)
    return lambda rows: data.take(rows.tolist(), columns=["jpeg"])["jpeg"].to_pylist()


def open_lance(task: Task) -> Any:
    """Write the images as a column of binary values, and open it."""
    import lance
    import pyarrow

    def write(path: Path) -> None:
        column = pyarrow.array(task.items, pyarrow.large_binary())
        lance.write_dataset(pyarrow.table({"jpeg": column}), str(path), data_storage_version="2.1")

    return lance.dataset(str(task.made("some.lance", write)))
