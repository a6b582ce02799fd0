"""The data sets of a publisher's HDF5 file as members: where the bytes of each lie, without reading them."""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import SourceError
from arraystore.sources.archive import column

if TYPE_CHECKING:
    from arraystore._core import Members

# The core's numbers of encodings.
PLAIN, PIXELS_RGB, PIXELS_GRAY, INDIRECT = 0, 3, 4, 5

_SUFFIXES = (".hdf5", ".h5", ".hdf")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_REPORT_EVERY = 4096
_MOST_PIXELS = 65_535
_LAYOUTS = {0: "compact", 1: "external", 2: "chunked", 3: "virtual"}

_logger = logging.getLogger(__name__)


def is_hdf5(path: Path) -> bool:
    """Tell whether a file is to be read as HDF5: it is called so, or begins so.

    Parameters
    ----------
    path : Path
        A file or a folder, which is none.

    Returns
    -------
    bool
    """
    if not path.is_file():
        return False
    if path.suffix.lower() in _SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open a source for reading.

    Parameters
    ----------
    path : Path
        An HDF5 file.

    Yields
    ------
    h5py.File

    Raises
    ------
    SourceError
        If it is none, is cut short, is being written, or is a store.
    FileNotFoundError
        If there is no file.
    """
    import h5py

    with path.open("rb") as file:
        is_empty = not file.read(1)
    try:
        opened = h5py.File(path, "r")
    except OSError as error:
        raise SourceError(f"{path}: {_why_not(path, error, is_empty=is_empty)}", "no-hdf5") from error
    with opened as file:
        if "arraystore" in file.attrs:
            raise SourceError(f"{path} is a store already, no source: open it as it is", "store-as-source")
        yield file


def _why_not(path: Path, error: OSError, *, is_empty: bool) -> str:
    import h5py

    words = str(error)
    if isinstance(error, BlockingIOError) or "unable to lock" in words or "already open for write" in words:
        return (
            "the HDF5 file is open for writing in another process: wait until that is finished and closed; if nobody "
            "writes to it, clear its mark with `h5clear -s FILE` of the HDF5 tools"
        )
    if "truncated file" in words:
        return f"the HDF5 file is cut short: fetch it again ({words})"
    if is_empty or not h5py.is_hdf5(path):
        return f"expected an HDF5 file, found {'an empty file' if is_empty else 'something else'}"
    return f"the HDF5 file cannot be opened: {words}"


@dataclass(slots=True)
class Listing:
    """Members while they are being found: numbers in arrays, names one after another."""

    directories: list[str] = field(default_factory=list)
    names: bytearray = field(default_factory=bytearray)
    ends: array[int] = field(default_factory=lambda: array("Q", [0]))
    numbers: Mapping[str, array[int]] = field(
        default_factory=lambda: {
            **{name: array("I") for name in ("directory", "encoding", "height", "width")},
            **{name: array("Q") for name in ("offset", "nbytes")},
        }
    )
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def add(self, name: bytes, place: Place) -> None:
        """Append one member of the last directory."""
        self.names += name
        self.ends.append(len(self.names))
        numbers = self.numbers
        numbers["directory"].append(len(self.directories) - 1)
        numbers["encoding"].append(place.encoding)
        numbers["offset"].append(place.offset)
        numbers["nbytes"].append(place.nbytes)
        numbers["height"].append(place.height)
        numbers["width"].append(place.width)

    def members(self, path: Path) -> Members:
        """Return all of them as members of the file."""
        from arraystore import _core

        names = _core.Strings(np.frombuffer(self.names, np.uint8), np.frombuffer(self.ends, np.uint64))
        return _core.Members.of_file(
            str(path), directories=self.directories, names=names, skipped=self.skipped, **self.numbers
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where the record of one data set is, and how it is to be read."""

    encoding: int
    offset: int
    nbytes: int
    height: int = 0
    width: int = 0


class _NoRecordError(Exception):
    """A data set that is no image, whatever it is called; says why."""


