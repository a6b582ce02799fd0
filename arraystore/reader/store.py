"""Opening a store, or a source as it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from arraystore.errors import InvalidRequestError
from arraystore.format.containers import is_store
from arraystore.reader.arguments import switch
from arraystore.reader.facade import Facade
from arraystore.reader.handle import Handle, open_store

__all__ = ["Store", "open"]

PathLike: TypeAlias = str | os.PathLike[str]


class Store(Facade):
    """All records of a store, made by `arraystore.open`.

    It can be used from several threads at a time, after a fork, and in a spawned process, to which it is pickled as its
    place. The files are mapped, so that processes share their memory.

    Examples
    --------
    >>> import arraystore
    >>> store = arraystore.open("cropped_256.zarr")
    >>> key = store.keys[5]
    >>> bool((store[5] == store[key]).all()), len(store[[3, 1, 2]]), store.jpeg(key)[:2].hex()
    (True, 3, 'ffd8')
    >>> store.crops(range(64), size=224, flip=0.5, seed=0, epoch=3).shape
    (64, 224, 224, 3)
    >>> train = store.select(split="train", order="Diptera")
    >>> set(train.columns["order"])
    {'Diptera'}
    """

    @property
    def path(self) -> Path:
        """Directory of the store, absolute; of a source that is opened as it is, its first path."""
        return self.handle.path

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files of the store and its views; arrays that were read stay valid. May be called twice."""
        self.handle.close()

    def __reduce__(self) -> tuple[object, ...]:
        return Store, (self.handle,)

    def __repr__(self) -> str:
        spec = self.handle.spec
        kinds = ", ".join(f"{field.name} ({field.kind})" for field in spec.fields)
        closed = ", closed" if self.handle.closed else ""
        records = f"{spec.n:,} records of {spec.dataset} {spec.package}"
        as_it_is = ", as it is" if self.handle.source is not None else ""
        return f"Store({str(self.handle.path)!r}, {records}{as_it_is}: {kinds}{closed})"


def open(
    path: PathLike | Sequence[PathLike],
    *,
    metadata: PathLike | Sequence[PathLike] | None = None,
    key: str | None = None,
    package: str | None = None,
    cache: bool = True,
) -> Store:
    """Open a store for reading, or a source of images as it is.

    Of a store nothing but its root document is read yet. A source is scanned, and its table read, when it is first
    opened. What is found is kept as an index in the user's cache folder, or that of ``ARRAYSTORE_CACHE_DIR``, until a
    file of the source changes; a folder is compared by the times of all directories in it.

    Parameters
    ----------
    path : path-like or sequence of path-like
        A Zarr store that `arraystore.ingest` wrote; or what could be ingested: a folder of images, at any level of the
        published tree, or one or several zip archives. Or the metadata table of BIOSCAN-5M or BIOSCAN-1M alone, by its
        published name: then no record has an image.
    metadata : path-like or sequence of path-like, optional
        Of a source, its metadata table, and further ones whose columns are joined to it by key; as for
        `arraystore.ingest`. Looked for in their published places beside the images if not given.
    key : str, optional
        Of a source, the column of the table that names the images, for folders of no known publisher.
    package : str, optional
        Of a source, which package of a publisher the images are of, if the paths name several, or none; ``"folder"`` if
        they are of no publisher, whatever their directories are called.
    cache : bool, default True
        Whether the index of a source may be taken from the cache folder and kept there. Without it, as with
        ``ARRAYSTORE_CACHE=0``, a new one is made each time, in a temporary folder.

    Returns
    -------
    Store
        Also a context manager that closes it.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    UnfinishedStoreError
        If the ingest of this store was interrupted; the same command finishes it.
    FormatError
        If it is neither a store nor a source, or a store of a newer format.
    SourceError, DuplicateKeyError
        If the source or its table is damaged, or one key stands for two different images or rows.
    InvalidRequestError
        If it is a URL: stores in the cloud are not read yet; or if `metadata`, `key` or `package` are given for a
        store.

    Examples
    --------
    >>> import arraystore
    >>> with arraystore.open("bioscan5m/images/cropped_256") as source:
    ...     with arraystore.open("cropped_256.zarr") as store:
    ...         bool((source[5] == store[5]).all())
    True
    """
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    for each in paths:
        if "://" in os.fspath(each):
            raise InvalidRequestError(f"{each}: only what lies on a file system can be opened, no URLs")
    if len(paths) == 1 and (is_store(paths[0]) or not os.path.lexists(paths[0])):
        store = Store(open_store(paths[0]))
        given = {"metadata": metadata, "key": key, "package": package}
        for name, value in given.items():
            if value is not None:
                store.close()
                raise InvalidRequestError(f"{name}={value!r}: {paths[0]} is no source but a store, which has all of it")
        return store
    for each in paths:
        if is_store(each):
            raise InvalidRequestError(f"{each} is a store: it is opened alone, not together with {len(paths) - 1} more")
    # Imported here: who opens stores needs nothing of it.
    from arraystore.virtual.opened import open_source
    from arraystore.virtual.request import Request

    request = Request.of(paths, metadata=metadata, key=key, package=package)
    source = open_source(request, cache=switch("cache", cache))
    return Store(Handle(source.layout, source))
