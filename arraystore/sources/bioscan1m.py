"""BIOSCAN-1M: `{package}/part{n}/{image_file}` below any prefix, or HDF5 files; its TSV tells whose images they are."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from arraystore.errors import DuplicateKeyError, SourceError
from arraystore.sources import quality_list
from arraystore.sources.archive import column, concatenate
from arraystore.sources.base import ImageSet, PathLabels, Skipped, Source, check_published_key
from arraystore.sources.extra_tables import ExtraTable, find_beside, read_extra_table
from arraystore.sources.image_files import (
    file_names,
    has_prefix,
    is_image_file,
    is_image_path,
    is_junk_file,
    skipped_words,
    without_prefix,
)
from arraystore.sources.tables import MetadataTable, TableColumn, TableDialect, find_upwards

if TYPE_CHECKING:
    from arraystore._core import Members, Strings

PACKAGES = ("original_full", "cropped_full", "original_256", "cropped_256")
PACKAGE_SPELLINGS: Mapping[str, str] = {
    **{name: name for name in PACKAGES},
    "cropped": "cropped_full",
    # The publisher's folders of archives.
    "original_images": "original_full",
    "cropped_images": "cropped_full",
}

EXPERIMENTS = tuple(
    f"{size}_{group}" for group in ("diptera_family", "insect_order") for size in ("large", "medium", "small")
)
COLUMNS: tuple[TableColumn, ...] = (
    TableColumn("sampleid", "string"),
    TableColumn("processid", "string"),
    *(
        TableColumn(name, "category")
        for name in (
            *("uri", "name", "phylum", "class", "order", "family", "subfamily", "tribe", "genus", "species"),
            "subspecies",
        )
    ),
    TableColumn("nucraw", "text"),
    TableColumn("image_file", "string"),
    TableColumn("chunk_number", "integer", "uint8"),
    *(TableColumn(name, "category") for name in EXPERIMENTS),
    *(TableColumn(f"copyright_{name}", "category") for name in ("license", "holder", "institution", "contact")),
    TableColumn("photographer", "category"),
    TableColumn("author", "category"),
)

_PART = re.compile(r"part([0-9]{1,3})\Z")
# A package, alone or in the name of its archive: `bioscan_images_cropped_full_part7.zip`, `BIOSCAN_1M_cropped_256`.
_ARCHIVE = re.compile(
    r"(?P<prefix>bioscan_images_|bioscan_1m_)?(?P<package>" + "|".join(PACKAGE_SPELLINGS) + r")"
    r"(?:_part(?P<part>[0-9]{1,3}))?(?:\.(?:zip|hdf5|h5))?\Z",
    re.IGNORECASE,
)
# `{number}.jpg` or `{sampleid}.jpg`, a plate and a well.
_STEM = re.compile(r"(?:[1-9][0-9]{5,8}|[A-Z]+[0-9]+-[A-H][0-9]{2})\Z")
_SPLITS_OF_5M = frozenset(
    ("pretrain", "train", "val", "test", "key_unseen", "val_unseen", "test_unseen", "other_heldout")
)
_TABLES = ("BIOSCAN_Insect_Dataset_metadata", "BIOSCAN_1M_Insect_Dataset_metadata")
_LOOKED_AT = 1_000
# The group of the publisher's own HDF5 files.
_GROUP = "bioscan_dataset"
# A crop that stands in an HDF5 file beside the image that it was cut from.
_CROP = "CROPPED_"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """What a directory tells of the images in it.

    Parameters
    ----------
    package : str or None
        The package, if it is named.
    part : str or None
        Number of the part, if it is named.
    is_named : bool
        Whether the directory is one of BIOSCAN-1M by its names alone.
    is_foreign : bool
        Whether it is one of BIOSCAN-5M.
    """

    package: str | None
    part: str | None
    is_named: bool
    is_foreign: bool


def place_of(directory: str) -> Place:
    """Read package and part from a directory.

    Parameters
    ----------
    directory : str
        With `/` between its parts and any prefix, such as `bioscan/images/cropped_256/part18`.

    Returns
    -------
    Place

    Examples
    --------
    >>> place_of("bioscan/images/cropped_256/part18")
    Place(package='cropped_256', part='18', is_named=True, is_foreign=False)
    """
    names = directory.split("/")
    of_part = _PART.match(names[-1])
    # The last one counts: the names in front of it are the user's.
    archive = next((found for found in map(_ARCHIVE.match, reversed(names)) if found), None)
    package = PACKAGE_SPELLINGS[archive["package"].lower()] if archive else None
    part = of_part[1] if of_part else archive["part"] if archive else None
    is_foreign = _is_of_5m(names)
    has_marker = "bioscan1m" in names or names[-1] == _GROUP or ("bioscan", "images") in itertools.pairwise(names)
    is_named = has_marker or bool(archive and (archive["prefix"] or of_part))
    return Place(package, None if part is None else str(int(part)), is_named and not is_foreign, is_foreign)


def _is_of_5m(names: Sequence[str]) -> bool:
    marker = next((name for name in reversed(names) if name in ("bioscan1m", "bioscan5m")), None)
    if marker is not None:
        return marker == "bioscan5m" and not _PART.match(names[-1])
    # A split, or a chunk in it.
    return names[-1] in _SPLITS_OF_5M or (len(names) > 1 and names[-2] in _SPLITS_OF_5M and len(names[-1]) <= 2)


class Bioscan1M:
    """The layout of BIOSCAN-1M; see `arraystore.sources.base.Source`.

    The six experiments are columns of their own names, not splits: a row is in each of them.
    """

    dataset = "BIOSCAN-1M"
    key = "processid"
    field = "image"
    # The last column is in no published table, but in those that are exported.
    table = TableDialect(
        (*COLUMNS, TableColumn(quality_list.COLUMN, "boolean")),
        delimiter="\t",
        missing=("", "not_classified", "no_data"),
    )
    splits: Mapping[str, tuple[str, ...]] = {}

    def recognises(self, members: Members) -> bool:
        """Tell whether any directory with images is named as the publisher names them.

        `part1` alone is also a name for folders of anybody; then the files must be called as the publisher calls them.

        Parameters
        ----------
        members : Members
            All files of the sources.

        Returns
        -------
        bool
        """
        places = [place_of(name) for name in members.directories]
        images = np.flatnonzero(is_image_file(members) & ~is_junk_file(members))
        if not len(images):
            return False
        directory = column(members.directory, np.uint32)[images]
        if np.array([place.is_named for place in places], bool)[directory].any():
            return True
        is_told = _package_of(members) is not None
        may_be = [not place.is_foreign and bool(place.part or place.package or is_told) for place in places]
        few = images[np.array(may_be, bool)[directory]][:_LOOKED_AT]
        return any(map(_STEM.match, members.stems.take(few.astype(np.uint64)).to_list()))

    def images(self, members: Members, *, package: str | None = None) -> ImageSet:
        """Tell the images of one package among all files.

        Parameters
        ----------
        members : Members
            All files of the sources.
        package : str, optional
            The package to take. Needed if neither paths nor archives name one, or if they name several.

        Returns
        -------
        ImageSet

        Raises
        ------
        SourceError
            If there is no image, if it is not clear which package is meant, or if there are images of BIOSCAN-5M too.
        """
        wanted = None if package is None else _package_named(package)
        places = [place_of(name) for name in members.directories]
        directory = column(members.directory, np.uint32)
        is_junk, is_image = is_junk_file(members), is_image_file(members)
        candidates = np.flatnonzero(is_image & ~is_junk)
        _refuse_5m(members, places, candidates)
        found = _count_packages(places, directory[candidates])
        of_archives = _package_of(members)
        chosen = wanted or _only_package(found, of_archives, members)
        # Asked for by name, or told by the archives, a package may lie in directories that don't name it.
        is_told = chosen in (wanted, of_archives)
        fits = np.array([place.package == chosen or (is_told and place.package is None) for place in places], bool)
        is_chosen = fits[directory[candidates]] if len(candidates) else np.zeros(0, bool)
        is_chosen &= _is_wanted_crop(members, candidates, chosen)
        indices = candidates[is_chosen]
        if not len(indices):
            raise SourceError(_nothing_found(members, chosen, found), "no-images")
        return ImageSet(
            members,
            chosen,
            indices,
            {"chunk_number": _parts(places, directory[indices])},
            tuple(each for each in members.skipped if is_image_path(each[0])),
            (
                Skipped("hidden", np.flatnonzero(is_junk)),
                Skipped("not-an-image", np.flatnonzero(~is_image & ~is_junk)),
                Skipped("other-package", candidates[~is_chosen], is_listed=False),
            ),
        )

    def for_table(self, path: Path, *, key: str | None = None) -> Source:  # noqa: ARG002 (of the protocol)
        """Return this source: its table is published with one key, and columns of known kinds.

        Parameters
        ----------
        path : Path
            The table.
        key : str, optional
            Only its own key.

        Returns
        -------
        Bioscan1M

        Raises
        ------
        InvalidRequestError
            If another key is asked for.
        """
        check_published_key(self, key)
        return self

    def image_keys(self, images: ImageSet, table: MetadataTable | None) -> Strings:
        """Return the processid that the table has for the name of each file; without a row, the name without suffix.

        Parameters
        ----------
        images : ImageSet
            The images of the package.
        table : MetadataTable or None
            The table.

        Returns
        -------
        Strings

        Raises
        ------
        SourceError
            If the table has no column `image_file`.
        DuplicateKeyError
            If two rows name the same file.
        """
        from arraystore import _core

        stems, files_named = images.stems, file_names(images)
        if len(images) and has_prefix(stems, _CROP).all():
            stems, files_named = without_prefix(stems, _CROP), without_prefix(files_named, _CROP)
        if table is None:
            _logger.warning("without the metadata TSV, images are known by their file names, not by their processid")
            return stems
        if not table.has("image_file"):
            raise SourceError(
                f"{table.path}: no column 'image_file', which tells whose image a file is", "no-key-column"
            )
        files, processids = table.table.strings("image_file"), table.table.strings(self.key)
        _check_files(table, files)
        row = column(_core.match_keys(files, files_named), np.int64)
        place = np.where(row >= 0, row, len(processids) + np.arange(len(stems)))
        return concatenate(processids, stems).take(place.astype(np.uint64))

    def find_table(self, paths: Sequence[Path]) -> Path | None:
        """Look for the metadata TSV, or else the JSON-LD, in its published places, from each source upwards.

        Parameters
        ----------
        paths : sequence of Path
            The sources.

        Returns
        -------
        Path or None
        """
        for suffix in (".tsv", ".jsonld"):
            names = [Path(place, name + suffix) for place in ("", "bioscan1m") for name in _TABLES]
            if found := find_upwards(paths, names):
                return found
        return None

    def find_extra_tables(self, table: Path) -> Sequence[Path]:
        """Look for the list of poor images, in the folder of the metadata or up to two above it.

        Parameters
        ----------
        table : Path
            The metadata table.

        Returns
        -------
        sequence of Path
        """
        return find_beside(table, quality_list.NAME)

    def extra_table(self, path: Path, *, spill: Path) -> ExtraTable:
        """Read the list of poor images, or a table whose key is the processid.

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
        if path.suffix.lower() == ".xlsx":
            return quality_list.read_quality_list(path)
        columns, missing = self.table.columns, self.table.missing
        return read_extra_table(path, key=self.key, columns=columns, missing=missing, spill=spill)


