"""What a batch consists of: images or patches that the core fills ahead, and values that are looked up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import ArrayStoreError, InvalidRequestError
from arraystore.loader.options import Options, names_of
from arraystore.loader.ring import Memory, NewMemory, Ring
from arraystore.reader.arguments import number
from arraystore.reader.crops import CropPolicy, OutputForm, size_pair
from arraystore.reader.indexing import Rows
from arraystore.reader.records import Records

if TYPE_CHECKING:
    from arraystore.reader.array_field import ArrayField

__all__ = [
    "Filling",
    "FillingPart",
    "ImagePart",
    "Lookup",
    "PatchPart",
    "check_names",
    "filling_parts",
    "lookups",
    "places_of",
]

_IMAGE_SIZE = 224
_FIXED_NAMES = ("row", "bad")


class Filling(NamedTuple):
    """Arrays that are being filled."""

    job: _core.Job
    arrays: dict[str, npt.NDArray[Any]]
    # Which axis of the arrays counts the records.
    axis: int


class FillingPart(Protocol):
    """Arrays of a batch that the core fills."""

    names: tuple[str, ...]

    def nbytes(self, n: int) -> int:
        """Return the bytes of the arrays of `n` records."""
        ...

    def start(self, queue: _core.Queue, rows: Rows, keys: Rows | None, epoch: int) -> Filling:
        """Begin to fill arrays for some rows of the table; `keys` take the place of rows in random choices."""
        ...


class ImagePart:
    """Crops of JPEGs, one or several views of each.

    Parameters
    ----------
    name : str
        What the array is called.
    table : Records
        The store or view.
    options : Options
        Of the loader.
    twin : Records, optional
        Of another store: the table whose rows are asked for, and whose keys say which images these are.
    memory : callable
        Makes that of the array.
    """

    def __init__(
        self, name: str, table: Records, options: Options, *, twin: Records | None = None, memory: NewMemory = Ring
    ) -> None:
        self.names: tuple[str, ...] = (name,)
        self._table, self._twin, self._options = table, twin, options
        self._size = size_pair(_IMAGE_SIZE if options.size is None else options.size)
        self._form = OutputForm(self._size, options.dtype, options.layout, options.mean, options.std)
        self._policy(0)
        self._dtype = np.dtype(options.dtype or "uint8")
        self._core_form = self._form.core_arguments(np.empty(0, self._dtype))
        # Fails at once if there are no images.
        table._image_field()
        self._new_memory = memory
        self._lender: Memory | None = None

    def _policy(self, epoch: int) -> CropPolicy:
        asked = self._options
        return CropPolicy(asked.crop or "random_resized", asked.scale, asked.ratio, asked.flip, asked.seed, epoch)

    def nbytes(self, n: int) -> int:
        """Return the bytes of the crops of `n` records, of all views."""
        return math.prod(self._form.shape(n)) * self._dtype.itemsize * self._options.views

    def start(self, queue: _core.Queue, rows: Rows, keys: Rows | None, epoch: int) -> Filling:
        """Begin to cut the crops of some rows."""
        views = self._options.views
        shape: tuple[int, ...] = self._form.shape(len(rows))
        if views > 1:
            shape = (views, *shape)
        array = self._memory(len(rows)).lend(shape, self._dtype)
        choices = self._policy(epoch).core_arguments()
        del choices["boxes"]
        if keys is None:
            # The random numbers are those of the row in the store that the loader was made of.
            keys = (self._twin or self._table).to_store_rows(rows)
        job = queue.crops(
            self._table._image_field(),
            self._store_rows(rows),
            array,
            keys=np.ascontiguousarray(keys),
            views=views,
            verify=self._options.verify,
            **choices,
            **self._core_form,
        )
        return Filling(job, {self.names[0]: array}, int(views > 1))

    def _store_rows(self, rows: Rows) -> Rows:
        if self._twin is None:
            return np.ascontiguousarray(self._table.to_store_rows(rows))
        if not len(self._table):
            return np.full(len(rows), -1, np.int64)
        found = self._table.find(self._twin.keys[rows])
        return np.where(found < 0, -1, self._table.to_store_rows(found))

    def _memory(self, n: int) -> Memory:
        nbytes = self.nbytes(n)
        # The first batch of an epoch is its largest.
        if self._lender is None or self._lender.nbytes < nbytes:
            self._lender = self._new_memory(nbytes, self._options.batches_ahead(nbytes) + 2)
        return self._lender


class PatchPart:
    """Arrays of one shape, all of a record cut, mirrored and turned alike.

    Parameters
    ----------
    table : Records
        The store or view.
    options : Options
        Of the loader.
    memory : callable
        Makes that of the arrays.
    """

    def __init__(self, table: Records, options: Options, *, memory: NewMemory = Ring) -> None:
        self._table, self._options = table, options
        self.names: tuple[str, ...] = tuple(table._array_names())
        _only_for_images(options)
        number("flip", options.flip, expected="a probability from 0 to 1")
        if not 0.0 <= options.flip <= 1.0:
            raise InvalidRequestError(f"flip={options.flip!r}: expected a probability from 0 to 1")
        self._size = None if options.size is None else size_pair(options.size)
        self._new_memory = memory
        self._lenders: dict[str, Memory] = {}
        self._shapes = {name: self._shape(self._field(name)) for name in self.names}

    def _field(self, name: str) -> ArrayField:
        return self._table.handle.array_field(name)

    def _shape(self, field: ArrayField) -> tuple[int, ...]:
        """Return the shape of an array of the batch."""
        spec = field.spec
        if spec.codec not in (None, "zstd"):
            raise InvalidRequestError(
                f"{spec.name} is compressed with {spec.codec}, which a loader does not read ahead: use "
                "store.arrays(rows), or ingest with codec='zstd' or none"
            )
        if len(spec.shape) < 2:
            raise InvalidRequestError(f"{spec.name} has the shape {spec.shape}: a loader gives images")
        square = spec.shape[:2] if self._size is None else self._size
        if self._options.turn and square[0] != square[1]:
            raise InvalidRequestError(f"turn=True: expected squares, found {spec.name} of {square}: give a size")
        if self._size is None:
            return spec.shape
        first = self._field(self.names[0]).spec
        factor = spec.shape[0] // first.shape[0]
        if spec.shape[:2] != (first.shape[0] * factor, first.shape[1] * factor) or factor == 0:
            raise InvalidRequestError(
                f"size={self._size}: expected {spec.name} of a whole multiple of the size of {first.name}, which is "
                f"{first.shape[:2]}, found {spec.shape[:2]}"
            )
        if not all(side <= most for side, most in zip(self._size, first.shape, strict=False)):
            raise InvalidRequestError(f"size={self._size}: expected at most that of {first.name}, {first.shape[:2]}")
        return (self._size[0] * factor, self._size[1] * factor, *spec.shape[2:])

    def nbytes(self, n: int) -> int:
        """Return the bytes of the patches of `n` records, of all fields."""
        return sum(self._nbytes(name, n) for name in self.names)

    def start(self, queue: _core.Queue, rows: Rows, keys: Rows | None, epoch: int) -> Filling:
        """Begin to cut the patches of some rows."""
        arrays = {name: self._memory(name, len(rows)) for name in self.names}
        fields = []
        for name, array in arrays.items():
            field = self._field(name)
            height, width, *rest = field.spec.shape
            element_nbytes = field.dtype.itemsize * math.prod(rest)
            fields.append((field.core, (height, width), element_nbytes, array.reshape(-1).view(np.uint8)))
        store_rows = np.ascontiguousarray(self._table.to_store_rows(rows))
        job = queue.patches(
            fields,
            store_rows,
            keys=store_rows if keys is None else keys,
            size=self._size,
            center=self._options.crop == "center",
            flip=float(self._options.flip),
            turn=self._options.turn,
            seed=int(self._options.seed),
            epoch=epoch,
            verify=self._options.verify,
        )
        return Filling(job, arrays, 0)

    def _memory(self, name: str, n: int) -> npt.NDArray[Any]:
        nbytes = self._nbytes(name, n)
        lender = self._lenders.get(name)
        if lender is None or lender.nbytes < nbytes:
            lender = self._lenders[name] = self._new_memory(nbytes, self._options.batches_ahead(nbytes) + 2)
        return lender.lend((n, *self._shapes[name]), self._field(name).dtype)

    def _nbytes(self, name: str, n: int) -> int:
        return n * math.prod(self._shapes[name]) * self._field(name).dtype.itemsize


@dataclass(frozen=True, slots=True)
class Lookup:
    """Values of a batch that are looked up when it is given.

    Attributes
    ----------
    name : str
        What they are called.
    values : callable
        Gives those of some rows.
    names : list of str, optional
        What codes stand for.
    missing : ndarray, optional
        The value of a record that has none; None if not given.
    """

    name: str
    values: Callable[[Rows], Any]
    names: list[str] | None = None
    missing: npt.NDArray[Any] | None = None

    def one_by_one(self, rows: Rows) -> tuple[Any, dict[int, Exception]]:
        """Return the values of some rows, and by their index the errors of those that failed, which have none."""
        found: list[Any] = []
        failures: dict[int, Exception] = {}
        for index in range(len(rows)):
            try:
                found.extend(self.values(rows[index : index + 1]))
            except ArrayStoreError as error:
                failures[index] = error
                found.append(self.missing)
        return (found if self.missing is None else np.stack(found)), failures


def filling_parts(table: Records, options: Options, *, memory: NewMemory = Ring) -> list[FillingPart]:
    """Make the parts of a batch that the core fills.

    Raises
    ------
    InvalidRequestError
        If an option makes no sense for this store.
    """
    if table._holds_arrays():
        if options.beside:
            raise InvalidRequestError("beside: only images are read from several stores at once")
        return [PatchPart(table, options, memory=memory)]
    if options.turn:
        raise InvalidRequestError("turn=True: only patches are turned, not the images of this store")
    images = [ImagePart(name, each, options, twin=table, memory=memory) for name, each in options.beside.items()]
    return [ImagePart("image", table, options, memory=memory), *images]


def lookups(table: Records, options: Options) -> list[Lookup]:
    """Make the parts of a batch that are looked up.

    Raises
    ------
    UnknownColumnError
        If there is no such column; a `KeyError`.
    InvalidRequestError
        If there is no such field, or a column cannot be an array of numbers.
    """
    found = [_labels(table, name) for name in names_of(options.labels)]
    found += [_texts(table, name, verify=options.verify) for name in names_of(options.text)]
    if options.dna is not False:
        found.append(_dna(table, options.dna if isinstance(options.dna, Mapping) else {}, verify=options.verify))
    return found


def places_of(table: Records) -> npt.NDArray[Any]:
    """Return a number for each record that rises as the records lie in their files: ndarray of int, shape (n,)."""
    if table._holds_arrays():
        return table.item_rows(table._array_names()[0])
    place = np.asarray(table._image_field().places())
    return place if table.selected_rows is None else place[table.selected_rows]


def check_names(parts: list[FillingPart], found: list[Lookup]) -> None:
    """Refuse a batch of which two parts have the same name.

    Raises
    ------
    InvalidRequestError
        If there are such.
    """
    names = [*_FIXED_NAMES, *(name for part in parts for name in part.names), *(each.name for each in found)]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequestError(f"two parts of a batch would be called {name!r}: leave one out, or rename it")


def _labels(table: Records, name: str) -> Lookup:
    # Imported here, as in `_dna`: most loaders of images alone need nothing of it.
    from arraystore.format.columns import CategoricalColumn

    if name in table.handle.layout.column_names and not isinstance(table.handle.column(name), CategoricalColumn):
        values = table.columns[name].to_numpy()
        if values.dtype.kind not in "biuf":
            raise InvalidRequestError(f"labels={name!r}: expected a column of categories or numbers, not of text")
        return Lookup(name, lambda rows: values[rows])
    labels = table.labels(name)
    return Lookup(name, lambda rows: labels.codes[rows].astype(np.int64), labels.names)


def _texts(table: Records, name: str, *, verify: bool) -> Lookup:
    if name == table.handle.spec.key:
        return Lookup(name, lambda rows: table.keys[rows])
    field = table._field_name("text", name)
    return Lookup(name, lambda rows: table.text(rows, field=field, verify=verify))


def _dna(table: Records, given: Mapping[str, Any], *, verify: bool) -> Lookup:
    unknown = set(given) - {"length", "alphabet", "field"}
    if unknown:
        raise InvalidRequestError(f"dna: expected length, alphabet and field, found {', '.join(sorted(unknown))}")
    from arraystore.reader.dna import DnaForm

    form = DnaForm(**{name: value for name, value in given.items() if name != "field"})
    field = table._field_name("text", given.get("field"))
    read = partial(table.dna, length=form.length, alphabet=form.alphabet, field=field, verify=verify)
    return Lookup("dna", read, missing=np.full(form.length, form.padding, np.uint8))


def _only_for_images(options: Options) -> None:
    plain = Options()
    if options.crop == "random_resized":
        raise InvalidRequestError("crop='random_resized': patches are not resized: choose 'random' or 'center'")
    for name in ("scale", "ratio", "views", "dtype", "layout", "mean", "std"):
        if getattr(options, name) != getattr(plain, name):
            raise InvalidRequestError(f"{name}={getattr(options, name)!r}: for images, not for patches")
