"""Files that are there whole or not at all, and that outlast a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TEMPORARY = ".tmp"

_SYNCS_AT_ONCE = 16


def write_durably(path: Path, payload: bytes) -> None:
    """Write a file under a temporary name, sync it, rename it, sync its directory."""
    temporary = path.with_name(path.name + TEMPORARY)
    with temporary.open("wb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync(path.parent)


def sync_all(paths: Iterable[Path]) -> None:
    """Sync files or directories to disk."""
    # Imported here: who reads needs nothing of it.
    from concurrent.futures import ThreadPoolExecutor

    # At once, so that many syncs share one commit of the file system's journal.
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        list(pool.map(_sync, paths))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
