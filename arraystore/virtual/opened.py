"""A source that is open as it is: its index, and the core's field over the places of its images."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arraystore import _core
from arraystore.errors import FormatError, SourceChangedError
from arraystore.format.arrays import PLACE_DTYPES, RAGGED_DTYPES
from arraystore.format.base import Layout
from arraystore.format.containers import open_layout
from arraystore.format.spec import FieldSpec, StoreSpec
from arraystore.virtual.cache import (
    FOLDER_VARIABLE,
    CacheUnusableError,
    build_in_cache,
    cache_folder,
    find_index,
    is_switched_on,
    usable_index,
)
from arraystore.virtual.request import Request, digest, path_field

if TYPE_CHECKING:
    from collections.abc import Mapping

_logger = logging.getLogger(__name__)


class OpenedSource:
    """A source with its index; made by `open_source`.

    Parameters
    ----------
    request : Request
        The source.
    layout : Layout
        Its index.
    cache : bool
        Whether the cache was asked for.
    is_temporary : bool
        Whether the index is removed when this object is released, or the process ends.
    """

    def __init__(self, request: Request, layout: Layout, *, cache: bool, is_temporary: bool) -> None:
        self.request = request
        self.layout = layout
        self.cache = cache
        places = [field for field in layout.spec.fields if field.kind == "place"]
        if len(places) != 1:
            raise FormatError(f"{layout.path}: expected an index with one field of places, found {len(places)}")
        self._field = places[0].name
        self._paths = path_field(self._field)
        # By this process alone: a forked child must not take it away from its parent.
        self._remove = weakref.finalize(self, _remove, layout.path, os.getpid()) if is_temporary else None

    @property
    def path(self) -> Path:
        """The first of the sources."""
        return Path(self.request.paths[0])

    @property
    def spec(self) -> StoreSpec:
        """What there is, as a store of the same source would say it."""
        spec = self.layout.spec
        fields = [FieldSpec(each.name, "jpeg") if each.kind == "place" else each for each in spec.fields]
        return replace(spec, fields=tuple(each for each in fields if each.name != self._paths))

    @property
    def is_temporary(self) -> bool:
        """Whether its index is removed when it is closed."""
        return self._remove is not None

    @property
    def image_field(self) -> str:
        """Name of the field of images."""
        return self._field

    def images(self, keys: _core.Keys | None, *, seek: str | None = None) -> _core.Field:
        """Return the images as the core reads them.

        Parameters
        ----------
        keys : Keys or None
            The keys, to name records in messages.
        seek : str, optional
            File of their seek tables.

        Returns
        -------
        Field
        """
        n, stamps = self.layout.spec.n, {path: (nbytes, ns) for path, nbytes, ns in self._watched()}
        sources = [(path, None if stamps[path][0] is None else stamps[path]) for path in self.request.paths]
        paths = None
        if any(field.name == self._paths for field in self.layout.spec.fields):
            paths = _core.Field(self._paths, n, **self._pieces(self._paths, RAGGED_DTYPES))
        return _core.Field.elsewhere(
            self._field,
            n,
            sources=sources,
            path=paths,
            keys=keys,
            seek=seek,
            **self._pieces(self._field, PLACE_DTYPES),
        )

    @property
    def state(self) -> str:
        """A text that changes when a file of the source does."""
        return digest(self._watched())

    def pickled(self) -> tuple[Request, bool, str, str]:
        """Return what `reopen_source` takes."""
        return self.request, self.cache, self.state, str(self.layout.path)

    def release(self) -> None:
        """Remove the index, if it is a temporary one."""
        if self._remove is not None:
            self._remove()

    def _watched(self) -> Any:
        return self.layout.spec.source["watched"]

    def _pieces(self, group: str, arrays: Mapping[str, str]) -> dict[str, Any]:
        return {array: self.layout.pieces(f"{group}/{array}") for array in arrays}


def open_source(request: Request, *, cache: bool, index: str | None = None) -> OpenedSource:
    """Open a source with the index that there is of it, or with a new one.

    Parameters
    ----------
    request : Request
        The source.
    cache : bool
        Whether the index may be taken from the cache folder, and kept there.
    index : str, optional
        An index that is worth a look first, since another process of the same program has opened it.

    Returns
    -------
    OpenedSource

    Raises
    ------
    FileNotFoundError
        If one of the sources or the table does not exist.
    FormatError
        If there is neither a store nor a source of images.
    SourceError, DuplicateKeyError, InvalidRequestError
        As for `arraystore.ingest`.
    """
    layout = None if index is None else usable_index(Path(index), request)
    if layout is not None:
        return OpenedSource(request, layout, cache=cache, is_temporary=False)
    for path in (*request.paths, *(request.metadata or ())):
        # With the error of the operating system, which says why.
        Path(path).stat()
    if cache and is_switched_on():
        layout = _from_cache(request)
        if layout is not None:
            return OpenedSource(request, layout, cache=cache, is_temporary=False)
    return _with_temporary_index(request, cache=cache)


def reopen_source(request: Request, cache: bool, state: str, index: str) -> OpenedSource:
    """Open a source that another process has open, with its index if that is still there.

    Parameters
    ----------
    request : Request
        The source.
    cache : bool
        Whether the cache was asked for.
    state : str
        What the source was there.
    index : str
        Directory of the index.

    Returns
    -------
    OpenedSource

    Raises
    ------
    SourceChangedError
        If the source has changed meanwhile: its rows may be others.
    """
    source = open_source(request, cache=cache, index=index)
    if source.state != state:
        source.release()
        raise SourceChangedError(
            f"{request.paths[0]} has changed since it was opened in another process: open it again there"
        )
    return source


def _from_cache(request: Request) -> Layout | None:
    try:
        layout = find_index(request)
        if layout is None:
            # Imported here: a process that finds its index made needs nothing of what makes one.
            from arraystore.virtual.index import build_index

            layout = build_in_cache(request, lambda path: build_index(request, path))
            if layout is None:
                _logger.info("%s: written to at this moment, so that its index is not kept", ", ".join(request.paths))
        return layout
    except CacheUnusableError as error:
        warnings.warn(
            f"the cache folder {cache_folder()} cannot be used: {error}. The index of {request.paths[0]} is made anew "
            f"each time it is opened; name another folder in {FOLDER_VARIABLE}, or open it with cache=False",
            stacklevel=4,
        )
        return None


def _with_temporary_index(request: Request, *, cache: bool) -> OpenedSource:
    from arraystore.virtual.index import build_index

    path = Path(tempfile.mkdtemp(prefix="arraystore-"))
    try:
        build_index(request, path)
        return OpenedSource(request, open_layout(path), cache=cache, is_temporary=True)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
