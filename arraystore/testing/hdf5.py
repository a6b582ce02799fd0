"""HDF5 files of images as their publishers write them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from arraystore.testing.pillow import require_pillow

__all__ = ["Values", "write_image_hdf5"]

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
