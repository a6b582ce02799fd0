"""A store as a directory in Zarr v3: its documents are written and read here as plain JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from arraystore.errors import DamagedStoreError, FormatError, UnfinishedStoreError
from arraystore.format.arrays import KEY_DTYPES, ArrayForm, field_dtypes, form_of
from arraystore.format.spec import StoreSpec

if TYPE_CHECKING:
    from arraystore.format.columns import Column

DOCUMENT = "zarr.json"
WORK_DIRECTORY = ".ingest"
COLUMNS = "columns"
KEY = "key"

_TEMPORARY = ".tmp"
_SYNCS_AT_ONCE = 16

# A logical byte array in pieces of equal size, as the core takes it: [(path, offset in that file)], bytes per piece,
# bytes in all. The file of a shard goes on behind its piece: padding of the last chunk, and the shard index.
Pieces: TypeAlias = tuple[list[tuple[str, int]], int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """A finished store: what it says of itself, and where its arrays lie.

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

    def has(self, array_path: str) -> bool:
        """Tell whether the store has a node of this path."""
        return array_path in self.documents

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
        expected = dict(self._expected_dtypes())
        if array_path not in expected or array_path not in self.documents:
            raise FormatError(f"{self.path}: the store has no array {array_path}")
        length = None if array_path.endswith("/data") else self.spec.n
        return form_of(array_path, self.documents[array_path], dtype=expected[array_path], length=length)

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
        root = str(self.path / array_path)
        return [(f"{root}/{name}", 0) for name in form.shard_names()], form.shard_nbytes, form.total_nbytes

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

        self._check_files(f"{COLUMNS}/{name}/")
        return read_column(self.path / COLUMNS, name, n=self.spec.n)

    def _check_files(self, prefix: str) -> None:
        from arraystore import _core

        expected = {path: checksum for path, checksum in self.spec.checksums.items() if path.startswith(prefix)}
        if prefix + DOCUMENT not in expected:
            raise FormatError(f"{self.path}: the store has no {prefix.removesuffix('/')}, or no checksums for it")
        advice = "restore the file from a copy; arraystore verify lists all that is damaged"
        for path, checksum in expected.items():
            try:
                found = _core.file_crc32c(str(self.path / path))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise DamagedStoreError(f"{self.path / path}: the file is missing: {advice}", "missing-file") from error
            if found != checksum:
                raise DamagedStoreError(
                    f"{self.path / path}: expected CRC-32C {checksum:08x}, found {found:08x}: {advice}", "checksum"
                )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in their order, without the key."""
        document = self.documents.get(COLUMNS)
        try:
            names = document["attributes"]["column-order"]  # type: ignore[index]
        except (KeyError, TypeError) as error:
            raise FormatError(f"{self.path}: {COLUMNS}: expected a data frame with column-order") from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise FormatError(f"{self.path}: {COLUMNS}: column-order: expected a list of names, found {names!r}")
        return tuple(names)

    def _expected_dtypes(self) -> Iterator[tuple[str, str]]:
        groups = [(field.name, field_dtypes(field.kind)) for field in self.spec.fields]
        for group, dtypes in [*groups, (KEY, KEY_DTYPES)]:
            for name, dtype in dtypes.items():
                yield f"{group}/{name}", dtype


def open_layout(path: str | os.PathLike[str]) -> Layout:
    """Read the root document of a store, and nothing else.

    Parameters
    ----------
    path : path-like
        Directory of the store.

    Returns
    -------
    Layout

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
    return Layout(root, spec, documents)


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


def write_document(directory: Path, document: Mapping[str, Any]) -> None:
    """Write the `zarr.json` of a node; it is synced to disk with all others by `commit`.

    Parameters
    ----------
    directory : Path
        Directory of the node; made if it does not exist.
    document : mapping
        Its content.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / DOCUMENT).write_bytes(_serialised(document))


def _serialised(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, allow_nan=False).encode()


def commit(path: Path, spec: StoreSpec, *, sync: bool = True, synced: Collection[str] = ()) -> None:
    """Make a store of a directory: write its root document, the last step of an ingest.

    Parameters
    ----------
    path : Path
        Directory that holds every node and every chunk already.
    spec : StoreSpec
        Its description.
    sync : bool, default True
        Whether all other files are synced to disk first.
    synced : collection of str
        Paths in the store of files that were synced when they were written, as the core does.
    """
    if sync:
        sync_store(path, synced)
    root = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"arraystore": spec.to_json()},
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": node_documents(path)},
    }
    write_durably(path / DOCUMENT, _serialised(root))


def node_documents(path: Path) -> dict[str, Any]:
    """Read the `zarr.json` of every node below the root, by path, in sorted order."""
    found = (name for name in store_files(path) if name.endswith("/" + DOCUMENT))
    return {name.removesuffix("/" + DOCUMENT): json.loads((path / name).read_bytes()) for name in found}


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
        found += [prefix + name for name in names if prefix or name not in (DOCUMENT, DOCUMENT + _TEMPORARY)]
    return sorted(found)


def write_durably(path: Path, payload: bytes) -> None:
    """Write a file under a temporary name, sync it, rename it, sync its directory."""
    temporary = path.with_name(path.name + _TEMPORARY)
    with temporary.open("wb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync(path.parent)


def sync_store(path: Path, synced: Collection[str] = ()) -> None:
    """Sync the files of a store to disk, without its work directory, then its directories.

    Parameters
    ----------
    path : Path
        Directory of the store.
    synced : collection of str
        Paths in the store of files that need not be synced.
    """
    names = store_files(path)
    files = [path / name for name in names if name not in synced]
    directories = {parent for name in names for parent in (path / name).relative_to(path).parents}
    # At once, so that many syncs share one commit of the file system's journal.
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        list(pool.map(_sync, files))
        list(pool.map(_sync, [path.parent, *(path / each for each in directories)]))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
