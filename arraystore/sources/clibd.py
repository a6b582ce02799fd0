"""The HDF5 files of CLIBD as a source: a record a specimen, its labels, and its groups as columns."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arraystore.errors import SourceError
from arraystore.sources.archive import column
from arraystore.sources.base import ImageSet, Source, check_published_key
from arraystore.sources.clibd_rows import IMAGE, LENGTH, groups_of, id_of, is_clibd, representatives, texts_of
from arraystore.sources.extra_tables import ExtraTable, read_extra_table
from arraystore.sources.hdf5_members import is_hdf5, open_hdf5
from arraystore.sources.tables import MetadataTable, TableColumn, TableDialect, is_json

if TYPE_CHECKING:
    from arraystore._core import Members, Strings

# Columns by the name of their data set; all others, such as features and tokens, are left out.
_NAMES: Mapping[str, TableColumn] = {
    "processid": TableColumn("processid", "string"),
    "sampleid": TableColumn("sampleid", "string"),
    "image_file": TableColumn("image_file", "string"),
    **{name: TableColumn(name, "category") for name in ("order", "family", "genus", "species", "dna_bin")},
    "barcode": TableColumn("dna_barcode", "text"),
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clibd:
    """The files of CLIBD; see `arraystore.sources.base.Source`.

    A record is a specimen, however many groups it is in; each group is a boolean column. The key is the processid where
    the file has it, or where the TSV of BIOSCAN-1M is named, which has it for each sampleid; else the sampleid.
    """

    key: str = "processid"
    table: TableDialect = field(
        default_factory=lambda: TableDialect(tuple(_NAMES.values()), "\t", ("", "not_classified"))
    )
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: Path | None = None

    dataset = "CLIBD"
    field = "image"

    def recognises(self, members: Members) -> bool:
        """Tell whether the sources are files of CLIBD, whatever they are called.

        Parameters
        ----------
        members : Members
            All rows of the sources.

        Returns
        -------
        bool

        Raises
        ------
        SourceError
            If some are and others are not.
        """
        found = [_is_file_of_clibd(Path(source)) for source in members.sources]
        if any(found) and not all(found):
            raise SourceError("the sources hold a file of CLIBD and others: ingest one data set at a time")
        return any(found)

    def for_members(self, members: Members) -> Source:
        """Return this source with the key that the files have.

        Parameters
        ----------
        members : Members
            All rows of the sources.

        Returns
        -------
        Clibd
        """
        keys = set()
        for source in members.sources:
            with open_hdf5(Path(source)) as file:
                keys.add(id_of(Path(source), file))
        if len(keys) > 1:
            raise SourceError("some of the files of CLIBD have processids and others do not: ingest one at a time")
        return replace(self, key=keys.pop())

    def images(self, members: Members, *, package: str | None = None) -> ImageSet:
        """Take the image of each specimen once.

        Parameters
        ----------
        members : Members
            All rows of the sources.
        package : str, optional
            What to call them; the name of the file if not given.

        Returns
        -------
        ImageSet
        """
        _, pictured = representatives(members)
        indices = np.unique(pictured[pictured >= 0])
        if not len(indices):
            raise SourceError(f"no images in {', '.join(members.sources)}", "no-images")
        return ImageSet(members, package or Path(members.sources[0]).stem, indices, {}, (), ())

    def for_table(self, path: Path, *, key: str | None = None) -> Source:
        """Return this source with the processids of a table, by sampleid; nothing else is taken of it.

        Parameters
        ----------
        path : Path
            The TSV of BIOSCAN-1M, or another table with both ids.
        key : str, optional
            Only its own key.

        Returns
        -------
        Clibd
        """
        check_published_key(replace(self, key="processid"), key)
        if self.key == "processid":
            _logger.warning("%s is not needed: the files have the processids themselves", path)
            return self
        return replace(self, key="processid", names=path)

    def image_keys(self, images: ImageSet, table: MetadataTable | None) -> Strings:
        """Return the key of each image, which the table has for the id in the file.

        Parameters
        ----------
        images : ImageSet
            The images.
        table : MetadataTable or None
            As `write_table` made it.

        Returns
        -------
        Strings
        """
        return images.stems if table is None else self._keys_of(images.stems, table)

    def find_table(self, paths: Sequence[Path]) -> Path | None:  # noqa: ARG002 (of the protocol)
        """Find no table: the files hold their own.

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
            The table.

        Returns
        -------
        sequence of Path
        """
        return ()

    def extra_table(self, path: Path, *, spill: Path) -> ExtraTable:
        """Read a further table that has the same key.

        Parameters
        ----------
        path : Path
            The table.
        spill : Path
            A file that may be written to.

        Returns
        -------
        ExtraTable
        """
        return read_extra_table(path, key=self.key, missing=self.table.missing, spill=spill)

    def write_table(self, images: ImageSet, directory: Path) -> Path:
        """Write the labels of all specimens as a TSV: a row for each, of the first group that it is in.

        Parameters
        ----------
        images : ImageSet
            The images.
        directory : Path
            Where to.

        Returns
        -------
        Path
        """
        members = images.members
        first, _ = representatives(members)
        is_first = first == np.arange(len(first))
        path = directory / "clibd.tsv"
        keys = None if self.names is None else _mapped(self.names, members.stems)
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, delimiter="\t", lineterminator="\n")
            start = 0
            names: list[str] = []
            for source in members.sources:
                with open_hdf5(Path(source)) as file:
                    groups = groups_of(file)
                    if not names:
                        names = [name for name in _NAMES if all(name in file[group] for group in groups)]
                        header = [_NAMES[name].name for name in names]
                        writer.writerow(header if keys is None else ["processid", *header])
                    _say_what_is_left_out(source, file, groups)
                    for group in groups:
                        for begin, cells in _rows(Path(source), file[group], names):
                            for row, values in enumerate(cells, start + begin):
                                if is_first[row]:
                                    writer.writerow(values if keys is None else [keys[row], *values])
                        start += len(file[group][LENGTH])
        return path

    def own_extras(self, images: ImageSet, table: MetadataTable) -> Sequence[ExtraTable]:
        """Return the groups, as flags of each specimen.

        Parameters
        ----------
        images : ImageSet
            The images.
        table : MetadataTable
            As `write_table` made it.

        Returns
        -------
        sequence of ExtraTable
        """
        members = images.members
        first, _ = representatives(members)
        rows = np.unique(first)
        directory = column(members.directory, np.uint32)
        flags = {}
        for code, name in enumerate(members.directories):
            is_in = np.zeros(len(first), bool)
            is_in[first[directory == code]] = True
            flags[name] = is_in[rows]
        keys = self._keys_of(members.stems.take(rows.astype(np.uint64)), table)
        return (ExtraTable(table.path, self.key, keys, flags=flags),)

    def _keys_of(self, ids: Strings, table: MetadataTable) -> Strings:
        from arraystore import _core

        if self.names is None:
            return ids
        row = column(_core.match_keys(table.table.strings("sampleid"), ids), np.int64)
        return table.table.strings(self.key).take(row.astype(np.uint64))


def _is_file_of_clibd(path: Path) -> bool:
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        return is_clibd(file)


def _rows(path: Path, group: Any, names: Sequence[str]) -> Iterator[tuple[int, Iterator[tuple[str, ...]]]]:
    """Yield the first row and the cells of a part of a group at a time."""
    for parts in zip(*(texts_of(path, group[name]) for name in names), strict=True):
        yield parts[0][0], zip(*(texts for _, texts in parts), strict=True)


def _mapped(path: Path, ids: Strings) -> list[str]:
    """Return the processid that a table has for each sampleid, and the sampleid itself where it has none."""
    from arraystore import _core

    wanted = [("sampleid", "string"), ("processid", "string")]
    if is_json(path):
        table = _core.read_json_table(str(path), wanted)
    else:
        table = _core.read_table(str(path), wanted, delimiter="," if path.suffix.lower() == ".csv" else "\t")
    row = column(_core.match_keys(table.strings("sampleid"), ids), np.int64)
    unknown = int((row < 0).sum())
    if unknown == len(ids):
        raise SourceError(f"{path}: it has none of the sample ids, such as {ids[0]!r}", "no-key-matches")
    if unknown:
        _logger.warning("%s: %d rows have no processid there, and are known by their sampleid", path, unknown)
    processids = table.strings("processid")
    return [processids[at] if at >= 0 else ids[index] for index, at in enumerate(row.tolist())]


def _say_what_is_left_out(source: str, file: Any, groups: Sequence[str]) -> None:
    known = {*_NAMES, IMAGE, LENGTH}
    names = sorted({name for group in groups for name in file[group]} - known)
    if names:
        _logger.warning("%s: %d data sets a group are left out: %s", source, len(names), ", ".join(names))
