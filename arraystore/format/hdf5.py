"""A finished store as one HDF5 file: HDF5 is asked where the bytes lie, and they are read there without it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arraystore.errors import ArrayStoreError, FormatError, UnfinishedStoreError
from arraystore.format.arrays import KEY_DTYPES, array_dtype, field_dtypes, has_item_each
from arraystore.format.base import COLUMNS, KEY, LOCK, Advance, Pieces, Problem, StoredItems
from arraystore.format.encoding import ORDER
from arraystore.format.hdf5_arrays import Stored, describe, find, opened
from arraystore.format.spec import FieldKind, FieldSpec, StoreSpec

if TYPE_CHECKING:
    import h5py

    from arraystore.format.columns import Column

ATTRIBUTE = "arraystore"
# What the attribute holds until the file is finished.
UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Hdf5Layout:
    """A finished store in HDF5; see `arraystore.format.base.Layout`.

    Parameters
    ----------
    path : Path
        Absolute path of the file.
    spec : StoreSpec
        Its description.
    file_nbytes : int
        Length of the file.
    arrays : mapping of str to Stored or None
        How the data sets of fields and of the key lie, by path; None for what is missing. Not yet believed.
    order : object
        Names of the columns as the data frame has them; not yet believed.
    """

    path: Path
    spec: StoreSpec
    file_nbytes: int
    arrays: Mapping[str, Stored | None]
    order: object

    def place(self, array_path: str) -> tuple[int, int]:
        """Return offset and number of the bytes of an array, checked.

        Parameters
        ----------
        array_path : str
            Path in the store, such as `image/offset`.

        Returns
        -------
        offset, nbytes : int

        Raises
        ------
        FormatError
            If the store lacks the array, or it is not as format 1 has it.
        """
        stored = self.arrays.get(array_path)
        if stored is None:
            raise FormatError(f"{self.path}: the store has no data set {array_path}")
        group, _, name = array_path.partition("/")
        field = next((each for each in self.spec.fields if each.name == group), None)
        dtype = array_dtype(field, name, group_dtypes(group, "text" if field is None else field.kind))
        try:
            return stored.place(array_path, dtype, self._shape(field, name), self.file_nbytes)
        except FormatError as error:
            raise FormatError(f"{self.path}: {error}", error.code) from error

    def _shape(self, field: FieldSpec | None, name: str) -> tuple[int | None, ...]:
        if name == "data":
            return (None, *(field.shape if field is not None else ()))
        if field is not None and has_item_each(field, name):
            return (self.items(field.name).count,)
        return (self.spec.n,)

    def items(self, field: str) -> StoredItems:
        """Return where the items of a field of arrays lie: in one run.

        Parameters
        ----------
        field : str
            Its name.

        Returns
        -------
        StoredItems

        Raises
        ------
        FormatError
            As `place`, or if they should be compressed, which HDF5 stores are not.
        """
        spec = self.spec.field(field)
        if spec.codec is not None:
            raise FormatError(f"{self.path}: field {field}: expected no codec in HDF5, found {spec.codec}")
        offset, nbytes = self.place(f"{field}/data")
        count = nbytes // spec.item_nbytes
        return StoredItems(count, [(str(self.path), offset)] if count else [], max(count, 1), None)

    def pieces(self, array_path: str) -> Pieces:
        """Return where the bytes of an array lie, for the core: one piece.

        Parameters
        ----------
        array_path : str
            Path in the store, such as `image/offset`.

        Returns
        -------
        list of (str, int)
            File and offset of the piece; empty if the array is.
        int
            Bytes of the piece.
        int
            Bytes of the whole array.

        Raises
        ------
        FormatError
            As `place`.
        """
        offset, nbytes = self.place(array_path)
        return [(str(self.path), offset)] if nbytes else [], nbytes, nbytes

    def read_column(self, name: str) -> Column:
        """Read one column, each of its data sets compared with its checksum; see `hdf5_columns.read_column`."""
        from arraystore.format.hdf5_columns import read_column

        return read_column(self.path, name, n=self.spec.n, checksums=self.spec.checksums)

    def string_chunks(self, name: str) -> None:  # noqa: ARG002 (of the protocol)
        """Return None: the strings of a column have one checksum."""
        return

    def files(self) -> dict[str, int]:
        """Return the bytes of the one file, by its name."""
        return {self.path.name: self.path.stat().st_size}

    def check_files(self, advance: Advance) -> Iterator[Problem]:
        """Compare every data set with its checksum and with what the format says; see `hdf5_check.check_file`."""
        from arraystore.format.hdf5_check import check_file

        return check_file(self, advance)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in their order, without the key."""
        names = self.order
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise FormatError(f"{self.path}: {COLUMNS}: expected a data frame with {ORDER}, found {names!r:.200}")
        return tuple(names)