def scan_hdf5(
    path: Path, *, with_indirect: bool = False, progress: Callable[[int, int], None] | None = None
) -> Members:
    """List the data sets of an HDF5 file, without reading any of them.

    A record is a scalar string of fixed size or an opaque value (its bytes, with all zeros at their end), a row of
    uint8 (its bytes), or pixels, uint8 of the shape (height, width, 3) or (height, width), which become a binary PPM or
    PGM. A string of one zero byte is what an empty file becomes in HDF5, so it is an empty record; so is a data set
    without any storage.

    Parameters
    ----------
    path : Path
        The file.
    with_indirect : bool, default False
        Whether data sets are listed that only the HDF5 library can read, since they are compact, chunked, external or
        of variable length: an ingest reads them with `spill_indirect`. They are named in `skipped` otherwise.
    progress : callable, optional
        Called with the numbers of data sets and bytes so far.

    Returns
    -------
    Members

    Raises
    ------
    SourceError
        If it is no HDF5 file, is cut short, is being written, or is a store.
    """
    from arraystore.sources import clibd_rows

    with open_hdf5(path) as file, path.open("rb") as raw:
        if clibd_rows.is_clibd(file):
            if not with_indirect:
                raise SourceError(f"{path}: its images are rows of padded arrays, which only an ingest reads")
            return clibd_rows.scan_rows(path, file, progress or _ignore)
        scan = _Scan(path, raw.fileno(), with_indirect, progress or _ignore)
        scan.group(file.id, "")
    scan.report()
    return scan.listing.members(path)


def _ignore(_members: int, _nbytes: int) -> None:
    pass


class _Scan:
    """One pass over the links of a file, with h5py's low-level functions: no `h5py.Dataset` is made."""

    def __init__(self, path: Path, descriptor: int, with_indirect: bool, progress: Callable[[int, int], None]) -> None:
        self.path = path
        self.listing = Listing()
        self._descriptor = descriptor
        self._with_indirect = with_indirect
        self._progress = progress
        self._seen: set[int] = set()
        self._looked_at = 0

    def report(self) -> None:
        self._progress(self._looked_at, 0)

    def group(self, group: Any, name: str) -> None:
        """List the data sets of a group, then those of the groups in it."""
        from h5py import h5l, h5o

        address = h5o.get_info(group).addr
        if address in self._seen:
            return
        self._seen.add(address)
        self.listing.directories.append(name)
        groups: list[bytes] = []

        def visit(link: bytes, info: Any) -> None:
            self._looked_at += 1
            if self._looked_at % _REPORT_EVERY == 0:
                self.report()
            if info.type != h5l.TYPE_HARD:
                self._skip(name, link, "a soft or external link")
            elif not self._add(group, name, link):
                groups.append(link)

        group.links.iterate(visit, info=True)
        for link in groups:
            below = link.decode("utf-8", "backslashreplace")
            self.group(h5o.open(group, link), f"{name}/{below}" if name else below)

    def _add(self, group: Any, directory: str, link: bytes) -> bool:
        """List one data set; return False if it is a group."""
        from h5py import h5d, h5g, h5o

        try:
            opened = h5o.open(group, link)
        # h5py raises whatever the library's error class stands for.
        except Exception as error:  # noqa: BLE001
            self._skip(directory, link, f"it cannot be opened: {error}")
            return True
        if isinstance(opened, h5g.GroupID):
            return False
        if not isinstance(opened, h5d.DatasetID):
            self._skip(directory, link, "a type, no data set")
            return True
        try:
            link.decode()
            place = _place(opened, self._descriptor)
        except UnicodeDecodeError:
            self._skip(directory, link, "its name is not UTF-8")
        except (_NoRecordError, OSError, RuntimeError, ValueError, KeyError) as error:
            self._skip(directory, link, str(error))
        else:
            if place.encoding == INDIRECT and not self._with_indirect:
                self._skip(directory, link, f"{_layout(opened)}: it cannot be read in place, only by an ingest")
            else:
                self.listing.add(link, place)
        return True

    def _skip(self, directory: str, link: bytes, reason: str) -> None:
        name = link.decode("utf-8", "backslashreplace")
        self.listing.skipped.append(("/".join(part for part in (str(self.path), directory, name) if part), reason))


def _place(data: Any, descriptor: int) -> Place:
    encoding, nbytes, height, width = _form(data)
    stored = data.get_storage_size()
    if stored == 0:
        # Never written, or of no items. The offset means nothing then: with a user block it is not even undefined.
        return Place(PLAIN, 0, 0)
    offset = data.get_offset()
    if offset is None or encoding == INDIRECT:
        return Place(INDIRECT, 0, nbytes + len(_pixel_header(height, width, encoding)), height, width)
    if stored != nbytes:
        raise _NoRecordError(f"expected {nbytes:,} bytes in the file, found {stored:,}")
    if nbytes == 1 and not data.shape and os.pread(descriptor, 1, offset) == b"\0":
        return Place(PLAIN, 0, 0)
    return Place(encoding, offset, nbytes, height, width)


