"""BIOSCAN-1M with the arguments and items of `bioscan_dataset.BIOSCAN1M`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.integrations.bioscan import clibd
from arraystore.integrations.bioscan.base import BioscanDataset
from arraystore.integrations.bioscan.categories import Categories
from arraystore.integrations.bioscan.cleaning import COMPLETED, complete_labels
from arraystore.integrations.bioscan.items import Transform
from arraystore.integrations.bioscan.places import Published, Root
from arraystore.integrations.bioscan.splits import SplitNames
from arraystore.integrations.bioscan.values import Array
from arraystore.reader.indexing import Rows
from arraystore.reader.labels import LabelOrder

__all__ = ["BIOSCAN1M", "RGB_MEAN", "RGB_STDEV"]

# Red, green, blue of cropped_256, in 0..1.
RGB_MEAN = (0.72510918, 0.72891550, 0.72956181)
RGB_STDEV = (0.12654378, 0.14301962, 0.16103319)

_EXPERIMENTS = tuple(
    f"{size}_{of}" for of in ("diptera_family", "insect_order") for size in ("large", "medium", "small")
)
_SPLITS = ("train", "validation", "test", "no_split")
_NAMES = SplitNames(_SPLITS, {"all": _SPLITS}, {"val": "validation"})
_CLIBD, _CLIBD_SPLIT = "clibd", "clibd_split"
_RANKS = ("phylum", "class", "order", "family", "subfamily", "tribe", "genus", "species", "uri")
_COLUMNS = ("sampleid", "processid", "uri", *_RANKS[:-1], "nucraw", "image_file", "chunk_number", *_EXPERIMENTS)
_ARCHIVES = ("{package}", "BIOSCAN_1M_{package}", "bioscan_images_{package}_part*")
_FOLDERS, _SUFFIXES = ("", "bioscan1m/"), ("zip", "hdf5")


class BIOSCAN1M(BioscanDataset):
    """BIOSCAN-1M, item for item as `bioscan_dataset.BIOSCAN1M` 1.3.0 has it.

    Parameters
    ----------
    root : path-like, sequence of path-like, Store or View
        The folder that holds ``bioscan1m/``, or the publisher's zips or HDF5 files and table; or those files; or a
        store, by its path or open. A view has fewer items; labels have the numbers, and repeated barcodes the records,
        that they have in its whole store. The checksums of the published files are not compared.
    split : str, default "train"
        ``"train"``, ``"validation"``, ``"test"``, ``"no_split"``, ``"all"`` or a sum. Of ``"clibd"``, one of its ten
        splits, ``"all"``, ``"all_keys"``, ``"no_split_and_seen_train"``, or a name that BIOSCAN-5M has for one of them;
        a single one has the order of its file. Samples of the file that the table lacks, or that
        `reduce_repeated_barcodes` took away, are left out, where bioscan-dataset has items that cannot be read.
    partitioning_version : str, default "large_diptera_family"
        One of the six experiments, or ``"clibd"``.
    modality : str or iterable of str, default ("image", "dna")
        ``"image"``, ``"dna"``, or any column.
    image_package : str, default "cropped_256"
        Which images.
    reduce_repeated_barcodes : bool, default False
        Keep one record for each barcode of the whole table.
    max_nucleotides : int or None, default 660
        Where barcodes are cut.
    target_type : str or iterable of str, default "family"
        ``"phylum"`` to ``"species"``, ``"tribe"``, ``"uri"`` (or ``"dna_bin"``); also any column of numbers.
    target_format : {"index", "text"}
        Labels as integers, -1 if missing; or as texts, NaN if missing.
    output_format : {"tuple", "dict"}
        Modalities, then the target. As a dict, also every target with its text and its index.
    transform, dna_transform, target_transform : callable, optional
        Of the image (`PIL.Image.Image`, not yet decoded), the barcode (str), and the target.
    download : bool, default False
        Nothing is downloaded: True only changes the message if nothing is found.
    category_order : {"sorted", "pandas<3"}, optional
        Labels of BIOSCAN-1M are numbered in sorted order by every pandas; this changes only the order of the
        categories of the experiments in `metadata`.
    clibd_partitioning_path : path-like, optional
        The folder of CLIBD's text files: ``CLIBD_partitioning`` in ``bioscan1m/`` or beside the store if not given. If
        it is there, and beside the store has all files, ``"clibd_split"`` is a column of every partitioning.

    Attributes
    ----------
    store : arraystore.Store
        The open store; `view` has the records of this dataset in its order.
    metadata : pandas.DataFrame
        Made when it is asked for; all else works without pandas.

    Raises
    ------
    DatasetNotFoundError
        If images, table or partition files are not there; an `OSError`.
    ValueError
        If a split, partitioning or `target_format` is unknown, or `root` holds something else.
    RuntimeError
        If there is a `target_transform` but no target, or if CLIBD's files are there and have a sample of the table
        never or in two splits, whatever the partitioning; a single split of ``"clibd"`` needs its own file alone.

    Warns
    -----
    UserWarning
        If a target is finer than the partitioning was made for.
    """

    published = Published(
        "BIOSCAN-1M",
        (
            ("bioscan1m/images/{package}",),
            ("bioscan/images/{package}",),
            *((f"{folder}{name}.{suffix}",) for folder, suffix, name in product(_FOLDERS, _SUFFIXES, _ARCHIVES)),
        ),
        ("cropped_256", "original_256", "cropped", "original_full"),
        (
            "bioscan1m/BIOSCAN_Insect_Dataset_metadata.tsv",
            "bioscan1m/BIOSCAN_1M_Insect_Dataset_metadata.tsv",
            "BIOSCAN_Insect_Dataset_metadata.tsv",
            "BIOSCAN_1M_Insect_Dataset_metadata.tsv",
        ),
        {"cropped": ("cropped_full", "cropped")},
    )
    ranks = _RANKS
    barcode = "nucraw"
    barcode_names = ("dna_barcode", "dna", "barcode", "nucraw")
    target_aliases: ClassVar = {"dna_bin": "uri"}
    dtypes: ClassVar = {"chunk_number": np.uint8}
    always_there = (*_EXPERIMENTS, "phylum", "order", "uri")
    sorts_labels = True

    def __init__(
        self,
        root: Root,
        split: str | None = "train",
        partitioning_version: str = "large_diptera_family",
        modality: str | Iterable[str] = ("image", "dna"),
        image_package: str = "cropped_256",
        reduce_repeated_barcodes: bool = False,
        max_nucleotides: int | None = 660,
        target_type: str | Iterable[str] = "family",
        target_format: str = "index",
        output_format: str = "tuple",
        transform: Transform | None = None,
        dna_transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        *,
        category_order: LabelOrder | None = None,
        clibd_partitioning_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.partitioning_version = partitioning_version.lower()
        self.split = (clibd.NAMES if self.partitioning_version == _CLIBD else _NAMES).canonical(split)
        self._set_arguments(
            image_package=image_package,
            modality=modality,
            reduce_repeated_barcodes=reduce_repeated_barcodes,
            max_nucleotides=max_nucleotides,
            target_type=target_type,
            target_format=target_format,
            output_format=output_format,
            transform=transform,
            dna_transform=dna_transform,
            target_transform=target_transform,
            category_order=category_order,
        )
        self._warn_of_fine_targets()
        # Over these rows labels are numbered.
        self._kept_rows = self._open(root, download=download)
        folder = self._find_clibd(clibd_partitioning_path)
        self._clibd = None if folder is None else self._read_clibd(folder)
        self._begin()
        is_of_experiment = self.partitioning_version != _CLIBD
        self._rows = self._rows_of_split() if folder is None or is_of_experiment else self._rows_of_clibd(folder)

    def _warn_of_fine_targets(self) -> None:
        fine = {"subfamily", "tribe", "genus", "species"} if self.partitioning_version != _CLIBD else set()
        if self.partitioning_version.endswith("_insect_order"):
            fine.add("family")
        if found := sorted(fine.intersection(self.target_type)):
            warnings.warn(
                f"target_type has ranks that are finer than {self.partitioning_version!r} was made for: "
                f"{', '.join(found)}; its test split has labels that its train split lacks",
                UserWarning,
                stacklevel=3,
            )

    def _rows_of_split(self) -> Rows:
        split, version = self.split, self.partitioning_version
        if split in (None, "all"):
            return self._rows
        splits = _NAMES.expand(str(split))
        if version not in _EXPERIMENTS:
            known = ", ".join(map(repr, (*_EXPERIMENTS, _CLIBD)))
            raise InvalidRequestError(f"Invalid partitioning version: {version!r}: expected one of {known}")
        return self._rows[self._values.categories(version).isin(splits)[self._rows]]

    def _find_clibd(self, given: str | os.PathLike[str] | None) -> Path | None:
        """Return the folder of CLIBD's files; None if there is none, and none is needed."""
        if given is not None:
            return clibd.find_folder([Path(given)])
        root = Path(self.root)
        folders = (root / "bioscan1m", root / "bioscan", root, root.parent, root.parent / "bioscan1m")
        places = [folder / clibd.FOLDER for folder in folders]
        if self.partitioning_version == _CLIBD:
            return clibd.find_folder(places)
        found = next((place for place in places if place.is_dir()), None)
        # Where bioscan-dataset does not look, only what is whole is taken: it is not needed.
        return found if found == places[0] or (found is not None and clibd.is_whole(found)) else None

    def _read_clibd(self, folder: Path) -> Categories:
        """Return the split that CLIBD has for each row: read once, since it takes a second."""
        splits = clibd.NAMES.splits
        codes = np.full(len(self.store), -1, np.int8)
        if self._has_order_of_file() and self.split in splits:
            # As bioscan-dataset, which looks at no other file then. Rows of another split are no items.
            codes.fill(splits.index(self.split))
        else:
            samples = self.store.select(self._rows).columns["sampleid"].to_numpy()
            codes[self._rows] = clibd.splits_of_samples(folder, samples)
        return Categories(codes, list(splits))

    def _rows_of_clibd(self, folder: Path) -> Rows:
        split = self.split
        if split in (None, "all"):
            return self._rows
        if self._has_order_of_file():
            samples = clibd.samples_of_split(folder, str(split))
            row_of = dict(zip(self._values.at("sampleid", self._rows), self._rows.tolist(), strict=True))
            return np.array([row_of[sample] for sample in samples if sample in row_of], np.int64)
        splits = clibd.NAMES.expand(str(split))
        return self._rows[np.array([each in splits for each in self._values.at(_CLIBD_SPLIT, self._rows)], np.bool_)]

    def _has_order_of_file(self) -> bool:
        split = self.split
        return self.partitioning_version == _CLIBD and split not in (None, "all") and "+" not in str(split)

    def _make_labels(self, name: str) -> Categories:
        if name in _EXPERIMENTS:
            return super()._make_labels(name)
        # Over the rows that repeated barcodes left, whatever the split.
        if name not in COMPLETED:
            return super()._make_labels(name).in_order(self._kept_rows)
        return complete_labels(super()._make_labels)[name].in_order(self._kept_rows)

    def _made_values(self) -> dict[str, Callable[[Rows], Array]]:
        made = super()._made_values()
        return made if self._clibd is None else {**made, _CLIBD_SPLIT: self._clibd.at}

    def _frame_columns(self) -> list[str]:
        return [*_COLUMNS, *(f"{rank}_index" for rank in _RANKS), _CLIBD_SPLIT]

    def _frame_index(self) -> npt.NDArray[np.int64]:
        # What bioscan-dataset joins with CLIBD's files is numbered anew.
        if self._has_order_of_file():
            return np.arange(len(self))
        if self._clibd is not None:
            return np.searchsorted(self._kept_rows, self._rows).astype(np.int64)
        return super()._frame_index()

    def _categorical_columns(self) -> tuple[str, ...]:
        return (*_RANKS, *_EXPERIMENTS)

    def extra_repr(self) -> str:
        """Return the lines of the representation that tell the arguments."""
        return f"partitioning_version: {self.partitioning_version!r}\n{super().extra_repr()}"
