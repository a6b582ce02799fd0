"""The file that HDF5 lays a store out in: one that never tells it that the disk is full."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt


class Disk:
    """A file for h5py's driver `fileobj`.

    HDF5 crashes the process when it closes a file after a write has failed (2.0.0). So it is not told: from the first
    failure on, what it writes is kept in memory, and `check` tells us.

    Parameters
    ----------
    path : Path
        The file, overwritten if it exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        self._position = 0
        self._nbytes = 0
        self._error: OSError | None = None
        self._kept: list[tuple[int, npt.NDArray[np.uint8]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise the first OSError of a write, if there was one."""
        if self._error is not None:
            raise OSError(self._error.errno, self._error.strerror, str(self._path)) from self._error

    # ---- what h5py calls ----

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._nbytes}[whence]
        return self._position

    def tell(self) -> int:
        """Return the offset."""
        return self._position

    def write(self, content: memoryview) -> int:
        """Write all of it."""
        offset, self._position = self._position, self._position + len(content)
        self._nbytes = max(self._nbytes, self._position)
        done = 0
        try:
            while done < len(content) and self._error is None:
                done += os.pwrite(self._descriptor, content[done:], offset + done)
        except OSError as error:
            self._error = error
        if done < len(content):
            self._kept.append((offset, np.array(content, np.uint8)))
        return len(content)

    def read(self, nbytes: int) -> bytes:
        """Return bytes from the offset on; h5py looks for this method, and calls the next."""
        out = bytearray(nbytes)
        self.readinto(memoryview(out))
        return bytes(out)

    def readinto(self, out: memoryview) -> int:
        """Read what was written; the rest of the file is zeros."""
        values = np.frombuffer(out, np.uint8)
        values[:] = 0
        start, stop = self._position, self._position + len(values)
        self._position = stop
        content = os.pread(self._descriptor, len(values), start)
        values[: len(content)] = np.frombuffer(content, np.uint8)
        for offset, kept in self._kept:
            first, last = max(start, offset), min(stop, offset + len(kept))
            if first < last:
                values[first - start : last - start] = kept[first - offset : last - offset]
        return len(values)

    def truncate(self, nbytes: int) -> int:
        """Give the file a length."""
        self._nbytes = nbytes
        try:
            os.ftruncate(self._descriptor, nbytes)
        except OSError as error:
            self._error = self._error or error
        return nbytes

    def flush(self) -> None:
        """Do nothing: nothing is buffered here, and the file is synced when it is whole."""
