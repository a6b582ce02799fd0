"""A directory of one writer, beside what it makes: files get their names once they are whole."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from arraystore.format.durable import TEMPORARY

__all__ = ["remove_if_abandoned", "workspace"]

_YOUNG_S = 60.0


@contextmanager
def workspace(folder: Path, name: str) -> Iterator[Path]:
    """Make a directory that is locked while its process lives, and remove those whose processes were killed.

    Parameters
    ----------
    folder : Path
        Where to make it.
    name : str
        What its name begins with: that of what is made. Each writer of it has a directory of its own.

    Yields
    ------
    Path
        The directory. It is removed at the end, with what is still in it.
    """
    for path in folder.glob(f"{glob.escape(name)}.*{TEMPORARY}"):
        remove_if_abandoned(path)
    temporary = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=TEMPORARY, dir=folder))
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        # Some network file systems know no locks.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield temporary
    finally:
        os.close(descriptor)
        shutil.rmtree(temporary, ignore_errors=True)


def remove_if_abandoned(path: Path) -> None:
    """Remove a directory that `workspace` has made, unless its process may still be at it.

    Parameters
    ----------
    path : Path
        The directory.
    """
    with suppress(OSError):
        if time.time() - path.stat().st_mtime < _YOUNG_S:
            # Perhaps its process has not locked it yet.
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)
