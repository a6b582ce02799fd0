"""A finished store as a directory in Zarr v3: its documents are read here as plain JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arraystore.errors import DamagedStoreError, FormatError, UnfinishedStoreError
from arraystore.format.arrays import (
    KEY_DTYPES,
    ArrayForm,
    array_dtype,
    field_dtypes,
    form_of,
    has_item_each,
    items_form_of,
)
from arraystore.format.base import COLUMNS, KEY, Advance, Pieces, Problem, StoredItems, StringChunks
from arraystore.format.durable import TEMPORARY
from arraystore.format.spec import StoreSpec

if TYPE_CHECKING:
    from arraystore.format.columns import Column

DOCUMENT = "zarr.json"
WORK_DIRECTORY = ".ingest"
# Directory of the index arrays, keys and columns of a store that has grown, one for each time.
GENERATIONS = "generation"


@dataclass(frozen=True, slots=True)
class ZarrLayout:
    """A finished store in Zarr; see `arraystore.format.base.Layout`.

    Parameters
    ----------
    path : Path
        Absolute path of the store.
    spec : StoreSpec
        Its description.
    documents : mapping
        The `zarr.json` of every node below the root, by path; not yet believed.
    """

    path: Path
    spec: StoreSpec
    documents: Mapping[str, Any]

    def form(self, array_path: str) -> ArrayForm:
        """Return the checked form of an array.

        Parameters
        ----------
        array_path : str
            Path in the store, such as `image/offset`.

        Returns
        -------
        ArrayForm

        Raises
        ------
        FormatError
            If the store lacks the array, or it is not as format 1 has it.
        """
        expected, node = dict(self._expected_dtypes()), self.node(array_path)
        if array_path not in expected or node not in self.documents:
            raise FormatError(f"{self.path}: the store has no array {node}")
        group, _, name = array_path.partition("/")
        field = next((each for each in self.spec.fields if each.name == group), None)
        if field is not None and field.kind == "array" and name == "data":
            return items_form_of(node, self.documents[node], field)
        length = None if name == "data" else self.spec.n
        if has_item_each(field, name):
            length = self.form(f"{group}/data").length
        ends = tuple(self.spec.segments.get(group, ())) if length is None else ()
        return form_of(node, self.documents[node], dtype=expected[array_path], length=length, ends=ends)

    def node(self, path: str) -> str:
        """Return where an array or a group lies: all but the `data` of fields is in the directory of its generation.

        Parameters
        ----------
        path : str
            Such as `image/offset`; its place in a store that has not grown.

        Returns
        -------
        str
            Path in the store.
        """
        group, _, array = path.partition("/")
        stays = array == "data" and group != KEY
        return path if stays else generation_prefix(self.spec.generation) + path

    def pieces(self, array_path: str) -> Pieces:
        """Return where the bytes of an array lie, for the core.

        Parameters
        ----------
        array_path : str
            Path in the store, such as `image/offset`.

        Returns
        -------
        list of (str, int)
            File and offset of each piece.
        int
            Bytes of payload in a piece.
        int
            Bytes of the whole array.

        Raises
        ------
        FormatError
            As `form`.
        """
        form = self.form(array_path)
        root = str(self.path / self.node(array_path))
        return [(f"{root}/{name}", 0) for name in form.shard_names()], form.shard_nbytes, form.total_nbytes

    def items(self, field: str) -> StoredItems:
        """Return where the items of a field of arrays lie.

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
            As `form`.
        """
        form = self.form(f"{field}/data")
        files = [(str(self.path / field / "data" / name), 0) for name in form.shard_names()]
        return StoredItems(form.length, files, form.shard_length, self.spec.field(field).codec)

    def files(self) -> dict[str, int]:
        """Return the bytes of each file of the store, by its path in it."""
        return {name: (self.path / name).stat().st_size for name in [*store_files(self.path), DOCUMENT]}

    def check_files(self, advance: Advance) -> Iterator[Problem]:
        """Compare every file with its checksum, and shards and documents with what the format says.

        Parameters
        ----------
        advance : callable
            Called with the number of files so far, of those that have a checksum.

        Yields
        ------
        Problem
        """
        from arraystore.format.zarr_check import check_files

        return check_files(self, advance)

    def array_paths(self) -> list[str]:
        """Return the paths of all arrays of the fields and of the key."""
        return [path for path, _ in self._expected_dtypes()]

    def read_column(self, name: str) -> Column:
        """Read one column, after each of its files was compared with its checksum.

        A chunk that is missing would be read as fill values, so that a missing file looks like valid data.

        Parameters
        ----------
        name : str
            Name of the column, or that of the key for the index of the data frame.

        Returns
        -------
        CategoricalColumn, NumericColumn, NullableColumn or StringColumn

        Raises
        ------
        DamagedStoreError
            If a file of the column is missing or is not as it was written.
        FormatError
            If the store has no such column or no checksums for it, or it is not as format 1 has it.
        OSError
            If a file cannot be read.
        """
        from arraystore.format.zarr_columns import read_column

        columns = self.node(COLUMNS)
        self._check_files(self._column_files(name))
        return read_column(self.path / columns, name, n=self.spec.n)

    def string_chunks(self, name: str) -> StringChunks | None:
        """Return how a column of strings is read a chunk at a time; None for another column.

        Errors are those of `read_column`; of a damaged chunk, when it is read.
        """
        from arraystore.format.zarr_columns import string_chunks

        columns = self.node(COLUMNS)
        self._check_files([path for path in self._column_files(name) if path.endswith(f"/{DOCUMENT}")])

        def check(paths: Sequence[str]) -> None:
            # A chunk of nothing but fill values has no file.
            listed = (f"{columns}/{path}" for path in paths)
            self._check_files([path for path in listed if path in self.spec.checksums])

        return string_chunks(self.path / columns, name, n=self.spec.n, check=check)

    def _column_files(self, name: str) -> list[str]:
        prefix = f"{self.node(COLUMNS)}/{name}/"
        if prefix + DOCUMENT not in self.spec.checksums:
            raise FormatError(f"{self.path}: the store has no {prefix.removesuffix('/')}, or no checksums for it")
        return [path for path in self.spec.checksums if path.startswith(prefix)]

    def _check_files(self, paths: Sequence[str]) -> None:
        from arraystore import _core

        advice = "restore the file from a copy; arraystore verify lists all that is damaged"
        for path in paths:
            checksum = self.spec.checksums[path]
            try:
                found = _core.file_crc32c(str(self.path / path))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                again = "open the store again, which may have grown since; if that does not help,"
                raise DamagedStoreError(
                    f"{self.path / path}: the file is missing: {again} {advice}", "missing-file"
                ) from error
            if found != checksum:
                raise DamagedStoreError(
                    f"{self.path / path}: expected CRC-32C {checksum:08x}, found {found:08x}: {advice}", "checksum"
                )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in their order, without the key."""
        document = self.documents.get(self.node(COLUMNS))
        try:
            names = document["attributes"]["column-order"]  # type: ignore[index]
        except (KeyError, TypeError) as error:
            raise FormatError(f"{self.path}: {COLUMNS}: expected a data frame with column-order") from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise FormatError(f"{self.path}: {COLUMNS}: column-order: expected a list of names, found {names!r}")
        return tuple(names)

    def _expected_dtypes(self) -> Iterator[tuple[str, str]]:
        for field in self.spec.fields:
            dtypes = field_dtypes(field.kind)
            for name in dtypes:
                yield f"{field.name}/{name}", array_dtype(field, name, dtypes)
        for name, dtype in KEY_DTYPES.items():
            yield f"{KEY}/{name}", dtype