def _package_of(members: Members) -> str | None:
    """Return the package that the names of all archives tell, which count where the paths in them tell none."""
    found = [_ARCHIVE.match(Path(source).name) for source in members.sources]
    names = {PACKAGE_SPELLINGS[each["package"].lower()] if each else None for each in found}
    return names.pop() if len(names) == 1 else None


def _is_wanted_crop(members: Members, candidates: npt.NDArray[np.int64], package: str) -> npt.NDArray[np.bool_]:
    """Tell which images are those of the package where crops stand beside what they were cut from."""
    is_crop = has_prefix(members.stems.take(candidates.astype(np.uint64)), _CROP)
    return is_crop if package.startswith("cropped") and is_crop.any() else ~is_crop


def _package_named(package: str) -> str:
    if package not in PACKAGE_SPELLINGS:
        known = ", ".join(PACKAGES)
        raise SourceError(f"package {package!r} is unknown: expected one of {known}, or folder", "unknown-package")
    return PACKAGE_SPELLINGS[package]


def _refuse_5m(members: Members, places: Sequence[Place], candidates: npt.NDArray[np.int64]) -> None:
    is_foreign = np.array([place.is_foreign for place in places], bool)
    foreign = (
        candidates[is_foreign[column(members.directory, np.uint32)[candidates]]] if len(candidates) else candidates
    )
    if len(foreign):
        raise SourceError(
            f"the sources hold images of BIOSCAN-1M and of BIOSCAN-5M, such as {members.path(int(foreign[0]))}: "
            "ingest one data set at a time",
            "several-packages",
        )


