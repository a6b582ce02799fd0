"""The data sets of a store in HDF5 against what its specification and the format say of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from arraystore import _core
from arraystore.errors import ArrayStoreError
from arraystore.format.base import COLUMNS, Advance, Problem
from arraystore.format.encoding import INDEX, members_of
from arraystore.format.hdf5_arrays import opened
from arraystore.format.hdf5_columns import Hdf5Column

if TYPE_CHECKING:
    import h5py

    from arraystore.format.hdf5 import Hdf5Layout

# What a data set that cannot be read may raise, from us, the system and h5py.
_UNREADABLE = (ArrayStoreError, OSError, RuntimeError, ValueError, KeyError, TypeError)


def check_file(layout: Hdf5Layout, advance: Advance) -> Iterator[Problem]:
    """Name all that is wrong with a store in HDF5, but for the bytes of its records.

    Parameters
    ----------
    layout : Hdf5Layout
        The store.
    advance : callable
        Called with the number of data sets so far, of those that have a checksum.

    Yields
    ------
    Problem
    """
    yield from _check_arrays(layout)
    with opened(layout.path) as file:
        yield from _check_strays(layout, file)
        yield from _check_columns(layout, file)
        yield from _check_checksums(layout, file, advance)


def _check_arrays(layout: Hdf5Layout) -> Iterator[Problem]:
    for path in layout.arrays:
        try:
            layout.place(path)
        except ArrayStoreError as error:
            yield Problem("document", path, str(error))
        else:
            if not path.endswith("/data") and path not in layout.spec.checksums:
                yield Problem("document", path, "the store has no checksum for this data set")


def _check_strays(layout: Hdf5Layout, file: h5py.File) -> Iterator[Problem]:
    import h5py

    found: list[str] = []
    file.visititems(lambda name, node: found.append(name) if not isinstance(node, h5py.Group) else None)
    expected = {*layout.arrays, *layout.spec.checksums}
    for name in sorted(set(found) - expected):
        yield Problem("stray-data-set", name, "no part of the store; remove it if you don't know it")


def _check_columns(layout: Hdf5Layout, file: h5py.File) -> Iterator[Problem]:
    """Compare the tree of columns with the checksums: attributes have none of their own."""
    expected = {path for path in layout.spec.checksums if path.startswith(f"{COLUMNS}/")}
    try:
        names = [layout.spec.key, *layout.column_names]
        if file[COLUMNS].attrs.get(INDEX) != layout.spec.key:
            yield Problem("document", COLUMNS, f"the index is not {layout.spec.key!r}")
    except _UNREADABLE as error:
        yield Problem("document", COLUMNS, str(error))
        return
    for name in names:
        path = f"{COLUMNS}/{name}"
        try:
            members = members_of(Hdf5Column(file, name, layout.spec.checksums))
        except _UNREADABLE as error:
            yield Problem("document", path, str(error))
            expected -= {each for each in expected if each == path or each.startswith(f"{path}/")}
            continue
        own = {f"{path}/{member}" for member in members} if members else {path}
        for each in sorted(own - expected):
            yield Problem("document", each, "the store has no checksum for this data set")
        expected -= own
    for each in sorted(expected):
        yield Problem("document", each, f"a data set of no column in {COLUMNS}")


def _check_checksums(layout: Hdf5Layout, file: h5py.File, advance: Advance) -> Iterator[Problem]:
    for done, (path, expected) in enumerate(layout.spec.checksums.items(), 1):
        try:
            found = _checksum(layout, file, path)
        except _UNREADABLE as error:
            # The form of an array was named with the arrays.
            if path not in layout.arrays:
                yield Problem("unreadable", path, f"cannot be read: {error}")
        else:
            if found != expected:
                yield Problem("checksum", path, f"expected CRC-32C {expected:08x}, found {found:08x}")
        advance(done, 0)


def _checksum(layout: Hdf5Layout, file: h5py.File, path: str) -> int:
    if path in layout.arrays:
        offset, nbytes = layout.place(path)
        return _core.file_crc32c(str(layout.path), offset=offset, nbytes=nbytes)
    name, _, member = path.removeprefix(f"{COLUMNS}/").partition("/")
    return Hdf5Column(file, name, layout.spec.checksums).checksum(member)