def _form(data: Any) -> tuple[int, int, int, int]:
    """Tell how the bytes of a data set become a record: encoding, bytes, height, width."""
    from h5py import h5t

    kind, shape = data.get_type(), data.shape
    is_string = isinstance(kind, h5t.TypeStringID)
    if (is_string or isinstance(kind, h5t.TypeOpaqueID)) and not shape:
        if is_string and kind.is_variable_str():
            return INDIRECT, len(_value(data)) if data.get_storage_size() else 0, 0, 0
        return PLAIN, kind.get_size(), 0, 0
    if isinstance(kind, h5t.TypeIntegerID) and kind.get_size() == 1 and kind.get_sign() == h5t.SGN_NONE:
        if len(shape) == 1:
            return PLAIN, shape[0], 0, 0
        if len(shape) == 2 or (len(shape) == 3 and shape[2] == 3):
            if max(shape) > _MOST_PIXELS:
                raise _NoRecordError(f"pixels of the shape {shape}: at most {_MOST_PIXELS:,} along a side")
            encoding, channels = (PIXELS_GRAY, 1) if len(shape) == 2 else (PIXELS_RGB, 3)
            return encoding, shape[0] * shape[1] * channels, shape[0], shape[1]
    raise _NoRecordError(f"expected the bytes of an image, or its pixels, found {kind.dtype} of the shape {shape}")


def _pixel_header(height: int, width: int, encoding: int) -> bytes:
    magic = {PIXELS_RGB: "P6", PIXELS_GRAY: "P5"}.get(encoding)
    return b"" if magic is None else f"{magic}\n{width} {height}\n255\n".encode()


def _layout(data: Any) -> str:
    from h5py import h5t

    kind = data.get_type()
    if isinstance(kind, h5t.TypeStringID) and kind.is_variable_str():
        return "of variable length"
    return _LAYOUTS.get(data.get_create_plist().get_layout(), "of a layout of its own")


def _value(data: Any) -> bytes:
    """Return the record of a data set through the HDF5 library."""
    import h5py

    opened = h5py.Dataset(data)
    if opened.dtype.kind == "O":
        value = opened[()]
        return bytes(value) if isinstance(value, bytes) else str(value).encode()
    if opened.dtype.kind == "S" or opened.ndim == 0:
        # Never `opened[()]`, which drops the zeros at the end.
        return np.array(opened).tobytes()
    encoding, _, height, width = _form(data)
    return _pixel_header(height, width, encoding) + bytes(opened[()].tobytes())


def spill_indirect(members: Members, indices: npt.NDArray[np.int64], path: Path) -> None:
    """Read what only the HDF5 library can read, and write it to a file in which the members then find it.

    What it cannot read either is left out: such a record has no bytes, and the status of one that is unreadable.

    Parameters
    ----------
    members : Members
        As scanned `with_indirect`.
    indices : ndarray of int64
        The members that are wanted.
    path : Path
        The file to write.
    """
    import h5py

    from arraystore.sources import clibd_rows

    wanted = indices[column(members.encoding, np.uint8)[indices] == INDIRECT]
    if not len(wanted):
        return
    source = column(members.source, np.uint16)[wanted]
    kept: list[int] = []
    offsets: list[int] = []
    with path.open("w+b") as spill:
        for number in np.unique(source).tolist():
            name = members.sources[number]
            with open_hdf5(Path(name)) as file:
                if clibd_rows.is_clibd(file):
                    written, places = clibd_rows.spill_rows(members, number, file, spill)
                    kept += written.tolist()
                    offsets += places.tolist()
                    continue
                for index in wanted[source == number].tolist():
                    inside = members.path(index)[len(name) + 1 :]
                    try:
                        value = _value(h5py.h5d.open(file.id, inside.encode()))
                    # A damaged chunk, a filter that is not installed: h5py raises whatever the error class stands for.
                    except Exception as error:  # noqa: BLE001
                        _logger.warning("%s cannot be read: %s", members.path(index), error)
                        continue
                    kept.append(index)
                    offsets.append(spill.tell())
                    spill.write(value)
    members.spilled_to(str(path), np.array(kept, np.uint64), np.array(offsets, np.uint64))


def join(parts: Sequence[Members]) -> Members:
    """Return the members of several scans as those of one.

    Parameters
    ----------
    parts : sequence of Members
        At least one.

    Returns
    -------
    Members
    """
    from arraystore import _core

    return parts[0] if len(parts) == 1 else _core.join_members(list(parts))
