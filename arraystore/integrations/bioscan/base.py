"""What `BIOSCAN5M` and `BIOSCAN1M` share: arguments, items, labels and batches."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from arraystore.errors import DatasetNotFoundError, InvalidRequestError
from arraystore.integrations.bioscan.barcodes import first_of_each_barcode
from arraystore.integrations.bioscan.categories import Categories, installed_order
from arraystore.integrations.bioscan.frames import make_frame
from arraystore.integrations.bioscan.items import IMAGE, Items, Transform
from arraystore.integrations.bioscan.labelled import Labelled
from arraystore.integrations.bioscan.places import Published, Root, open_root
from arraystore.integrations.bioscan.representation import dataset_lines
from arraystore.integrations.bioscan.values import Array, Values, is_of_parts, table_rows
from arraystore.reader.arguments import choice
from arraystore.reader.indexing import Index, Rows
from arraystore.reader.labels import LabelOrder
from arraystore.reader.store import Store
from arraystore.reader.view import View

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BioscanDataset"]


# What is not pickled, since it is large and made when it is asked for.
_MADE_ANEW = ("_values", "_view", "_metadata")


class BioscanDataset(Items, Labelled):
    """A map-style dataset with the items of bioscan-dataset; not made by users.

    Nothing of PyTorch is needed: its loaders take any object with a length and items.
    """

    published: ClassVar[Published]
    dtypes: ClassVar[Mapping[str, type[np.generic]]]
    # Of which a row of the table has at least one.
    always_there: ClassVar[tuple[str, ...]]
    # Whether labels are sorted whatever the category order, so that the order of the rows is no matter.
    sorts_labels: ClassVar[bool] = False

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

    def _open(self, root: Root, *, download: bool) -> Rows:
        """Open the store, and set the rows of all splits together; return those of the whole table, whatever the view.

        Labels are numbered, and one record is kept for each barcode, over the whole table: so several views of a store
        agree with each other.
        """
        try:
            found = open_root(root, self.published, self.image_package, any_package=IMAGE not in self.modality)
        except DatasetNotFoundError as error:
            if download:
                advice = "nothing is downloaded here: let bioscan_dataset do it once, or fetch it from the publisher"
                raise DatasetNotFoundError(f"{error}; {advice}") from error
            raise
        self.store = found if isinstance(found, Store) else Store(found.handle)
        self.root = os.fspath(Path(root).expanduser() if isinstance(root, str | os.PathLike) else found.handle.path)
        is_row = self._is_row()
        if len(self.store) and not is_row.any():
            raise DatasetNotFoundError(f"{self.root}: no record has a row of a metadata table: ingest it with one")
        if is_of_parts(self.store.handle.spec.source) and (affected := self._depends_on_order()):
            warnings.warn(
                f"{self.root} was put together from parts, so that its rows may stand in another order than those of "
                f"the published table: {affected} may differ from those of bioscan-dataset. To have the same, ingest "
                "the first part with the whole table and rows='all', and append the others",
                UserWarning,
                stacklevel=3,
            )
        kept = np.flatnonzero(is_row)
        if self.reduce_repeated_barcodes:
            kept = first_of_each_barcode(kept, self._barcodes)
        selected = found.selected_rows
        self._rows = kept if selected is None else selected[np.isin(selected, kept)]
        return kept

    def _is_row(self) -> npt.NDArray[np.bool_]:
        return table_rows(self.store, self.always_there)

    def _depends_on_order(self) -> str:
        """Name what depends on the order of the rows, if anything does."""
        is_by_block = self.category_order == "pandas<3" and not self.sorts_labels
        numbers = "the numbers of labels" if is_by_block and self.target_type else ""
        barcodes = "the records that stand for repeated barcodes" if self.reduce_repeated_barcodes else ""
        return " and ".join(filter(None, (numbers, barcodes)))

    def _begin(self) -> None:
        """Set what is made when it is asked for, of an open store."""
        self._values = Values(
            self.store,
            labels=self._make_labels,
            labelled=self._categorical_columns(),
            ranks=self.ranks,
            dtypes=self.dtypes,
            made=self._made_values(),
        )
        self._view: View | None = None
        self._metadata: pd.DataFrame | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _MADE_ANEW}

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
        # As pandas numbers them: by their position in the table.
        return np.asarray((np.cumsum(self._is_row()) - 1)[self._rows])

    @property
    def view(self) -> View:
        """The records of this dataset in its order, with the batched methods of a store."""
        if self._view is None:
            self._view = self.store.select(self._rows)
        return self._view

    @property
    def metadata(self) -> pd.DataFrame:
        """The table of these records as bioscan-dataset has it: made at the first use, and not read again.

        It is for looking at: records are chosen by arguments, by `view`, or by `torch.utils.data.Subset`.

        Raises
        ------
        ImportError
            If pandas is not installed (``arraystore[pandas]``).
        """
        if self._metadata is None:
            names = [name for name in self._frame_columns() if name in self._values]
            columns = [(name, self._frame_values(name)) for name in names]
            self._metadata = make_frame(columns, self._rows, self._frame_index())
        return self._metadata

    def _frame_values(self, name: str) -> Categories | Array:
        if name in self._categorical_columns():
            return self._values.categories(name)
        return self._values.at(name, self._rows)

    def _categorical_columns(self) -> tuple[str, ...]:
        return self.ranks

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

        Raises
        ------
        UnknownColumnError
            If there is no such column; a `KeyError`.
        ValueError
            If `target_type` is not given and there is not one.
        """
        name = self._label_column(target_type)
        return self._values.at(f"{name}_index" if name in self.ranks else name, self._rows)

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
        if IMAGE in self.modality:
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
