"""BIOSCAN-5M with the arguments and items of `bioscan_dataset.BIOSCAN5M`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import sep
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from arraystore.integrations.bioscan.base import BioscanDataset
from arraystore.integrations.bioscan.items import Transform
from arraystore.integrations.bioscan.places import Published, Root
from arraystore.integrations.bioscan.splits import SplitNames
from arraystore.integrations.bioscan.values import Array
from arraystore.reader.indexing import Rows
from arraystore.reader.labels import LabelOrder

__all__ = ["BIOSCAN5M", "RGB_MEAN", "RGB_STDEV"]

# Red, green, blue of cropped_256, in 0..1.
RGB_MEAN = (0.76281859, 0.76503749, 0.76373138)
RGB_STDEV = (0.14205404, 0.15642502, 0.17309470)

_SPLITS = ("pretrain", "train", "val", "test", "key_unseen", "val_unseen", "test_unseen", "other_heldout")
_NAMES = SplitNames(
    _SPLITS,
    {"all": _SPLITS, "seen": ("train", "val", "test"), "unseen": ("key_unseen", "val_unseen", "test_unseen")},
    {"validation": "val"},
)
_RANKS = ("phylum", "class", "order", "family", "subfamily", "genus", "species", "dna_bin")
_PLACES = ("country", "province_state")
_NUMBERS = ("coord-lat", "coord-lon", "image_measurement_value", "area_fraction", "scale_factor")
_COLUMNS = ("processid", *_RANKS, "dna_barcode", *_PLACES, *_NUMBERS, "split", "chunk")


class BIOSCAN5M(BioscanDataset):
    """BIOSCAN-5M, item for item as `bioscan_dataset.BIOSCAN5M` 1.3.0 has it.

    Parameters
    ----------
    root : path-like, sequence of path-like, Store or View
        The folder that holds ``bioscan5m/``, or the publisher's zips and table; or zips; or a store, by its path or
        open. A view has fewer items; labels have the numbers, and repeated barcodes the records, that they have in its
        whole store. The checksums of the published files are not compared, so that a part of the data set will do.
    split : str, default "train"
        ``"pretrain"``, ``"train"``, ``"val"``, ``"test"``, ``"key_unseen"``, ``"val_unseen"``, ``"test_unseen"``,
        ``"other_heldout"``; ``"seen"``, ``"unseen"``, ``"all"``; or a sum, ``"train+val"``. None is ``"all"``.
    modality : str or iterable of str, default ("image", "dna")
        ``"image"``, ``"dna"``, any column, or ``"geolocation"`` and ``"size"`` as for `target_type`.
    image_package : str, default "cropped_256"
        Which images.
    reduce_repeated_barcodes : bool, default False
        Keep one record for each barcode of the whole table.
    max_nucleotides : int or None, default 660
        Where barcodes are cut.
    target_type : str or iterable of str, default "species"
        ``"phylum"`` to ``"species"``, ``"dna_bin"`` (or ``"uri"``). Also what bioscan-dataset lacks: any column of
        numbers, such as ``"scale_factor"``; ``"size"``, the number of pixels of the organism
        (``image_measurement_value``); and ``"geolocation"``, latitude and longitude as an array of float64, shape (2,).
    target_format : {"index", "text"}
        Labels as integers, -1 if missing; or as texts, NaN if missing. Numbers stay numbers.
    output_format : {"tuple", "dict"}
        Modalities, then the target. As a dict, also every target with its text and its index.
    transform, dna_transform, target_transform : callable, optional
        Of the image (`PIL.Image.Image`, not yet decoded), the barcode (str), and the target.
    download : bool, default False
        Nothing is downloaded: True only changes the message if nothing is found.
    category_order : {"sorted", "pandas<3"}, optional
        How labels and places are numbered: sorted, as by pandas 3, or in the order of pandas before it, block by block
        of the table. As the installed pandas does if not given; sorted if there is none. The numbers are those of
        bioscan-dataset only if all rows of the published table are there, in its order. So they are in a store that was
        made with the whole table, whatever images were appended to it; records that an append or a merge has added
        stand behind the others.

    Attributes
    ----------
    store : arraystore.Store
        The open store; `view` has the records of this dataset in its order.
    metadata : pandas.DataFrame
        Made when it is asked for; all else works without pandas.

    Raises
    ------
    DatasetNotFoundError
        If images or table are not there; an `OSError`.
    ValueError
        If a split, `target_format` or `category_order` is unknown, or `root` holds something else.
    RuntimeError
        If there is a `target_transform` but no target.

    Examples
    --------
    >>> from arraystore.integrations.bioscan import BIOSCAN5M
    >>> dataset = BIOSCAN5M("cropped_256.zarr", split="seen", target_type=["order", "size"])
    >>> image, barcode, (order, size) = dataset[0]
    >>> image.height, barcode == dataset.view.text(0)
    (256, True)
    >>> dataset.index2label(order, "order") == dataset.view.columns["order"][0]
    True
    >>> dataset.crops(range(4), 128).shape
    (4, 128, 128, 3)
    """

    published = Published(
        "BIOSCAN-5M",
        (
            ("bioscan5m/images/{package}",),
            # In one archive, or in several that count the parts.
            ("BIOSCAN_5M_{package}.zip", "BIOSCAN_5M_{package}.[0-9]*.zip"),
            tuple(f"BIOSCAN_5M_{{package}}_{of}*.zip" for of in ("pretrain", "train", "eval")),
        ),
        ("cropped_256", "original_256", "cropped", "original_full"),
        (
            "bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv",
            "BIOSCAN_5M_Insect_Dataset_metadata.csv",
            "bioscan5m/metadata/jsonld/BIOSCAN_5M_Insect_Dataset_metadata.jsonld",
        ),
        {"cropped": ("cropped", "cropped_full")},
    )
    ranks = _RANKS
    barcode = "dna_barcode"
    barcode_names = ("dna_barcode", "dna", "barcode")
    target_aliases: ClassVar = {"uri": "dna_bin"}
    dtypes: ClassVar = dict.fromkeys(_NUMBERS, np.float64)
    always_there = ("phylum", "inferred_ranks", "class", "order", "dna_bin", "country")

    def __init__(
        self,
        root: Root,
        split: str | None = "train",
        modality: str | Iterable[str] = ("image", "dna"),
        image_package: str = "cropped_256",
        reduce_repeated_barcodes: bool = False,
        max_nucleotides: int | None = 660,
        target_type: str | Iterable[str] = "species",
        target_format: str = "index",
        output_format: str = "tuple",
        transform: Transform | None = None,
        dna_transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        *,
        category_order: LabelOrder | None = None,
    ) -> None:
        self.split = _NAMES.canonical(split)
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
        splits = None if self.split in (None, "all") else _NAMES.expand(str(self.split))
        self._open(root, download=download)
        self._begin()
        if splits is not None:
            self._rows = self._rows[self._values.categories("split").isin(splits)[self._rows]]

    def _made_values(self) -> dict[str, Callable[[Rows], Array]]:
        return {**super()._made_values(), "image_path": self._image_paths}

    def _image_paths(self, rows: Rows) -> npt.NDArray[np.object_]:
        """Return the published path of each image below the folder of its package."""
        split, chunk = self._values.at("split", rows), self._values.at("chunk", rows)
        names = [f"{key}.jpg" for key in self.store.keys[rows]]
        parts = zip(split, chunk, names, strict=True)
        # Text, since it is what bioscan-dataset gives, and a Path for each would take three times as long.
        return np.array([sep.join(filter(_is_text, each)) for each in parts], object)  # noqa: PTH118

    def _frame_columns(self) -> list[str]:
        return [*_COLUMNS, *(f"{rank}_index" for rank in _RANKS), "image_path"]

    def _categorical_columns(self) -> tuple[str, ...]:
        return (*_RANKS, *_PLACES)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
