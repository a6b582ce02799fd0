"""BIOSCAN-5M: `bioscan5m/images/{package}/{split}/[{chunk}/]{processid}.jpg`, in folders and zips."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from arraystore.errors import SourceError
from arraystore.sources.archive import column
from arraystore.sources.base import ImageSet, PathLabels, Skipped, Source, check_published_key
from arraystore.sources.extra_tables import ExtraTable, find_beside, read_extra_table
from arraystore.sources.image_files import is_image_file, is_image_path, is_junk_file, skipped_words
from arraystore.sources.tables import MetadataTable, TableColumn, TableDialect, find_upwards

if TYPE_CHECKING:
    from arraystore._core import Members, Strings

PACKAGES = ("original_full", "cropped", "original_256", "cropped_256")
PACKAGE_SPELLINGS: Mapping[str, str] = {**{name: name for name in PACKAGES}, "cropped_full": "cropped"}

SPLITS = ("pretrain", "train", "val", "test", "key_unseen", "val_unseen", "test_unseen", "other_heldout")
META_SPLITS: Mapping[str, tuple[str, ...]] = {
    "seen": ("train", "val", "test"),
    "unseen": ("key_unseen", "val_unseen", "test_unseen"),
    "validation": ("val",),
}

COLUMNS: tuple[TableColumn, ...] = (
    TableColumn("processid", "string"),
    TableColumn("sampleid", "string"),
    *(
        TableColumn(name, "category")
        for name in ("taxon", "phylum", "class", "order", "family", "subfamily", "genus", "species", "dna_bin")
    ),
    TableColumn("dna_barcode", "text"),
    TableColumn("country", "category"),
    TableColumn("province_state", "category"),
    TableColumn("coord-lat", "float"),
    TableColumn("coord-lon", "float"),
    TableColumn("image_measurement_value", "integer"),
    TableColumn("area_fraction", "float"),
    TableColumn("scale_factor", "float"),
    TableColumn("inferred_ranks", "integer", "uint8"),
    TableColumn("split", "category"),
    TableColumn("index_bioscan_1M_insect", "integer"),
    # Text, so that chunk "00" is not the number 0.
    TableColumn("chunk", "category"),
)

# The columns of the bounding boxes, besides those that the metadata has too; pixels of the image before it was cropped.
BOX_COLUMNS: tuple[TableColumn, ...] = tuple(
    TableColumn(name, "integer", "int32") for name in ("width_original", "height_original", "x0", "y0", "x1", "y1")
)

# Characters of the MD5 of the processid that name the chunk directory; the other splits have none.
CHUNK_LENGTHS: Mapping[str, int] = {"pretrain": 2, "train": 1, "other_heldout": 1}
CHUNK = re.compile(r"[0-9a-f]{1,2}\Z")
_PROCESSID = re.compile(r"[A-Z]+[0-9]+-[0-9]{2}\Z")
_TABLES = (
    Path("metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv"),
    Path("metadata/jsonld/BIOSCAN_5M_Insect_Dataset_metadata.jsonld"),
)
_BOXES = "BIOSCAN_5M_Insect_bbox.tsv"
_CHECKED_CHUNKS = 1_000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """What a directory name tells of the images in it; None where it does not tell."""

    package: str | None
    split: str | None
    chunk: str | None


def place_of(directory: str) -> Place:
    """Read package, split and chunk from a directory.

    Parameters
    ----------
    directory : str
        With `/` between its parts and any prefix, such as `bioscan5m/images/cropped_256/train/0`.

    Returns
    -------
    Place

    Examples
    --------
    >>> place_of("/data/bioscan5m/images/cropped_256/train/0")
    Place(package='cropped_256', split='train', chunk='0')
    """
    parts = directory.split("/")
    chunk = parts.pop() if len(parts) > 1 and parts[-2] in CHUNK_LENGTHS and CHUNK.match(parts[-1]) else None
    split = parts.pop() if parts[-1] in SPLITS else None
    # The last one counts: the names in front of it are the user's, who may have called a disk `cropped`.
    package = next((PACKAGE_SPELLINGS[part] for part in reversed(parts) if part in PACKAGE_SPELLINGS), None)
    return Place(package, split, chunk)


def expected_chunk(processid: str, split: str) -> str | None:
    """Return the chunk directory that the publisher's rule gives, or None if the split has none.

    Examples
    --------
    >>> expected_chunk("AACTA1040-20", "pretrain")
    '00'
    """
    length = CHUNK_LENGTHS.get(split)
    digest = hashlib.md5(processid.encode(), usedforsecurity=False).hexdigest()
    return None if length is None else digest[:length]


class Bioscan5M:
    """The layout of BIOSCAN-5M; see `arraystore.sources.base.Source`."""

    dataset = "BIOSCAN-5M"
    key = "processid"
    field = "image"
    # Exported tables have those of the bounding boxes too.
    table = TableDialect((*COLUMNS, *BOX_COLUMNS))
    splits: Mapping[str, tuple[str, ...]] = {**{name: (name,) for name in SPLITS}, **META_SPLITS}

    def recognises(self, members: Members) -> bool:
        """Tell whether any directory is named as the publisher names them.

        A split such as `train` or `val` is also a name for folders of anybody; without a package above it, the files
        must be called after processids.

        Parameters
        ----------
        members : Members
            All files of the sources.

        Returns
        -------
        bool
        """
        places = [place_of(name) for name in members.directories]
        if any(map(_names_package, members.directories, places)):
            return True
        has_split = np.array([place.split is not None for place in places], bool)
        images = np.flatnonzero(is_image_file(members) & ~is_junk_file(members))
        in_split = images[has_split[column(members.directory, np.uint32)[images]]] if len(images) else images
        stems = members.stems.take(in_split[:_CHECKED_CHUNKS].astype(np.uint64)).to_list()
        return any(_PROCESSID.match(stem) for stem in stems)

    def images(self, members: Members, *, package: str | None = None) -> ImageSet:
        """Tell the images of one package among all files.

        Parameters
        ----------
        members : Members
            All files of the sources.
        package : str, optional
            The package to take. Needed if the paths name several, or none.

        Returns
        -------
        ImageSet

        Raises
        ------
        SourceError
            If there is no image, or if it is not clear which package is meant.
        """
        wanted = None if package is None else _package_named(package)
        directory = column(members.directory, np.uint32)
        is_junk, is_image = is_junk_file(members), is_image_file(members)
        candidates = np.flatnonzero(is_image & ~is_junk)
        places = [place_of(name) for name in members.directories]
        found = _count_packages(places, directory[candidates])
        chosen = wanted or _only_package(found, members)
        # Asked for by name, a package may lie in directories that don't name it.
        fits = np.array([place.package == chosen or (bool(wanted) and place.package is None) for place in places], bool)
        is_chosen = fits[directory[candidates]] if len(candidates) else np.zeros(0, bool)
        indices = candidates[is_chosen]
        if not len(indices):
            raise SourceError(_nothing_found(members, chosen, found), "no-images")
        images = ImageSet(
            members,
            chosen,
            indices,
            {
                "split": _labels([place.split for place in places], directory[indices]),
                "chunk": _labels([place.chunk for place in places], directory[indices]),
            },
            tuple(each for each in members.skipped if is_image_path(each[0])),
            (
                Skipped("hidden", np.flatnonzero(is_junk)),
                Skipped("not-an-image", np.flatnonzero(~is_image & ~is_junk)),
                Skipped("other-package", candidates[~is_chosen], is_listed=False),
            ),
        )
        _check_chunks(images)
        return images

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
        Bioscan5M

        Raises
        ------
        InvalidRequestError
            If another key is asked for.
        """
        check_published_key(self, key)
        return self

    def image_keys(self, images: ImageSet, table: MetadataTable | None) -> Strings:  # noqa: ARG002 (of the protocol)
        """Return the key of each image: its file is called after the processid.

        Parameters
        ----------
        images : ImageSet
            The images of the package.
        table : MetadataTable or None
            Not needed here.

        Returns
        -------
        Strings
        """
        return images.stems

    def find_table(self, paths: Sequence[Path]) -> Path | None:
        """Look for the metadata CSV, or else the JSON-LD, in its published place, from each source upwards.

        Parameters
        ----------
        paths : sequence of Path
            The sources.

        Returns
        -------
        Path or None
        """
        for table in _TABLES:
            if found := find_upwards(paths, [table, Path("bioscan5m", table)]):
                return found
        return None

    def find_extra_tables(self, table: Path) -> Sequence[Path]:
        """Look for the bounding boxes, in the folder of the metadata or up to two above it.

        Parameters
        ----------
        table : Path
            The metadata table.

        Returns
        -------
        sequence of Path
        """
        return find_beside(table, _BOXES)

    def extra_table(self, path: Path, *, spill: Path) -> ExtraTable:
        """Read a further table, such as the bounding boxes, whose key is the processid.

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
        return read_extra_table(path, key=self.key, columns=self.table.columns, missing=self.table.missing, spill=spill)


def _names_package(directory: str, place: Place) -> bool:
    # `cropped` alone is also a word of everybody.
    if place.package is None or place.split is not None or "bioscan" in directory.lower():
        return place.package is not None
    return any(part in PACKAGE_SPELLINGS and part != "cropped" for part in directory.split("/"))


def _package_named(package: str) -> str:
    if package not in PACKAGE_SPELLINGS:
        known = ", ".join(PACKAGES)
        raise SourceError(f"package {package!r} is unknown: expected one of {known}, or folder", "unknown-package")
    return PACKAGE_SPELLINGS[package]


def _count_packages(places: Sequence[Place], directory: npt.NDArray[np.uint32]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for place, count in zip(places, np.bincount(directory, minlength=len(places)).tolist(), strict=True):
        if place.package and count:
            counts[place.package] = counts.get(place.package, 0) + count
    return counts


def _only_package(found: Mapping[str, int], members: Members) -> str:
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise SourceError(_nothing_found(members, None, found), "no-images")
    listed = ", ".join(f"{name} ({count:,} images)" for name, count in sorted(found.items()))
    raise SourceError(f"the sources hold several packages: {listed}; choose one with --package", "several-packages")


def _nothing_found(members: Members, package: str | None, found: Mapping[str, int]) -> str:
    sources = ", ".join(members.sources)
    problem = f"no images of {package or 'BIOSCAN-5M'} in {sources}: {len(members):,} files were looked at"
    if found:
        return problem + "; there are images of " + ", ".join(sorted(found))
    if any(path.lower().endswith(".zip") for path, _ in members.skipped):
        return problem + "; there are zip archives in the folder: name them instead of it"
    if package is None and is_image_file(members).any():
        expected = "images/{package}/{split}/[{chunk}/]"
        hint = "say with --package what the images are, folder if they are of no publisher"
        return f"{problem}; no directory is like {expected}, so {hint}"
    return problem + skipped_words(members)


def _labels(names: Sequence[str | None], directory: npt.NDArray[np.uint32]) -> PathLabels:
    categories = tuple(sorted({name for name in names if name is not None}))
    code = {name: index for index, name in enumerate(categories)}
    of_directory = np.array([-1 if name is None else code[name] for name in names], np.int32)
    return PathLabels(of_directory[directory], categories)


def _check_chunks(images: ImageSet) -> None:
    # Of a sample, since the rule is no authority: readers trust the table and the paths.
    split, chunk = images.labels["split"], images.labels["chunk"]
    sample = np.unique(np.linspace(0, len(images) - 1, min(len(images), _CHECKED_CHUNKS)).astype(np.int64))
    stems = images.members.stems
    strange = []
    for image in sample[(split.codes[sample] >= 0) & (chunk.codes[sample] >= 0)].tolist():
        processid = stems[int(images.indices[image])]
        if expected_chunk(processid, split.categories[split.codes[image]]) != chunk.categories[chunk.codes[image]]:
            strange.append(image)
    if strange:
        _logger.warning(
            "%d of %d sampled images lie in another chunk than the MD5 of their processid tells, such as %s",
            len(strange),
            len(sample),
            images.path(strange[0]),
        )
