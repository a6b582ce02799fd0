"""HDF5 files of images as their publishers write them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from arraystore.testing.pillow import require_pillow

__all__ = ["Values", "write_clibd_hdf5", "write_image_hdf5"]

Values = Literal["string", "bytes", "pixels"]

_ATTRIBUTES = ("Description", "Copyright Holder", "Photographer", "Copyright License", "Author", "Date")


def write_image_hdf5(
    path: Path, jpegs: Mapping[str, bytes], *, values: Values = "string", group: str = "bioscan_dataset"
) -> Path:
    """Write images as the tools of BIOSCAN-1M do: a data set for each, under the name of its file.

    Parameters
    ----------
    path : pathlib.Path
        File to make.
    jpegs : mapping of str to bytes
        The bytes of each file by its name.
    values : {"string", "bytes", "pixels"}
        A scalar string of fixed size, as `numpy.asarray` makes it of bytes; uint8 of the shape ``(n,)``; or the decoded
        pixels, uint8 of the shape ``(height, width, 3)``.
    group : str
        The group they stand in; the root if it is empty.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    import h5py

    with h5py.File(path, "w") as file:
        parent = file.create_group(group) if group else file
        if group:
            parent.attrs.update(dict.fromkeys(_ATTRIBUTES, "as published"))
        for name, jpeg in jpegs.items():
            if values == "string":
                parent.create_dataset(name, data=np.asarray(jpeg))
            elif values == "bytes":
                parent.create_dataset(name, data=np.frombuffer(jpeg, np.uint8))
            else:
                image = require_pillow().open(io.BytesIO(jpeg))
                parent.create_dataset(name, data=np.asarray(image.convert("RGB")))
    return path


def write_clibd_hdf5(
    path: Path,
    groups: Mapping[str, Sequence[Mapping[str, str]]],
    jpegs: Mapping[str, bytes],
    *,
    width: int = 24_027,
    with_processid: bool = False,
) -> Path:
    """Write images and labels as CLIBD does: a group for each split, whose rows are JPEGs padded with zeros.

    Parameters
    ----------
    path : pathlib.Path
        File to make.
    groups : mapping of str to sequence of mapping
        The rows of each group, with `sampleid`, `processid` and any labels; a specimen may be in several.
    jpegs : mapping of str to bytes
        The bytes of each image by `sampleid`; one that is not there is missing.
    width : int
        Bytes of a row.
    with_processid : bool
        Whether the ids of BOLD are in the file; labels are then of variable length, as in ``BIOSCAN_5M.hdf5``.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    import h5py

    labels = ("order", "family", "genus", "species")
    with h5py.File(path, "w") as file:
        for name, rows in groups.items():
            group = file.create_group(name)
            image = group.create_dataset("image", (0, width), np.uint8, maxshape=(None, width), chunks=(3, width))
            length = group.create_dataset("image_mask", (0,), np.int64, maxshape=(None,))
            for row, cells in enumerate(rows):
                jpeg = jpegs.get(cells["sampleid"], b"")
                image.resize(row + 1, 0)
                length.resize(row + 1, 0)
                image[row, : len(jpeg)] = np.frombuffer(jpeg, np.uint8)
                length[row] = len(jpeg)
            for column in ("sampleid", "barcode", *(["processid"] if with_processid else [])):
                group.create_dataset(column, data=np.array([cells[column].encode() for cells in rows], "S"))
            for column in labels:
                texts = [(cells.get(column) or "not_classified").encode() for cells in rows]
                kind = h5py.string_dtype() if with_processid else f"S{max(map(len, texts))}"
                group.create_dataset(column, data=texts, dtype=kind)
            group.create_dataset("language_tokens_input_ids", data=np.zeros((len(rows), 20), np.int64))
            group.create_dataset("image_features", data=np.zeros((len(rows), 512), np.float32))
    return path