def open_zarr(path: str | os.PathLike[str]) -> ZarrLayout:
    """Read the root document of a store, and nothing else.

    Parameters
    ----------
    path : path-like
        Directory of the store.

    Returns
    -------
    ZarrLayout

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    UnfinishedStoreError
        If the ingest of this store was interrupted.
    FormatError
        If it is something else than an arraystore, or one of a newer format.
    """
    root = Path(path).absolute()
    document = _read_root(root)
    if not isinstance(document, Mapping) or document.get("zarr_format") != 3 or document.get("node_type") != "group":
        raise FormatError(f"{root}: not an arraystore: its {DOCUMENT} is not a Zarr v3 group")
    attributes = document.get("attributes")
    if not isinstance(attributes, Mapping) or "arraystore" not in attributes:
        raise FormatError(f"{root}: a Zarr group, but not an arraystore: it has no attribute 'arraystore'")
    try:
        spec = StoreSpec.from_json(attributes["arraystore"])
    except FormatError as error:
        raise FormatError(f"{root}: {error}", error.code) from error
    consolidated = document.get("consolidated_metadata")
    documents = consolidated.get("metadata") if isinstance(consolidated, Mapping) else None
    if not isinstance(documents, Mapping):
        raise FormatError(f"{root}: {DOCUMENT} lacks consolidated_metadata")
    return ZarrLayout(root, spec, documents)


def generation_prefix(generation: int) -> str:
    """Return what the paths of index arrays, keys and columns begin with.

    Examples
    --------
    >>> generation_prefix(0), generation_prefix(2)
    ('', 'generation/2/')
    """
    return f"{GENERATIONS}/{generation}/" if generation else ""


def is_zarr(path: Path) -> bool:
    """Tell whether a path is a Zarr group or array, or the beginning of a store."""
    return (path / DOCUMENT).exists() or is_unfinished(path)


def is_unfinished(path: Path) -> bool:
    """Tell whether an ingest was begun here and has not committed."""
    return (path / WORK_DIRECTORY).is_dir() and not (path / DOCUMENT).exists()


def _read_root(root: Path) -> object:
    if is_unfinished(root):
        raise UnfinishedStoreError(
            f"{root}: the ingest of this store was interrupted; run the same ingest command again to finish it"
        )
    try:
        text = (root / DOCUMENT).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if not root.exists():
            raise FileNotFoundError(2, "No such store", str(root)) from None
        raise FormatError(f"{root}: not an arraystore: it has no {DOCUMENT}") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise FormatError(f"{root}: {DOCUMENT} is not JSON: {error}") from error


def store_files(path: Path) -> list[str]:
    """List the files of a store without its root document and its work directory.

    Parameters
    ----------
    path : Path
        Directory of the store.

    Returns
    -------
    list of str
        Paths in the store, with `/`, sorted.
    """
    found = []
    for directory, subdirectories, names in os.walk(path):
        below = os.path.relpath(directory, path).replace(os.sep, "/")
        prefix = "" if below == "." else below + "/"
        if not prefix and WORK_DIRECTORY in subdirectories:
            subdirectories.remove(WORK_DIRECTORY)
        found += [prefix + name for name in names if prefix or name not in (DOCUMENT, DOCUMENT + TEMPORARY)]
    return sorted(found)
