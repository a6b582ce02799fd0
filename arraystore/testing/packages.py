"""Synthetic packages in the layout of their publishers, for the demo and for tests."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from arraystore.testing.jpegs import insect_jpeg
from arraystore.testing.specimens import COLUMNS, SPLIT_SHARES, Specimen, make_specimens

__all__ = ["COLUMNS", "SPLITS", "BioscanPackage", "Form", "make_bioscan5m"]

Form = Literal["tree", "zip-stored", "zip-deflated"]

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
