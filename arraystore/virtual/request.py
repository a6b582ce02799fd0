"""A source as it was asked for, what its index calls things, and whether its files are what they were."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

# Changes with the form of an index, so that no version of this package reads what another has written differently.
_INDEX_VERSION = 3

# Path, bytes (None of a folder), nanoseconds from 1970 to the last modification (None if there is nothing).
Stamp: TypeAlias = tuple[str, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Request:
    """A source as the user names it; all of its paths are absolute.

    Parameters
    ----------
    paths : tuple of str
        Folders and archives.
    metadata : tuple of str or None
        The metadata table and those that are joined to it, if any were named.
    key : str or None
        Its column that names the images, if one was named.
    package : str or None
        The publisher's package, if one was named.
    """

    paths: tuple[str, ...]
    metadata: tuple[str, ...] | None = None
    key: str | None = None
    package: str | None = None

    @classmethod
    def of(
        cls,
        paths: Sequence[str | os.PathLike[str]],
        *,
        metadata: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None,
        key: str | None,
        package: str | None,
    ) -> Request:
        """Make a request of what the caller gave."""
        tables = [metadata] if isinstance(metadata, str | os.PathLike) else metadata
        return cls(_absolute(paths), None if tables is None else _absolute(tables), key, package)

    @property
    def name(self) -> str:
        """Text for names of files: equal for equal requests to equal versions of this package."""
        from arraystore import _core

        facts = [_INDEX_VERSION, _core.__version__, asdict(self)]
        return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return what an index says of itself."""
        tables = None if self.metadata is None else list(self.metadata)
        return {**asdict(self), "paths": list(self.paths), "metadata": tables}


def _absolute(paths: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    return tuple(str(Path(path).absolute()) for path in paths)


def stamp_of(path: str) -> Stamp:
    """Return what tells whether a file or folder has changed.

    Parameters
    ----------
    path : str
        Its absolute path.

    Returns
    -------
    tuple
    """
    try:
        found = Path(path).stat()
    except OSError:
        return path, None, None
    return path, None if stat.S_ISDIR(found.st_mode) else found.st_size, found.st_mtime_ns


def are_unchanged(stamps: Iterable[Sequence[Any]]) -> bool:
    """Tell whether files and folders are as their stamps say."""
    return all(stamp_of(stamp[0]) == tuple(stamp) for stamp in stamps)


def digest(stamps: Sequence[Stamp]) -> str:
    """Return a text for names of files: equal for equal stamps."""
    return hashlib.blake2b(json.dumps(stamps).encode(), digest_size=8).hexdigest()


def path_field(image_field: str) -> str:
    """Return the name of the field that holds the path of each file of a folder; no field of a table is called so."""
    return f"{image_field}.path"
