"""Synthetic packages in the layout of their publishers, for the demo and for tests."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from arraystore.testing.hdf5 import Values, write_image_hdf5
from arraystore.testing.jpegs import insect_jpeg
from arraystore.testing.specimens import COLUMNS, SPLIT_SHARES, Specimen, make_specimens

__all__ = ["COLUMNS", "SPLITS", "Bioscan1MPackage", "BioscanPackage", "Form", "make_bioscan1m", "make_bioscan5m"]

Form = Literal["tree", "zip-stored", "zip-deflated", "hdf5"]

SPLITS = tuple(SPLIT_SHARES)

# Which part of a package each of the by-split archives holds; all others are "eval".
_ARCHIVE_OF_SPLIT = {"pretrain": "pretrain", "train": "train"}

# Height in pixels, width in pixels (None: follows from the seed) of each package.
_SIZES: dict[str, tuple[int, int | None]] = {
    "original_full": (768, 1024),
    "cropped": (400, 520),
    "original_256": (256, 341),
    "cropped_256": (256, None),
}

# The table of BIOSCAN-1M, where a column has the name of another in that of BIOSCAN-5M or is not there.
_COLUMNS_1M: dict[str, str] = {
    "sampleid": "sampleid", "processid": "processid", "uri": "dna_bin", "name": "taxon", "phylum": "phylum",
    "class": "class", "order": "order", "family": "family", "subfamily": "subfamily", "tribe": "", "genus": "genus",
    "species": "species", "subspecies": "", "nucraw": "dna_barcode",
}  # fmt: skip
_EXPERIMENTS_1M = tuple(
    f"{size}_{of}" for of in ("diptera_family", "insect_order") for size in ("large", "medium", "small")
)
_SPLITS_1M = ("train", "validation", "test", "no_split")
_RIGHTS_1M: dict[str, str] = {
    "copyright_license": "CreativeCommons - Attribution (by)", "copyright_holder": "CBG Photography Group",
    "copyright_institution": "Centre for Biodiversity Genomics", "copyright_contact": "no_data",
    "photographer": "CBG Robotic Imager", "author": "Zo\u00eb \u00c9tudiante",
}  # fmt: skip
# One package is spelled otherwise in BIOSCAN-1M.
_PACKAGES_1M = {
    "original_full": "original_full",
    "cropped_full": "cropped",
    **{name: name for name in ("original_256", "cropped_256")},
}

# Zip members carry this time, so that archives are the same to the byte.
_MEMBER_TIME = (2024, 6, 18, 12, 0, 0)


@dataclass(frozen=True)
class BioscanPackage:
    """A synthetic BIOSCAN-5M package on disk.

    Attributes
    ----------
    root : pathlib.Path
        The folder that holds ``bioscan5m/``, and the archives if there are any.
    metadata : pathlib.Path
        The CSV of 23 columns.
    images : dict of str to pathlib.Path
        Image folder of each package (``bioscan5m/images/cropped_256``); empty for zips.
    archives : dict of str to tuple of pathlib.Path
        The zips of each package; empty for a tree.
    keys : tuple of str
        Process ids in the order of the CSV, then those of images without a row.
    splits : dict of str to str
        Split of each key.
    jpegs : dict of str to dict of str to bytes
        For each package, the bytes of every image by key.
    """

    root: Path
    metadata: Path
    images: dict[str, Path]
    archives: dict[str, tuple[Path, ...]]
    keys: tuple[str, ...]
    splits: dict[str, str]
    jpegs: dict[str, dict[str, bytes]]

    def sources(self, package: str = "cropped_256") -> list[Path]:
        """Return what `arraystore.ingest` takes as the source of one package."""
        return list(self.archives[package]) if package in self.archives else [self.images[package]]


def make_bioscan5m(
    root: str | Path,
    n: int = 400,
    *,
    seed: int = 0,
    packages: Sequence[str] = ("cropped_256",),
    form: Form = "tree",
    by_split: bool = False,
    distinct: int | None = None,
    rows_without_image: int = 0,
    images_without_row: int = 0,
) -> BioscanPackage:
    """Write a small BIOSCAN-5M package exactly as it is published.

    Parameters
    ----------
    root : path
        Folder to write to; made if it is not there.
    n : int
        Number of specimens, at least 8 if every split is to be present.
    seed : int
        Everything follows from it.
    packages : sequence of str
        Of ``original_full``, ``cropped``, ``original_256`` and ``cropped_256``.
    form : {"tree", "zip-stored", "zip-deflated"}
        A tree of files, or archives named as the published ones.
    by_split : bool
        Three archives a package (pretrain, train, eval) instead of one.
    distinct : int, optional
        Draw only so many insects and use them in turn: quicker for large `n`.
    rows_without_image : int
        How many of the `n` specimens have a row but no image.
    images_without_row : int
        How many of the `n` specimens have an image but no row.

    Returns
    -------
    BioscanPackage
        Paths, keys and the bytes of every image.

    Raises
    ------
    ValueError
        If a package or form is unknown.
    ImportError
        If Pillow is not installed.
    """
    if form not in ("tree", "zip-stored", "zip-deflated") or not set(packages) <= set(_SIZES):
        raise ValueError(f"unknown form {form!r}, or one of packages {list(packages)} is not of {list(_SIZES)}")
    root = Path(root)
    specimens = make_specimens(n, seed=seed)
    listed = specimens[: n - images_without_row]
    pictured = specimens[rows_without_image:]
    metadata = root / "bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv"
    _write_metadata(metadata, listed)
    images: dict[str, Path] = {}
    archives: dict[str, tuple[Path, ...]] = {}
    jpegs: dict[str, dict[str, bytes]] = {}
    for package in packages:
        jpegs[package] = dict(_draw(package, pictured, seed, distinct))
        members = [(_member(package, item), jpegs[package][item.processid]) for item in pictured]
        if form == "tree":
            images[package] = _write_tree(root, package, members)
        else:
            compression = zipfile.ZIP_STORED if form == "zip-stored" else zipfile.ZIP_DEFLATED
            archives[package] = _write_archives(root, package, members, compression, by_split=by_split)
    splits = {item.processid: item.split for item in specimens}
    return BioscanPackage(root, metadata, images, archives, tuple(splits), splits, jpegs)


@dataclass(frozen=True)
class Bioscan1MPackage:
    """A synthetic BIOSCAN-1M package on disk.

    Attributes
    ----------
    metadata : pathlib.Path
        The TSV of 28 columns.
    sources : tuple of pathlib.Path
        What `arraystore.ingest` takes: the folder of the package, or its archives.
    files : dict of str to str
        ``image_file`` of each process id, in the order of the TSV, then those of images without a row.
    parts : dict of str to int
        ``chunk_number`` of each process id.
    jpegs : dict of str to bytes
        The bytes of every image by the name of its file.
    """

    metadata: Path
    sources: tuple[Path, ...]
    files: dict[str, str]
    parts: dict[str, int]
    jpegs: dict[str, bytes]


def make_bioscan1m(
    root: str | Path,
    n: int = 40,
    *,
    seed: int = 0,
    package: str = "cropped_256",
    form: Form = "tree",
    with_parts: bool = True,
    values: Values = "string",
    in_group: bool = True,
    line_end: str = "\n",
    distinct: int | None = None,
    rows_without_image: int = 0,
    images_without_row: int = 0,
) -> Bioscan1MPackage:
    """Write a small BIOSCAN-1M package exactly as it is published, in three parts.

    Parameters
    ----------
    root : path
        Folder to write to; made if it is not there.
    n : int
        Number of specimens.
    seed : int
        Everything follows from it.
    package : {"original_full", "cropped_full", "original_256", "cropped_256"}
        Full-size packages are an archive for each part, the others one archive.
    form : {"tree", "zip-stored", "zip-deflated", "hdf5"}
        A tree of files, archives named as the published ones, or one HDF5 file.
    with_parts : bool
        Whether there are directories ``part{n}``; the publisher's own helper makes archives without.
    values : {"string", "bytes", "pixels"}
        How the HDF5 file holds the images; see `write_image_hdf5`.
    in_group : bool
        Whether the HDF5 file has them in the group ``bioscan_dataset``, or in its root.
    line_end : str
        Of the lines of the TSV.
    distinct : int, optional
        Draw only so many insects and use them in turn: quicker for large `n`.
    rows_without_image : int
        How many of the `n` specimens have a row but no image.
    images_without_row : int
        How many of the `n` specimens have an image but no row.

    Returns
    -------
    Bioscan1MPackage

    Raises
    ------
    ValueError
        If a package or form is unknown.
    ImportError
        If Pillow is not installed.
    """
    if form not in get_args(Form) or package not in _PACKAGES_1M:
        raise ValueError(f"unknown form {form!r}, or package {package!r} is not of {list(_PACKAGES_1M)}")
    root = Path(root)
    specimens = make_specimens(n, seed=seed)
    files = {item.processid: _image_file(index, item) for index, item in enumerate(specimens)}
    parts = {item.processid: 1 + index % 3 for index, item in enumerate(specimens)}
    metadata = root / "bioscan1m/BIOSCAN_Insect_Dataset_metadata.tsv"
    _write_metadata_1m(metadata, specimens[: n - images_without_row], files, parts, line_end)
    drawn = dict(_draw(_PACKAGES_1M[package], specimens[rows_without_image:], seed, distinct))
    stem = {key: _archive_1m(package, parts[key]) for key in drawn}
    members = []
    for key, jpeg in drawn.items():
        part = f"part{parts[key]}/" if with_parts else ""
        folder = package if with_parts or form == "tree" else stem[key]
        members.append((stem[key], f"{folder}/{part}{files[key]}", jpeg))
    if form == "tree":
        for _, name, jpeg in members:
            path = root / "bioscan1m/images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
        sources: tuple[Path, ...] = (root / "bioscan1m/images" / package,)
    elif form == "hdf5":
        contents = {files[key]: jpeg for key, jpeg in drawn.items()}
        group = "bioscan_dataset" if in_group else ""
        sources = (write_image_hdf5(root / f"{package}.hdf5", contents, values=values, group=group),)
    else:
        sources = tuple(root / f"{name}.zip" for name in sorted(set(stem.values())))
        for path in sources:
            with zipfile.ZipFile(path, "w") as archive:
                for name, member, jpeg in members:
                    if name == path.stem:
                        compression = zipfile.ZIP_STORED if form == "zip-stored" else zipfile.ZIP_DEFLATED
                        archive.writestr(zipfile.ZipInfo(f"bioscan/images/{member}", _MEMBER_TIME), jpeg, compression)
    return Bioscan1MPackage(metadata, sources, files, parts, {files[key]: jpeg for key, jpeg in drawn.items()})


def _image_file(index: int, item: Specimen) -> str:
    # Both ways of naming occur in the published packages.
    return f"{4_286_925 + 17 * index}.jpg" if index % 3 else f"{item.others['sampleid']}.jpg"


def _archive_1m(package: str, part: int) -> str:
    return f"bioscan_images_{package}_part{part}" if package.endswith("_full") else f"BIOSCAN_1M_{package}"


def _write_metadata_1m(
    path: Path, specimens: Sequence[Specimen], files: dict[str, str], parts: dict[str, int], line_end: str
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator=line_end)
        writer.writerow([*_COLUMNS_1M, "image_file", "chunk_number", *_EXPERIMENTS_1M, *_RIGHTS_1M])
        for index, item in enumerate(specimens):
            cells = dict(zip(COLUMNS, item.row(), strict=True))
            labels = [cells.get(name, "") or "not_classified" for name in _COLUMNS_1M.values()]
            splits = [_SPLITS_1M[(index + shift) % len(_SPLITS_1M)] for shift in range(len(_EXPERIMENTS_1M))]
            place = [files[item.processid], str(parts[item.processid])]
            writer.writerow([*labels, *place, *splits, *_RIGHTS_1M.values()])


def _member(package: str, item: Specimen) -> str:
    chunk = f"{item.chunk}/" if item.chunk else ""
    return f"bioscan5m/images/{package}/{item.split}/{chunk}{item.processid}.jpg"


def _draw(package: str, specimens: Sequence[Specimen], seed: int, distinct: int | None) -> Iterator[tuple[str, bytes]]:
    height, width = _SIZES[package]
    drawn: dict[tuple[str, int], bytes] = {}
    for index, item in enumerate(specimens):
        which = index if distinct is None else index % distinct
        # With `distinct`, a picture is shared by specimens of one order only.
        drawing = (item.order, which)
        if drawing not in drawn:
            drawn[drawing] = insect_jpeg((seed, which), order=item.order, height=height, width=width)
        yield item.processid, drawn[drawing]


def _write_metadata(path: Path, specimens: Sequence[Specimen]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(item.row() for item in specimens)


def _write_tree(root: Path, package: str, members: Sequence[tuple[str, bytes]]) -> Path:
    for name, jpeg in members:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg)
    return root / "bioscan5m/images" / package


def _write_archives(
    root: Path, package: str, members: Sequence[tuple[str, bytes]], compression: int, *, by_split: bool
) -> tuple[Path, ...]:
    """Write the archives; their members are in no useful order, as in the published ones."""
    parts: dict[str, list[tuple[str, bytes]]] = {}
    for name, jpeg in sorted(members, key=lambda member: hashlib.sha1(member[0].encode()).digest()):
        part = "_" + _ARCHIVE_OF_SPLIT.get(name.split("/")[3], "eval") if by_split else ""
        parts.setdefault(part, []).append((name, jpeg))
    paths = []
    for part, contents in sorted(parts.items()):
        paths.append(root / f"BIOSCAN_5M_{package}{part}.zip")
        with zipfile.ZipFile(paths[-1], "w") as archive:
            for name, jpeg in contents:
                archive.writestr(zipfile.ZipInfo(name, _MEMBER_TIME), jpeg, compression)
    return tuple(paths)
