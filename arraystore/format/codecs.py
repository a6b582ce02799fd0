"""How the items of array fields are compressed: the codecs of numcodecs, as Zarr v3 names them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import DamagedStoreError
from arraystore.format.spec import Codec

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from arraystore.format.arrays import ArrayForm

_ZSTD_LEVEL = 3
_BLOSC_LEVEL = 5
# Items that are compressed between two writes.
_BATCH_NBYTES = 1 << 24
# A Blosc header: the length that it decompresses to, and that of all of it, little-endian from byte 4 and 12 on.
_BLOSC_HEADER_NBYTES = 16


def codec_document(name: Codec, dtype: str) -> dict[str, Any]:
    """Return the Zarr v3 codec that we write.

    Parameters
    ----------
    name : {"zstd", "blosc"}
        Which.
    dtype : str
        Type of the samples.

    Returns
    -------
    dict
    """
    if name == "zstd":
        return {"name": "zstd", "configuration": {"level": _ZSTD_LEVEL, "checksum": False}}
    configuration = {
        "typesize": np.dtype(dtype).itemsize,
        "cname": "zstd",
        "clevel": _BLOSC_LEVEL,
        "shuffle": "shuffle",
        "blocksize": 0,
    }
    return {"name": "blosc", "configuration": configuration}


def compress_items(packed: Path, form: ArrayForm, directory: Path, *, threads: int) -> None:
    """Write the shards of a field of arrays, each item compressed; each shard under a temporary name first.

    Parameters
    ----------
    packed : Path
        The items one after another, not compressed.
    form : ArrayForm
        The array, with its codec.
    directory : Path
        Directory of the array.
    threads : int
        Threads that compress.
    """
    # Imported here: who reads needs nothing of it.
    from concurrent.futures import ThreadPoolExecutor

    dtype = np.dtype(form.dtype).newbyteorder("<")
    items = np.memmap(packed, dtype, "r", shape=(form.length, *form.item_shape))
    with ThreadPoolExecutor(threads) as pool:
        for shard, name in enumerate(form.shard_names()):
            first = shard * form.shard_length
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(path.name + ".partial")
            with temporary.open("wb") as file:
                nbytes = []
                for part in _compressed(items[first : first + form.shard_length], form, pool):
                    nbytes.append(len(part))
                    file.write(part)
                file.write(form.footer_of(np.array(nbytes, "<u8")))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)


def _compressed(items: npt.NDArray[Any], form: ArrayForm, pool: ThreadPoolExecutor) -> Iterator[bytes]:
    import numcodecs

    if form.codec is not None and form.codec["name"] == "zstd":
        encode = numcodecs.Zstd(level=_ZSTD_LEVEL).encode
    else:
        encode = numcodecs.Blosc(cname="zstd", clevel=_BLOSC_LEVEL, shuffle=numcodecs.Blosc.SHUFFLE).encode
    batch = max(_BATCH_NBYTES // form.item_nbytes, 1)
    for start in range(0, len(items), batch):
        yield from map(bytes, pool.map(encode, list(items[start : start + batch])))


def unblosc(stored: bytes, out: npt.NDArray[np.uint8]) -> None:
    """Decompress an item by Blosc.

    Parameters
    ----------
    stored : bytes
        As it lies in the shard; not believed.
    out : ndarray of uint8
        To be filled.

    Raises
    ------
    DamagedStoreError
        If it is not an item of this size that Blosc has compressed.
    """
    from numcodecs import blosc

    lengths = [int.from_bytes(stored[start : start + 4], "little") for start in (4, 12)]
    if len(stored) < _BLOSC_HEADER_NBYTES or lengths != [out.nbytes, len(stored)]:
        raise DamagedStoreError(
            f"expected {len(stored)} bytes of Blosc for {out.nbytes}, found {lengths[1]} for {lengths[0]}",
            "damaged-item",
        )
    try:
        blosc.decompress(stored, out)
    except (RuntimeError, ValueError) as error:
        raise DamagedStoreError(f"it cannot be decompressed: {error}", "damaged-item") from error