def _count_packages(places: Sequence[Place], directory: npt.NDArray[np.uint32]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for place, count in zip(places, np.bincount(directory, minlength=len(places)).tolist(), strict=True):
        if place.package and count:
            counts[place.package] = counts.get(place.package, 0) + count
    return counts


def _only_package(found: Mapping[str, int], of_archives: str | None, members: Members) -> str:
    if len(found) > 1:
        listed = ", ".join(f"{name} ({count:,} images)" for name, count in sorted(found.items()))
        raise SourceError(f"the sources hold several packages: {listed}; choose one with --package", "several-packages")
    chosen = next(iter(found), of_archives)
    if chosen is None:
        raise SourceError(_nothing_found(members, None, found), "no-images")
    return chosen


def _nothing_found(members: Members, package: str | None, found: Mapping[str, int]) -> str:
    problem = (
        f"no images of {package or 'BIOSCAN-1M'} in {', '.join(members.sources)}: {len(members):,} files were looked at"
    )
    if found:
        return problem + "; there are images of " + ", ".join(sorted(found))
    if package is None and is_image_file(members).any():
        hint = "say with --package what the images are, folder if they are of no publisher"
        return f"{problem}; no directory is like {{package}}/part1, so {hint}"
    return problem + skipped_words(members)


def _parts(places: Sequence[Place], directory: npt.NDArray[np.uint32]) -> PathLabels:
    parts = sorted({place.part for place in places if place.part is not None}, key=int)
    code = {part: index for index, part in enumerate(parts)}
    of_directory = np.array([-1 if place.part is None else code[place.part] for place in places], np.int32)
    return PathLabels(of_directory[directory], tuple(parts))


def _check_files(table: MetadataTable, files: Strings) -> None:
    from arraystore import _core

    pairs = column(_core.index_keys(files)[2], np.uint32).astype(np.int64).reshape(-1, 2)
    is_named = np.diff(column(files.offsets, np.uint64)) > 0
    # Rows without an image may be many.
    pairs = pairs[is_named[pairs[:, 0]]]
    if len(pairs):
        first, other = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))][0].tolist()
        raise DuplicateKeyError(
            f"{table.path}: image_file {files[first]!r} stands on {table.place(first)} and on {table.place(other)}: "
            "one file cannot be the image of two rows; remove one"
        )
