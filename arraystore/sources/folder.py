"""Any folder or zip of JPEGs, called by their file names, with a table of any columns if there is one."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arraystore.errors import SourceError
from arraystore.sources.archive import column, concatenate
from arraystore.sources.base import ImageSet, Skipped
from arraystore.sources.image_files import file_names, is_image_file, is_image_path, is_junk_file, skipped_words
from arraystore.sources.tables import (
    ColumnKind,
    MetadataTable,
    TableColumn,
    TableDialect,
    columns_of,
    other_delimiter,
    read_header,
)

if TYPE_CHECKING:
    from arraystore._core import Members, Strings

KEY_COLUMNS = ("key", "processid", "image_file", "file", "filename", "name")

_DELIMITERS: Mapping[str, str] = {".tsv": "\t", ".tab": "\t"}
_SPLIT = "split"
# Numbers as programs write them. One with a leading zero is rather a name, and would lose the zero.
_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z")
# Up to 15 digits before the point: what has more is a name, and a float would change it.
_FLOAT = re.compile(r"-?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\Z")
# With fewer values than this a column is kept as categories, though they may all be distinct.
_MANY_VALUES = 256
_MOSTLY = 0.9


@dataclasses.dataclass(frozen=True, slots=True)
class Folder:
    """A folder of images of no known publisher; see `arraystore.sources.base.Source`."""

    key: str = "key"
    table: TableDialect = dataclasses.field(default_factory=lambda: TableDialect(()))
    splits: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    dataset = "folder"
    field = "image"

    def recognises(self, members: Members) -> bool:
        """Tell whether there is any image.

        Parameters
        ----------
        members : Members
            All files of the sources.

        Returns
        -------
        bool
        """
        return bool((is_image_file(members) & ~is_junk_file(members)).any())

    def images(self, members: Members, *, package: str | None = None) -> ImageSet:
        """Take every image of the sources.

        Parameters
        ----------
        members : Members
            All files of the sources.
        package : str, optional
            What to call them; the name of the folder, or of the archive without its suffix, if not given.

        Returns
        -------
        ImageSet

        Raises
        ------
        SourceError
            If there is no image.
        """
        is_junk, is_image = is_junk_file(members), is_image_file(members)
        indices = np.flatnonzero(is_image & ~is_junk)
        unusable = tuple(each for each in members.skipped if is_image_path(each[0]))
        if not len(indices):
            raise SourceError(_nothing_found(members), "no-images")
        return ImageSet(
            members,
            package or _name_of(members.sources),
            indices,
            {},
            unusable,
            (
                Skipped("hidden", np.flatnonzero(is_junk)),
                Skipped("not-an-image", np.flatnonzero(~is_image & ~is_junk)),
            ),
        )

    def for_table(self, path: Path, *, key: str | None = None) -> Folder:
        """Find out the key, the kinds of columns and the splits of a table, which is read once for that.

        A column is one of integers or floats if all its cells are; else one of categories, or of texts if nearly all of
        many cells are distinct.

        Parameters
        ----------
        path : Path
            A table; its suffix tells whether tabs (`.tsv`, `.tab`) or commas separate the cells.
        key : str, optional
            The column that names the images; the first of `KEY_COLUMNS` that is there, if not given.

        Returns
        -------
        Folder

        Raises
        ------
        SourceError
            If there is no such column, or the table is damaged.
        """
        from arraystore import _core

        bare = TableDialect((), delimiter=_DELIMITERS.get(path.suffix.lower(), ","))
        key = key if key is not None else _find_key(path, bare)
        names = [each.name for each in columns_of(path, bare, key=key) if each.name != key]
        table = _core.read_table(
            str(path), [(name, "category") for name in names], delimiter=bare.delimiter, missing=bare.missing
        )
        kinds = {name: "category" if name == _SPLIT else _kind_of(table.categories(name), len(table)) for name in names}
        columns = (TableColumn(key, "string"), *(TableColumn(name, kind) for name, kind in kinds.items()))
        splits = {name: (name,) for name in table.categories(_SPLIT)} if _SPLIT in names else {}
        return Folder(key=key, table=TableDialect(columns, bare.delimiter, bare.missing), splits=splits)

    def image_keys(self, images: ImageSet, table: MetadataTable | None) -> Strings:
        """Return the key of each image: the name of its file, with its suffix if the table writes it so.

        Parameters
        ----------
        images : ImageSet
            The images.
        table : MetadataTable or None
            The table.

        Returns
        -------
        Strings
        """
        from arraystore import _core

        stems = images.stems
        if table is None:
            return stems
        names, keys = file_names(images), table.table.strings(self.key)
        is_named_whole = column(_core.match_keys(keys, names), np.int64) >= 0
        if not is_named_whole.any():
            return stems
        place = np.arange(len(stems)) + np.where(is_named_whole, len(stems), 0)
        return concatenate(stems, names).take(place.astype(np.uint64))

    def find_table(self, paths: Sequence[Path]) -> Path | None:  # noqa: ARG002 (of the protocol)
        """Find no table: a folder has no published place for one.

        Parameters
        ----------
        paths : sequence of Path
            The sources.

        Returns
        -------
        None
        """
        return None


def _name_of(sources: Sequence[str]) -> str:
    first = Path(sources[0])
    name = first.stem if first.suffix.lower() in (".zip", ".hdf5", ".h5") else first.name
    return name if len(sources) == 1 else f"{name} and {len(sources) - 1} more"


def _nothing_found(members: Members) -> str:
    problem = f"no images in {', '.join(members.sources)}: {len(members):,} files were looked at, none is a .jpg"
    if any(path.lower().endswith(".zip") for path, _ in members.skipped):
        return problem + "; there are zip archives in the folder: name them instead of it"
    return problem + skipped_words(members)


def _find_key(path: Path, dialect: TableDialect) -> str:
    header = read_header(path, dialect.delimiter)
    found = next((name for name in KEY_COLUMNS if name in header), None)
    if found is None:
        raise SourceError(
            f"{path}: no column is called {', '.join(KEY_COLUMNS[:-1])} or {KEY_COLUMNS[-1]}: choose with --key COLUMN "
            f"the one that names the images, of {header[:30]}{other_delimiter(header, dialect)}",
            "no-key-column",
        )
    return found


def _kind_of(values: Sequence[str], cells: int) -> ColumnKind:
    if values and all(map(_INTEGER.match, values)):
        return "integer"
    if values and all(map(_is_float, values)):
        return "float"
    return "string" if len(values) >= _MANY_VALUES and len(values) > _MOSTLY * cells else "category"


def _is_float(value: str) -> bool:
    return _FLOAT.match(value) is not None and math.isfinite(float(value))
