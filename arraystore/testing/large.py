"""A store of millions of rows over a few images, to try what must hold at that size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.format import arrays, columns, layout, zarr, zarr_columns
from arraystore.format.spec import FieldSpec, StoreSpec
from arraystore.testing.jpegs import insect_jpeg

__all__ = ["make_large_store"]

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
    root.mkdir()
    row = np.arange(n, dtype=np.uint64)
    keys = _key_bytes(n)
    strings = _core.Strings(keys, np.arange(n + 1, dtype=np.uint64) * np.uint64(_KEY_NBYTES))
    hashes, rows, _ = _core.index_keys(strings)
    index = {"offset": row * np.uint64(_KEY_NBYTES), "nbytes": np.full(n, _KEY_NBYTES, np.uint32)}
    index |= {"crc32c": np.asarray(strings.crc32c()), "hash": np.asarray(hashes), "row": np.asarray(rows)}
    _write_field(root, "key", keys, index)
    jpegs = [insect_jpeg(seed, width=300) for seed in range(_IMAGES)]
    ends = np.cumsum([0, *map(len, jpegs)])
    which = (row % np.uint64(_IMAGES)).astype(np.int64)
    index = {"offset": ends[which].astype(np.uint64), "nbytes": np.diff(ends)[which].astype(np.uint32)}
    index |= {"crc32c": np.zeros(n, np.uint32), "status": np.zeros(n, np.uint8)}
    index |= {"height": np.full(n, 256, np.uint16), "width": np.full(n, 300, np.uint16)}
    _write_field(root, "image", np.frombuffer(b"".join(jpegs), np.uint8), index)
    split = columns.categorical(row.astype(np.int64) % len(_SPLITS), _SPLITS)
    frame: dict[str, columns.WritableColumn] = {"split": split, "index": columns.NumericColumn(row)}
    zarr_columns.write_columns(root / zarr.COLUMNS, "processid", strings, frame)
    files = [name for name in zarr.store_files(root) if "/data/c/" not in name]
    checksums = {name: _core.file_crc32c(str(root / name)) for name in files}
    zarr.commit(root, StoreSpec(n=n, fields=(FieldSpec("image", "jpeg"),), checksums=checksums), sync=False)
    return root


def _key_bytes(n: int) -> npt.NDArray[np.uint8]:
    row = np.arange(n)
    keys = np.empty((n, _KEY_NBYTES), np.uint8)
    keys[:, :4], keys[:, 11:] = list(b"ABCD"), list(b"-20")
    for digit in range(7):
        keys[:, 10 - digit] = ord("0") + row // 10**digit % 10
    return keys.reshape(-1)


def _write_field(root: Path, name: str, data: npt.NDArray[np.uint8], index: dict[str, npt.NDArray[Any]]) -> None:
    zarr.write_document(root / name, arrays.group_document())
    _write_array(root / name / "data", arrays.ArrayForm.data(len(data), layout.DEFAULT_SHARD_NBYTES), data)
    for array, values in index.items():
        _write_array(root / name / array, arrays.ArrayForm.index(values.dtype.name, len(values)), values)


def _write_array(directory: Path, form: arrays.ArrayForm, values: npt.NDArray[Any]) -> None:
    zarr.write_document(directory, form.document())
    _core.write_sharded(
        np.ascontiguousarray(values).view(np.uint8),
        directory=str(directory / arrays.CHUNKS),
        shard_nbytes=form.shard_nbytes,
        chunk_nbytes=form.chunk_nbytes,
    )
