"""Items of a dataset: the values of its modalities, transformed, and the target."""

from __future__ import annotations

import io
import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError, MissingFileError, MissingImageError, UnknownColumnError
from arraystore.integrations.bioscan.categories import MISSING_TEXTS
from arraystore.integrations.bioscan.values import Array, Values
from arraystore.reader.indexing import Rows
from arraystore.reader.store import Store

__all__ = ["IMAGE", "Items", "Transform"]

Transform: TypeAlias = Callable[[Any], Any]

# The modality that is no column.
IMAGE = "image"


class Items:
    """The part of a dataset that makes items."""

    ranks: ClassVar[tuple[str, ...]]
    barcode: ClassVar[str]
    barcode_names: ClassVar[tuple[str, ...]]

    store: Store
    modality: list[str]
    target_type: list[str]
    target_format: str
    output_format: str
    max_nucleotides: int | None
    transform: Transform | None
    dna_transform: Transform | None
    target_transform: Transform | None
    _rows: Rows
    _values: Values

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
        if name == IMAGE:
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
        if name not in self.ranks and self.target_format == "index" and found[0][1].dtype.kind == "O":
            raise UnknownColumnError(f"target {name!r}: it holds text, and only {', '.join(self.ranks)} have an index")
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
        if name == IMAGE:
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


def _open_image(encoded: bytes) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("the modality 'image' needs Pillow: pip install 'arraystore[bioscan]'") from error
    return Image.open(io.BytesIO(encoded))
