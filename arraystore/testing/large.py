"""A store and an HDF5 file of millions of records over a few images, to try what must hold at that size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.format.base import KEY
from arraystore.format.columns import NumericColumn, categorical
from arraystore.format.layout import DEFAULT_SHARD_NBYTES
from arraystore.format.spec import FieldSpec, StoreSpec
from arraystore.format.writer import DataForm, Frame
from arraystore.format.zarr_writer import ZarrWriter
from arraystore.testing.jpegs import insect_jpeg

__all__ = ["make_large_hdf5", "make_large_store"]

_KEY_NBYTES = 14
_SPLITS = ["pretrain", "test", "train"]
_IMAGES = 16


def make_large_store(root: Path, n: int = 5_000_000) -> Path:
    """Make a finished store of `n` records.

    Row `i` has the key ``ABCD{i:07d}-20``, image ``i % 16``, split ``("pretrain", "test", "train")[i % 3]`` and the
    column ``index`` with value `i`. The checksums of the images are not theirs: read with ``verify=False``.

    Parameters
    ----------
    root : pathlib.Path
        Directory to make.
    n : int, default 5,000,000
        Number of records, at most ten million.

    Returns
    -------
    pathlib.Path
        `root`.
    """
    writer = ZarrWriter(root)
    row = np.arange(n, dtype=np.uint64)
    keys = _key_bytes(n)
    strings = _core.Strings(keys, np.arange(n + 1, dtype=np.uint64) * np.uint64(_KEY_NBYTES))
    hashes, rows, _ = _core.index_keys(strings)
    jpegs = [insect_jpeg(seed, width=300) for seed in range(_IMAGES)]
    images = np.frombuffer(b"".join(jpegs), np.uint8)
    split = categorical(row.astype(np.int64) % len(_SPLITS), _SPLITS)
    frame = Frame("processid", strings, {"split": split, "index": NumericColumn(row)})
    data = {
        "image": DataForm("jpeg", len(images), DEFAULT_SHARD_NBYTES),
        KEY: DataForm("text", len(keys), DEFAULT_SHARD_NBYTES),
    }
    writer.begin(n, data, frame)
    index = {"offset": row * np.uint64(_KEY_NBYTES), "nbytes": np.full(n, _KEY_NBYTES, np.uint32)}
    index |= {"crc32c": np.asarray(strings.crc32c()), "hash": np.asarray(hashes), "row": np.asarray(rows)}
    _write_field(writer, KEY, keys, index)
    ends = np.cumsum([0, *map(len, jpegs)])
    which = (row % np.uint64(_IMAGES)).astype(np.int64)
    index = {"offset": ends[which].astype(np.uint64), "nbytes": np.diff(ends)[which].astype(np.uint32)}
    index |= {"crc32c": np.zeros(n, np.uint32), "status": np.zeros(n, np.uint8)}
    index |= {"height": np.full(n, 256, np.uint16), "width": np.full(n, 300, np.uint16)}
    _write_field(writer, "image", images, index)
    writer.commit(StoreSpec(n=n, fields=(FieldSpec("image", "jpeg"),)), sync=False)
    return root


def _key_bytes(n: int) -> npt.NDArray[np.uint8]:
    row = np.arange(n)
    keys = np.empty((n, _KEY_NBYTES), np.uint8)
    keys[:, :4], keys[:, 11:] = list(b"ABCD"), list(b"-20")
    for digit in range(7):
        keys[:, 10 - digit] = ord("0") + row // 10**digit % 10
    return keys.reshape(-1)


def _write_field(
    writer: ZarrWriter, name: str, data: npt.NDArray[np.uint8], index: dict[str, npt.NDArray[Any]]
) -> None:
    target = writer.target(name)
    _core.write_sharded(np.ascontiguousarray(data), shard_nbytes=target.shard_nbytes, **target.place.options())
    writer.write_index(name, index)


def make_large_hdf5(path: Path, n: int = 1_100_000, *, nbytes: int = 1_000) -> Path:
    """Make an HDF5 file of `n` data sets, as the publisher of BIOSCAN-1M does.

    Data set ``bioscan_dataset/{4286925 + i}.jpg`` is a scalar string of fixed size that holds one of 16 small JPEGs.

    Parameters
    ----------
    path : pathlib.Path
        File to make.
    n : int, default 1,100,000
        Number of data sets.
    nbytes : int, default 1,000
        Size of the smallest JPEG; the others have up to 15 bytes more, behind their end.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    ValueError
        If no JPEG is as small as `nbytes`.
    """
    import h5py
    from h5py import h5d, h5s, h5t

    jpeg = insect_jpeg(0, height=24, width=32)
    if len(jpeg) > nbytes:
        raise ValueError(f"nbytes={nbytes}: the smallest JPEG has {len(jpeg)}")
    forms = []
    for extra in range(_IMAGES):
        kind = h5t.C_S1.copy()
        kind.set_size(nbytes + extra)
        kind.set_strpad(h5t.STR_NULLPAD)
        forms.append((kind, np.array(jpeg.ljust(nbytes + extra, b"\xff"), f"S{nbytes + extra}")))
    with h5py.File(path, "w") as file:
        group = file.create_group("bioscan_dataset").id
        scalar = h5s.create(h5s.SCALAR)
        for i in range(n):
            kind, value = forms[i % _IMAGES]
            data = h5d.create(group, b"%d.jpg" % (4_286_925 + i), kind, scalar)
            data.write(h5s.ALL, h5s.ALL, value)
    return path
