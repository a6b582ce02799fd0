"""Opening a store."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from arraystore.errors import InvalidRequestError
from arraystore.reader.handle import Handle
from arraystore.reader.records import Records

__all__ = ["Store", "open"]


class Store(Records):
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
        """Directory of the store, absolute."""
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
        return open, (str(self.handle.path),)

    def __repr__(self) -> str:
        spec = self.handle.spec
        kinds = ", ".join(f"{field.name} ({field.kind})" for field in spec.fields)
        closed = ", closed" if self.handle.closed else ""
        return f"Store({str(self.handle.path)!r}, {spec.n:,} records of {spec.dataset} {spec.package}: {kinds}{closed})"


def open(path: str | os.PathLike[str]) -> Store:
    """Open a store for reading; nothing but its root document is read yet.

    Parameters
    ----------
    path : path-like
        Directory of a Zarr store that `arraystore.ingest` wrote.

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
        If it is something else than a store, or one of a newer format.
    InvalidRequestError
        If it is a URL: stores in the cloud are not read yet.
    """
    if "://" in os.fspath(path):
        raise InvalidRequestError(f"{path}: only stores on a file system can be opened, not URLs")
    return Store(Handle(path))