def group_dtypes(group: str, kind: FieldKind) -> Mapping[str, str]:
    """Return the arrays of a field, or of the key, and their types."""
    return KEY_DTYPES if group == KEY else field_dtypes(kind)


def work_directory_of(path: Path) -> Path:
    """Return where the work directory of a file stands: beside it."""
    return path.with_name(path.name + ".ingest")


def is_hdf5_store(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a store, finished or not, or cannot be told: `open_hdf5` says what is wrong with it.

    All other HDF5 files may be a publisher's.
    """
    if not os.path.lexists(path):
        return is_unfinished(Path(path).absolute())
    try:
        with opened(Path(path)) as file:
            return ATTRIBUTE in file.attrs
    except (ArrayStoreError, OSError, RuntimeError, ValueError):
        return True


def is_unfinished(path: Path) -> bool:
    """Tell whether an ingest into this file was begun and has not committed."""
    return not path.exists() and (work_directory_of(path) / LOCK).exists()


def open_hdf5(path: str | os.PathLike[str]) -> Hdf5Layout:
    """Read what a file says of itself, and where its arrays lie; nothing of their content.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    Hdf5Layout

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    UnfinishedStoreError
        If the ingest of this store was interrupted.
    FormatError
        If it is something else than an arraystore (code `not-an-arraystore`), one of a newer format, or open for
        writing.
    DamagedStoreError
        If the file is cut short.
    """
    root = Path(path).absolute()
    if is_unfinished(root):
        raise _unfinished(root)
    file_nbytes = root.stat().st_size
    with opened(root) as file:
        try:
            spec = _read_spec(root, file)
            paths = [
                f"{group}/{name}"
                for group, kind in {**{field.name: field.kind for field in spec.fields}, KEY: "text"}.items()
                for name in group_dtypes(group, kind)
            ]
            arrays = {each: _describe(file, each) for each in paths}
            return Hdf5Layout(root, spec, file_nbytes, arrays, _read_order(file))
        except ArrayStoreError:
            raise
        # h5py raises anything for what it cannot read.
        except Exception as error:
            raise FormatError(f"{root}: cannot be read: {type(error).__name__}: {error}") from error


def _describe(file: h5py.File, path: str) -> Stored | None:
    try:
        node = find(file, path)
        return None if node is None else describe(node)
    # What h5py raises for a damaged header is the problem of this data set, and of no other.
    except (FormatError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        return Stored("", (), None, str(error))


def _read_order(file: h5py.File) -> object:
    frame = find(file, COLUMNS)
    names: Any = None if frame is None else frame.attrs.get(ORDER)
    return names.tolist() if hasattr(names, "tolist") else names


def _read_spec(root: Path, file: h5py.File) -> StoreSpec:
    if file.userblock_size or ATTRIBUTE not in file.attrs:
        raise FormatError(
            f"{root}: an HDF5 file, but not an arraystore: it has no attribute '{ATTRIBUTE}'", "not-an-arraystore"
        )
    text: Any = file.attrs[ATTRIBUTE]
    try:
        document = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{root}: attribute '{ATTRIBUTE}' is not JSON: {error}") from error
    if isinstance(document, Mapping) and document.get(UNFINISHED):
        raise _unfinished(root)
    try:
        return StoreSpec.from_json(document)
    except FormatError as error:
        raise FormatError(f"{root}: {error}", error.code) from error


def _unfinished(root: Path) -> UnfinishedStoreError:
    return UnfinishedStoreError(
        f"{root}: the ingest of this store was interrupted; run the same ingest command again to finish it"
    )
