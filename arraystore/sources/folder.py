"""Any folder or zip of JPEGs, called by their file names, with a table of any columns if there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arraystore.errors import SourceError
from arraystore.sources.archive import column, concatenate
from arraystore.sources.base import ImageSet, Skipped
from arraystore.sources.extra_tables import ExtraTable, read_extra_table
from arraystore.sources.image_files import file_names, is_image_file, is_image_path, is_junk_file, skipped_words
from arraystore.sources.inference import infer_columns, names_of
from arraystore.sources.tables import MetadataTable, TableColumn, TableDialect, other_delimiter

if TYPE_CHECKING:
    from arraystore._core import Members, Strings

KEY_COLUMNS = ("key", "processid", "image_file", "file", "filename", "name")

_DELIMITERS: Mapping[str, str] = {".tsv": "\t", ".tab": "\t"}
_SPLIT = "split"


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
            What to call them; the name of the folder, or of the archive without its suffix, if not given, or if it
            is ``"folder"``.

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
            _name_of(members.sources) if package in (None, self.dataset) else package,
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
            A table; its suffix tells whether it is JSON (`.json`, `.jsonld`), or tabs (`.tsv`, `.tab`) or commas
            separate its cells.
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
        bare = TableDialect((TableColumn(_SPLIT, "category"),), delimiter=_DELIMITERS.get(path.suffix.lower(), ","))
        key = key if key is not None else _find_key(path, bare)
        columns, table = infer_columns(path, bare, key=key)
        has_splits = key != _SPLIT and any(each.name == _SPLIT for each in columns)
        splits = {name: (name,) for name in table.categories(_SPLIT)} if has_splits else {}
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

    def find_extra_tables(self, table: Path) -> Sequence[Path]:  # noqa: ARG002 (of the protocol)
        """Find no further table.

        Parameters
        ----------
        table : Path
            The metadata table.

        Returns
        -------
        sequence of Path
        """
        return ()

    def extra_table(self, path: Path, *, spill: Path) -> ExtraTable:
        """Read a further table that has the same key column, and find out the kinds of the others.

        Parameters
        ----------
        path : Path
            The table.
        spill : Path
            A file that may be written to.

        Returns
        -------
        ExtraTable

        Raises
        ------
        SourceError
            If it is damaged, or its rows have no key.
        """
        return read_extra_table(path, key=self.key, spill=spill)


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
    header = names_of(path, dialect)
    found = next((name for name in KEY_COLUMNS if name in header), None)
    if found is None:
        raise SourceError(
            f"{path}: no column is called {', '.join(KEY_COLUMNS[:-1])} or {KEY_COLUMNS[-1]}: choose with --key COLUMN "
            f"the one that names the images, of {header[:30]}{other_delimiter(header, dialect)}",
            "no-key-column",
        )
    return found
