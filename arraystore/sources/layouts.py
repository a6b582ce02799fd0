"""Records as the files of a publisher's layout again: which file each is, and where the table lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore.sources.archive import concatenate
from arraystore.sources.base import PathLabels
from arraystore.sources.bioscan1m import Bioscan1M
from arraystore.sources.bioscan5m import CHUNK, CHUNK_LENGTHS, SPLITS, Bioscan5M
from arraystore.sources.registry import published_as

if TYPE_CHECKING:
    from arraystore._core import Strings

# Gives a column as labels, or None if the store has no such column.
LabelsOf: TypeAlias = Callable[[str], PathLabels | None]
# Gives a column as texts, empty where missing, or None.
TextsOf: TypeAlias = Callable[[str], "Strings | None"]


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The files that records become.

    Parameters
    ----------
    directories : tuple of str
        The different directories, relative, with `/` between their parts.
    directory : ndarray of int64, shape (n,)
        Index into `directories` of each record.
    names : Strings
        Name of the file of each record; one without the suffix of a JPEG gets `.jpg`.
    table : PurePosixPath
        Where the table lies, relative.
    delimiter : str
        Between its cells.
    source : PurePosixPath
        What to name as the source when it is ingested again, relative.
    finds_table : bool
        Whether ingest finds the table from there.
    order : tuple of str
        Columns as the publisher has them, as far as known.
    """

    directories: tuple[str, ...]
    directory: npt.NDArray[np.int64]
    names: Strings
    table: PurePosixPath
    delimiter: str
    source: PurePosixPath
    finds_table: bool
    order: tuple[str, ...]


def file_layout(dataset: str, package: str, keys: Strings, labels_of: LabelsOf, texts_of: TextsOf) -> FileLayout:
    """Lay records out as their publisher does; those of any folder by their keys.

    Parameters
    ----------
    dataset, package : str
        Publisher's names.
    keys : Strings
        Key of each record.
    labels_of, texts_of : callable
        Give columns that the paths depend on.

    Returns
    -------
    FileLayout
    """
    layouts: Mapping[str, Callable[[str, Strings, LabelsOf, TextsOf], FileLayout]] = {
        Bioscan5M.dataset: _bioscan5m,
        Bioscan1M.dataset: _bioscan1m,
    }
    return layouts.get(dataset, _folder)(package, keys, labels_of, texts_of)


def _bioscan5m(package: str, keys: Strings, labels_of: LabelsOf, _: TextsOf) -> FileLayout:
    root = f"bioscan5m/images/{package}"
    split, chunk = (labels_of(name) or _nothing(len(keys)) for name in ("split", "chunk"))
    directories: list[str] = []
    # By code of split and of chunk; the last of each is for a missing one.
    number = np.zeros((len(split.categories) + 1, len(chunk.categories) + 1), np.int64)
    for i, of_split in enumerate((*split.categories, "")):
        for j, of_chunk in enumerate((*chunk.categories, "")):
            # What the layout does not know, the table knows: a directory would not be read as such.
            parts = [root, of_split] if of_split in SPLITS else [root]
            if of_split in CHUNK_LENGTHS and CHUNK.match(of_chunk):
                parts.append(of_chunk)
            number[i, j] = len(directories)
            directories.append("/".join(parts))
    return FileLayout(
        directories=tuple(directories),
        directory=number[split.codes, chunk.codes],
        names=keys,
        table=PurePosixPath("bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv"),
        delimiter=Bioscan5M.table.delimiter,
        source=PurePosixPath(root),
        finds_table=True,
        order=tuple(each.name for each in Bioscan5M.table.columns),
    )


def _bioscan1m(package: str, keys: Strings, labels_of: LabelsOf, texts_of: TextsOf) -> FileLayout:
    from arraystore.sources.archive import column

    root = f"bioscan/images/{package}"
    part = labels_of("chunk_number") or _nothing(len(keys))
    names, files = keys, texts_of("image_file")
    if files is not None:
        # An image without a row is known by its file name, which is its key.
        has_file = np.diff(column(files.offsets, np.uint64)) > 0
        place = np.where(has_file, 0, len(files)) + np.arange(len(keys))
        names = concatenate(files, keys).take(place.astype(np.uint64))
    return FileLayout(
        directories=(*(f"{root}/part{number}" for number in part.categories), root),
        directory=np.where(part.codes < 0, len(part.categories), part.codes).astype(np.int64),
        names=names,
        table=PurePosixPath("BIOSCAN_Insect_Dataset_metadata.tsv"),
        delimiter=Bioscan1M.table.delimiter,
        source=PurePosixPath(root),
        finds_table=True,
        order=tuple(each.name for each in Bioscan1M.table.columns),
    )


def _folder(package: str, keys: Strings, _labels: LabelsOf, _texts: TextsOf) -> FileLayout:
    is_name = package.isprintable() and not set(package) & set("/\\") and not package.startswith(".")
    directory = package if is_name and len(package.encode()) <= 200 else "images"
    return FileLayout(
        directories=(directory,),
        directory=np.zeros(len(keys), np.int64),
        names=keys,
        table=PurePosixPath("metadata.csv"),
        delimiter=published_as("").table.delimiter,
        source=PurePosixPath(directory),
        finds_table=False,
        order=(),
    )


def _nothing(n: int) -> PathLabels:
    return PathLabels(np.full(n, -1, np.int32), ())
