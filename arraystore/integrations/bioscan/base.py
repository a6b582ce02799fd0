"""What `BIOSCAN5M` and `BIOSCAN1M` share: arguments, items, labels and batches."""

from __future__ import annotations

import io
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore.errors import (
    DatasetNotFoundError,
    InvalidRequestError,
    MissingFileError,
    MissingImageError,
    UnknownColumnError,
)
from arraystore.integrations.bioscan.barcodes import first_of_each_barcode
from arraystore.integrations.bioscan.categories import MISSING_TEXTS, Categories, installed_order
from arraystore.integrations.bioscan.frames import make_frame
from arraystore.integrations.bioscan.places import Published, Root, open_root
from arraystore.integrations.bioscan.representation import dataset_lines
from arraystore.integrations.bioscan.values import Array, Values, table_rows
from arraystore.reader.arguments import choice
from arraystore.reader.column import is_missing
from arraystore.reader.indexing import Index, Rows
from arraystore.reader.labels import LabelOrder
from arraystore.reader.store import Store
from arraystore.reader.view import View

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BioscanDataset", "Transform"]

Transform: TypeAlias = Callable[[Any], Any]

_IMAGE = "image"


class BioscanDataset:
    """A map-style dataset with the items of bioscan-dataset; not made by users.

    Nothing of PyTorch is needed: its loaders take any object with a length and items.
    """

    published: ClassVar[Published]
    ranks: ClassVar[tuple[str, ...]]
    barcode: ClassVar[str]
    barcode_names: ClassVar[tuple[str, ...]]
    target_aliases: ClassVar[Mapping[str, str]]
    dtypes: ClassVar[Mapping[str, type[np.generic]]]
    # Of which a row of the table has at least one.
    always_there: ClassVar[tuple[str, ...]]

    root: str
    split: str | None
    image_package: str

    def _set_arguments(
        self,
        *,
        image_package: str,
        modality: str | Iterable[str],
        reduce_repeated_barcodes: bool,
        max_nucleotides: int | None,
        target_type: str | Iterable[str],
        target_format: str,
        output_format: str,
        transform: Transform | None,
        dna_transform: Transform | None,
        target_transform: Transform | None,
        category_order: LabelOrder | None,
    ) -> None:
        self.image_package = image_package
        self.modality = [modality] if isinstance(modality, str) else list(modality)
        self.reduce_repeated_barcodes = reduce_repeated_barcodes
        self.max_nucleotides = max_nucleotides
        targets = [target_type] if isinstance(target_type, str) else list(target_type)
        self.target_type = [self.target_aliases.get(target, target) for target in targets]
        self.target_format = target_format
        self.output_format = "dict" if output_format == "dictionary" else output_format
        self.transform = transform
        self.dna_transform = dna_transform
        self.target_transform = target_transform
        order = installed_order() if category_order is None else category_order
        choice("category_order", order, ("sorted", "pandas<3"))
        self.category_order: LabelOrder = order
        if not self.target_type and target_transform is not None:
            raise RuntimeError("target_transform is specified but target_type is empty")
        if target_format not in ("index", "text"):
            raise InvalidRequestError(f"Unknown target_format: {target_format!r}: expected 'index' or 'text'")

    def _open(self, root: Root, *, download: bool) -> None:
        """Open the store, and set the rows of the table that are kept, all splits together."""
        try:
            found = open_root(root, self.published, self.image_package)
        except DatasetNotFoundError as error:
            if download:
                advice = "nothing is downloaded here: let bioscan_dataset do it once, or fetch it from the publisher"
                raise DatasetNotFoundError(f"{error}; {advice}") from error
            raise
        self.store = found if isinstance(found, Store) else Store(found.handle)
        if isinstance(root, str | os.PathLike):
            self.root = os.fspath(root) if not isinstance(root, str) else os.path.expanduser(root)  # noqa: PTH111 (text)
        else:
            self.root = str(found.handle.path)
        is_row = table_rows(self.store, self.always_there)
        rows = (
            np.flatnonzero(is_row) if found.selected_rows is None else found.selected_rows[is_row[found.selected_rows]]
        )
        if len(self.store) and not is_row.any():
            raise DatasetNotFoundError(
                f"{self.store.path}: no record has a row of a metadata table: ingest it with one"
            )
        # What pandas would call each row: its position in the table.
        self._number = np.cumsum(is_row, dtype=np.int32) - np.int32(1)
        self._rows = first_of_each_barcode(rows, self._barcodes) if self.reduce_repeated_barcodes else rows
        self._kept_rows = self._rows
        self._begin()

    def _begin(self) -> None:
        self._values = Values(
            self.store, labels=self._make_labels, ranks=self.ranks, dtypes=self.dtypes, made=self._made_values()
        )
        self._view: View | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_values", "_view")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def _make_labels(self, name: str) -> Categories:
        labels = self.store.labels(name, order=self.category_order)
        return Categories.of_pandas(labels.codes, labels.names)

    def _made_values(self) -> dict[str, Callable[[Rows], Array]]:
        return {self.barcode: self._barcode_texts}

    def _frame_columns(self) -> list[str]:
        raise NotImplementedError

    def _frame_index(self) -> npt.NDArray[np.int64]:
        return self._number[self._rows].astype(np.int64)

    @property
    def view(self) -> View:
        """The records of this dataset in its order, with the batched methods of a store."""
        if self._view is None:
            self._view = self.store.select(self._rows)
        return self._view

    @property
    def metadata(self) -> pd.DataFrame:
        """The table of these records as bioscan-dataset has it; made anew each time.

        Raises
        ------
        ImportError
            If pandas is not installed (``arraystore[pandas]``).
        """
        names = [name for name in self._frame_columns() if name in self._values]
        columns = [(name, self._frame_values(name)) for name in names]
        return make_frame(columns, self._rows, self._frame_index())

    def _frame_values(self, name: str) -> Categories | Array:
        if name in self._categorical_columns():
            return self._values.categories(name)
        return self._values.at(name, self._rows)

    def _categorical_columns(self) -> tuple[str, ...]:
        return self.ranks

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Any:
        """Return one item, as bioscan-dataset does.

        Parameters
        ----------
        index : int
            Position in the dataset, negative from the end.

        Returns
        -------
        tuple or dict
            The modalities in the order asked, then the target; see the class.

        Raises
        ------
        IndexError
            If there is no such position.
        ValueError
            If a modality or `output_format` is unknown.
        KeyError
            If a target is unknown.
        MissingFileError
            If the record has no image; a `FileNotFoundError`.
        DamagedStoreError
            If its bytes are not those that were written.
        """
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Return several items, read at once; PyTorch's loaders ask for their batches by it.

        Parameters
        ----------
        indices : sequence of int
            Positions in the dataset.

        Returns
        -------
        list
            Of what `dataset[index]` returns.

        Raises
        ------
        IndexError, ValueError, KeyError, MissingFileError, DamagedStoreError
            As for ``dataset[index]``; that of the first that fails.
        """
        rows = self._rows[np.array([self._position(index) for index in indices], np.int64)]
        inputs = [(name, self._inputs(name, rows)) for name in self.modality]
        targets = [self._targets(name, rows) for name in self.target_type]
        return [self._item(position, inputs, targets) for position in range(len(rows))]

    def _position(self, index: int) -> int:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"index {position} is out of bounds: there are {len(self)} items")
        return position

    def _inputs(self, name: str, rows: Rows) -> list[bytes] | Array:
        if name == _IMAGE:
            try:
                return self.store.jpeg(rows)
            except MissingImageError as error:
                raise MissingFileError(str(error), error.code) from error
        if name in self.barcode_names:
            return self._barcode_texts(rows)
        if name not in self._values:
            raise InvalidRequestError(f"Unfamiliar modality: {name!r}: there is no such column", "unknown-modality")
        return self._values.at(name, rows)

    def _targets(self, name: str, rows: Rows) -> list[tuple[str, Array]]:
        """Return what the dict form has of a target: its values, and its indices if it has labels."""
        if name not in self._values:
            raise UnknownColumnError(f"no target {name!r}: expected one of {', '.join(self.ranks)}, or another column")
        found = [(name, self._values.at(name, rows))]
        return [*found, (f"{name}_index", self._values.at(f"{name}_index", rows))] if name in self.ranks else found

    def _item(
        self,
        position: int,
        inputs: Sequence[tuple[str, list[bytes] | Array]],
        targets: Sequence[list[tuple[str, Array]]],
    ) -> Any:
        values = [(name, self._transformed(name, each[position])) for name, each in inputs]
        chosen = [(each[-1] if self.target_format == "index" else each[0])[1][position] for each in targets]
        target: Any = None
        if chosen:
            target = tuple(chosen) if len(chosen) > 1 else chosen[0]
            target = target if self.target_transform is None else self.target_transform(target)
        if self.output_format == "tuple":
            return (*(value for _, value in values), target)
        if self.output_format == "dict":
            described = {name: array[position] for each in targets for name, array in each}
            return {**dict(values), **described, "target": target}
        raise InvalidRequestError(f"Unknown output_format: {self.output_format!r}: expected 'tuple' or 'dict'")

    def _transformed(self, name: str, value: Any) -> Any:
        if name == _IMAGE:
            image = _open_image(value)
            return image if self.transform is None else self.transform(image)
        if name in self.barcode_names and self.dna_transform is not None:
            return self.dna_transform(value)
        return value

    def _barcodes(self, rows: Rows) -> list[str | None]:
        cut = slice(self.max_nucleotides)
        texts = self.store.text(rows, field=self.barcode)
        return [None if text is None or text in MISSING_TEXTS else text[cut] for text in texts]

    def _barcode_texts(self, rows: Rows) -> npt.NDArray[np.object_]:
        return np.array([np.nan if text is None else text for text in self._barcodes(rows)], object)

    def index2label(self, index: Any, column: str | None = None) -> Any:
        """Return the labels of indices.

        Parameters
        ----------
        index : int or array_like of int
            Negative ones stand for a missing label.
        column : str, optional
            One of the target types; the only one of this dataset if not given.

        Returns
        -------
        str, or ndarray of object
            An empty text for a missing label.

        Raises
        ------
        ValueError
            If `column` is not given and there is not one target type, or the column has no labels.
        TypeError
            If `index` is a text.
        IndexError
            If there is no such index.
        """
        names = self._values.categories(self._label_column(column))
        if isinstance(index, str):
            raise TypeError(f"index must be an int or array-like of ints, not {index!r}: did you mean label2index?")
        if not hasattr(index, "__len__"):
            return "" if index < 0 else names.names[index]
        indices = np.asarray(index, np.int64)
        if (indices >= len(names.names)).any():
            raise IndexError(f"index {int(indices.max())} is out of bounds: there are {len(names.names)} labels")
        labels = names.texts[np.maximum(indices, -1)]
        labels[indices < 0] = ""
        return labels

    def label2index(self, label: Any, column: str | None = None) -> Any:
        """Return the indices of labels.

        Parameters
        ----------
        label : str or iterable of str
            An empty text, None and NaN stand for a missing label.
        column : str, optional
            One of the target types; the only one of this dataset if not given.

        Returns
        -------
        int, or ndarray of int64
            -1 for a missing label.

        Raises
        ------
        UnknownKeyError
            If no record of the data set has this label; a `KeyError`.
        ValueError
            If `column` is not given and there is not one target type, or the column has no labels.
        TypeError
            If `label` is a number.
        """
        name = self._label_column(column)
        categories = self._values.categories(name)

        def code(each: Any) -> int:
            return -1 if is_missing(each) or each == "" else categories.code(each, name)

        if isinstance(label, str) or is_missing(label):
            return code(label)
        if not isinstance(label, Iterable):
            raise TypeError(f"label must be a string or list of strings, not {label!r}: did you mean index2label?")
        return np.array([code(each) for each in label], np.int64)

    def _label_column(self, column: str | None) -> str:
        if column is None and len(self.target_type) != 1:
            raise InvalidRequestError("column must be specified if there isn't a single target_type")
        return self.target_type[0] if column is None else column

    def targets(self, target_type: str | None = None) -> Array:
        """Return the targets of all items at once, for samplers and metrics.

        Parameters
        ----------
        target_type : str, optional
            The only one of this dataset if not given.

        Returns
        -------
        ndarray, shape (n,) or (n, 2)
            Indices of labels, -1 where one is missing; of a column of numbers, its values.
        """
        name = self._label_column(target_type)
        return self._targets(self.target_aliases.get(name, name), self._rows)[-1][1]

    def crops(self, indices: Index, size: int | tuple[int, int] = 224, **options: Any) -> Any:
        """Cut one crop out of each image and resize it, into one array; see `arraystore.Store.crops`.

        Parameters
        ----------
        indices : slice, list, array or mask
            Positions in the dataset.
        size : int or tuple of int, default 224
            ``(height, width)`` in pixels.
        **options
            As `arraystore.Store.crops` takes them.

        Returns
        -------
        ndarray, shape (n, height, width, 3) or (n, 3, height, width)
            `transform` is not applied.
        """
        return self.view.crops(indices, size, **options)

    def __add__(self, other: Any) -> Any:
        """Return both datasets as one, a `torch.utils.data.ConcatDataset`."""
        return import_module("torch.utils.data").ConcatDataset([self, other])

    def __repr__(self) -> str:
        return "\n".join(dataset_lines(self, self.extra_repr().splitlines()))

    def extra_repr(self) -> str:
        """Return the lines of the representation that tell the arguments."""
        has_dna = any(name in self.barcode_names for name in self.modality)
        lines = [f"split: {self.split!r}", f"modality: {self.modality!r}"]
        if _IMAGE in self.modality:
            lines.append(f"image_package: {self.image_package!r}")
        if self.reduce_repeated_barcodes:
            lines.append(f"reduce_repeated_barcodes: {self.reduce_repeated_barcodes!r}")
        if has_dna and self.max_nucleotides != 660:
            lines.append(f"max_nucleotides: {self.max_nucleotides!r}")
        lines.append(f"target_type: {self.target_type!r}")
        if self.target_type:
            lines.append(f"target_format: {self.target_format!r}")
        lines.append(f"output_format: {self.output_format!r}")
        if has_dna and self.dna_transform is not None:
            lines.append(f"dna_transform: {self.dna_transform!r}")
        return "\n".join(lines)


def _open_image(encoded: bytes) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("the modality 'image' needs Pillow: pip install pillow") from error
    return Image.open(io.BytesIO(encoded))
