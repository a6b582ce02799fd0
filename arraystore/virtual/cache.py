"""The cache folder, in which the indexes of sources are kept from one process to the next."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from arraystore.errors import ArrayStoreError
from arraystore.format.base import Layout
from arraystore.format.containers import open_layout
from arraystore.format.durable import TEMPORARY
from arraystore.format.seek import cached_seek_path
from arraystore.format.workspace import remove_if_abandoned, workspace
from arraystore.sources.registry import published_as, publisher_of_table
from arraystore.virtual.request import Request, are_unchanged, digest

FOLDER_VARIABLE = "ARRAYSTORE_CACHE_DIR"
SWITCH_VARIABLE = "ARRAYSTORE_CACHE"

_OFF = ("0", "no", "off", "false")
# A file system that is full or read-only; any other error is of the source.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

_logger = logging.getLogger(__name__)


class CacheUnusableError(Exception):
    """The cache folder cannot be written to."""


def is_switched_on() -> bool:
    """Tell whether the environment allows a cache: it does unless `ARRAYSTORE_CACHE` is 0."""
    return os.environ.get(SWITCH_VARIABLE, "").strip().lower() not in _OFF


def cache_folder() -> Path:
    """Return `ARRAYSTORE_CACHE_DIR`, or the place for caches that is usual on this system."""
    named = os.environ.get(FOLDER_VARIABLE, "").strip()
    if named:
        return Path(named).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("arraystore", appauthor=False)


def usable_index(path: Path, request: Request) -> Layout | None:
    """Open an index, if it is whole and its sources are what they were.

    Parameters
    ----------
    path : Path
        Directory of the index.
    request : Request
        What it must be the index of.

    Returns
    -------
    Layout or None
        None for an index that is to be made again.
    """
    try:
        layout = open_layout(path)
        if not _is_current(layout, request):
            _logger.info("%s: the index of %s is stale", path, ", ".join(request.paths))
            return None
        problem = next(layout.check_files(lambda files, nbytes: None), None)  # noqa: ARG005
    except FileNotFoundError:
        return None
    # Whatever a damaged document makes of the types in it.
    except (ArrayStoreError, OSError, KeyError, TypeError, ValueError) as error:
        _logger.info("%s: the index is damaged: %s", path, error)
        return None
    if problem is not None:
        _logger.info("%s: the index is damaged: %s", path, problem)
        return None
    return layout


def _is_current(layout: Layout, request: Request) -> bool:
    source = dict(layout.spec.source)
    watched, tables = source.pop("watched"), source.pop("tables")
    if source != request.to_json() or not are_unchanged(watched):
        return False
    if request.metadata is not None:
        return True
    # A table may have come to its published place since, or before the one that was found.
    publisher, paths = published_as(layout.spec.dataset), [Path(path) for path in request.paths]
    found = publisher.find_table(paths) if publisher_of_table(paths) is None else paths[0]
    published = [] if found is None else [found, *publisher.find_extra_tables(found)]
    return bool([str(path) for path in published] == tables)


def find_index(request: Request) -> Layout | None:
    """Return the index of a source from the cache folder, if there is one that can be used."""
    for path in _entries(cache_folder(), request):
        layout = usable_index(path, request)
        if layout is not None:
            return layout
    return None


def build_in_cache(request: Request, build: Callable[[Path], bool]) -> Layout | None:
    """Make an index in the cache folder, and remove older ones of the same source.

    Parameters
    ----------
    request : Request
        The source.
    build : callable
        Writes the index into an empty directory; returns whether it may be kept.

    Returns
    -------
    Layout or None
        None if it may not be kept.

    Raises
    ------
    CacheUnusableError
        If the cache folder cannot be written to, or is full.
    """
    folder = cache_folder()
    with _workspace(folder, request) as temporary:
        try:
            if not build(temporary):
                return None
        except OSError as error:
            if error.errno in _UNWRITABLE:
                raise CacheUnusableError(str(error)) from error
            raise
        path = folder / f"{request.name}-{digest(open_layout(temporary).spec.source['watched'])}"
        layout = _put(temporary, path, request)
    for other in _entries(folder, request):
        if other != layout.path:
            _logger.info("%s: removed, it was of an older state of %s", other, ", ".join(request.paths))
            shutil.rmtree(other, ignore_errors=True)
            for tables in folder.glob(cached_seek_path(other, "*").name):
                # Those of a writer that was killed stand in a directory.
                remove_if_abandoned(tables) if tables.is_dir() else tables.unlink(missing_ok=True)
    return layout


def _entries(folder: Path, request: Request) -> list[Path]:
    return sorted(folder.glob(f"{request.name}-*"))


@contextmanager
def _workspace(folder: Path, request: Request) -> Iterator[Path]:
    """Make a directory for an index that is not whole yet."""
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(workspace(folder, request.name))
        except OSError as error:
            raise CacheUnusableError(str(error)) from error
        yield temporary


def _put(temporary: Path, path: Path, request: Request) -> Layout:
    """Give an index its name, unless another process has put one there that is as good."""
    try:
        temporary.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise CacheUnusableError(str(error)) from error
        layout = usable_index(path, request)
        if layout is not None:
            return layout
        # It is damaged. Renamed first, so that nobody finds half of it; unless somebody else has done so already.
        with suppress(FileNotFoundError):
            shutil.rmtree(path.rename(temporary.with_name(f"{temporary.name}.old{TEMPORARY}")), ignore_errors=True)
        return _put(temporary, path, request)
    return open_layout(path)
