"""Where the seek tables of a store stand: beside it, so that a store that was written stays as it is."""

from __future__ import annotations

from pathlib import Path

__all__ = ["cached_seek_path", "seek_path"]


def seek_path(store: Path, field: str) -> Path:
    """Return where the seek tables of a field of JPEGs stand.

    Parameters
    ----------
    store : Path
        The store.
    field : str
        Name of the field.

    Returns
    -------
    Path
        Beside the store, under its name, that of the field and `.seek`. The file may be missing.
    """
    return store.with_name(f"{store.name}.{field}.seek")


def cached_seek_path(index: Path, field: str) -> Path:
    """Return where the seek tables of a source stand that is opened as it is.

    Parameters
    ----------
    index : Path
        The index of the source in the cache folder.
    field : str
        Name of the field.

    Returns
    -------
    Path
        Beside the index. The file may be missing.
    """
    return index.with_name(f"seek.{index.name}.{field}")
