"""From the `root` that a user names to an open store: published folders, archives, stores, or one that is open."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import arraystore
from arraystore.errors import DatasetNotFoundError, FormatError, InvalidRequestError, SourceError
from arraystore.reader.store import Store
from arraystore.reader.view import View

__all__ = ["Published", "Root", "open_root"]

PathLike: TypeAlias = str | os.PathLike[str]
Root: TypeAlias = PathLike | Sequence[PathLike] | Store | View


@dataclass(frozen=True)
class Published:
    """Where a publisher's files lie below the root.

    Attributes
    ----------
    dataset : str
        Publisher's name of the data set.
    images : sequence of sequence of str
        Places of folders of images and archives, with ``{package}``; the first of them that match anything count, all
        together.
    packages : sequence of str
        The publisher's packages.
    tables : sequence of str
        Places of the metadata table.
    spellings : mapping of str to sequence of str
        Names that folders of a package have besides its own; the first is what a store calls it.
    """

    dataset: str
    images: Sequence[Sequence[str]]
    packages: Sequence[str]
    tables: Sequence[str]
    spellings: Mapping[str, Sequence[str]]

    def names(self, package: str) -> Sequence[str]:
        """Return all names of a package, the store's first."""
        return next((names for names in self.spellings.values() if package in names), (package,))


def open_root(root: Root, published: Published, package: str, *, any_package: bool = False) -> Store | View:
    """Open what a user names as the root of a data set.

    Parameters
    ----------
    root : path-like, sequence of path-like, Store or View
        The folder that holds the published folder or archives; a store, by its path or open; archives.
    published : Published
        What to look for.
    package : str
        Which images.
    any_package : bool, default False
        Whether those of another package will do, or the table alone, since no image is asked for.

    Returns
    -------
    Store or View
        `root` itself if it is open.

    Raises
    ------
    DatasetNotFoundError
        If the images or the table are not there; an `OSError`, as of bioscan-dataset.
    InvalidRequestError
        If it holds another data set or package.
    """
    if isinstance(root, Store | View):
        return _checked(root, published, package, any_package=any_package)
    if isinstance(root, str | os.PathLike):
        path = Path(root).expanduser()
        if not path.exists():
            raise DatasetNotFoundError(f"{published.dataset}: there is nothing at {path}")
        paths = [path]
        for each in (package, *(published.packages if any_package else ())):
            if path.is_dir() and (found := _published_images(path, published, each)):
                return _opened(found, published, each, _table(path, published))
        if any_package and path.is_dir() and (table := _find_table(path, published)):
            paths = [table]
    else:
        paths = [Path(each).expanduser() for each in root]
    return _checked(_opened(paths, published, package, None), published, package, any_package=any_package)


def _published_images(root: Path, published: Published, package: str) -> list[Path]:
    for patterns in published.images:
        for name in published.names(package):
            found = {path for pattern in patterns for path in root.glob(pattern.format(package=name))}
            if found:
                return sorted(found)
    return []


def _find_table(root: Path, published: Published) -> Path | None:
    return next((root / name for name in published.tables if (root / name).is_file()), None)


def _table(root: Path, published: Published) -> Path:
    if found := _find_table(root, published):
        return found
    looked = " or ".join(published.tables)
    raise DatasetNotFoundError(f"{published.dataset}: the metadata table is missing: expected {looked} in {root}")


def _opened(paths: Sequence[Path], published: Published, package: str, table: Path | None) -> Store:
    try:
        try:
            return arraystore.open(list(paths), metadata=table)
        except SourceError as error:
            if error.code not in ("several-packages", "no-images"):
                raise
            return arraystore.open(list(paths), metadata=table, package=published.names(package)[0])
    except (SourceError, FormatError) as error:
        # A `FormatError` of a store, such as one that is not finished, has no cause.
        if error.code == "no-images" or isinstance(error.__cause__, SourceError):
            looked = ", ".join(str(path) for path in paths)
            expected = published.images[0][0].format(package=package)
            raise DatasetNotFoundError(
                f"{published.dataset}: no images of {package} in {looked}: expected {expected} below it ({error})"
            ) from error
        raise


def _checked(found: Store | View, published: Published, package: str, *, any_package: bool) -> Store | View:
    spec, place = found.handle.spec, found.handle.path
    if spec.dataset != published.dataset:
        raise InvalidRequestError(f"{place} holds {spec.dataset}, not {published.dataset}", "other-dataset")
    if not any_package and spec.package not in published.names(package):
        message = (
            f"{place} holds the images of {spec.package}, not of {package}: expected image_package={spec.package!r}"
        )
        if found.handle.source is not None:
            raise DatasetNotFoundError(f"{message}, or a folder of {package} below the root")
        raise InvalidRequestError(message, "other-package")
    return found
