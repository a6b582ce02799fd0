"""A text file of keys, one a line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from arraystore.errors import InvalidRequestError, UnknownKeyError
from arraystore.reader.indexing import FindKeys, Rows

__all__ = ["rows_of_file"]

# Messages name so many of the keys that are wrong.
_NAMED_KEYS = 3


def rows_of_file(path: str | os.PathLike[str], find: FindKeys) -> Rows:
    """Return the rows of the keys in a file, in its order.

    Parameters
    ----------
    path : path-like
        A text file in UTF-8, with or without a byte order mark: one key a line. Empty lines and white space around
        keys do not count.
    find : callable
        Gives the rows of keys, -1 for the unknown; called once with all keys.

    Returns
    -------
    ndarray of int64, shape (k,)

    Raises
    ------
    UnknownKeyError
        If keys are unknown; says how many, and names the first three and their lines.
    InvalidRequestError
        If the file is not UTF-8.
    OSError
        If it cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{path}: a file of keys is text in UTF-8: {error}", "not-utf-8") from error
    numbered = [(number, key) for number, line in enumerate(lines, 1) if (key := line.strip())]
    rows = find([key for _, key in numbered])
    unknown = np.flatnonzero(rows < 0).tolist()
    if unknown:
        named = ", ".join(f"{numbered[i][1]!r:.100} (line {numbered[i][0]})" for i in unknown[:_NAMED_KEYS])
        more = f" and {len(unknown) - _NAMED_KEYS:,} more" if len(unknown) > _NAMED_KEYS else ""
        raise UnknownKeyError(f"{path}: {len(unknown):,} of {len(numbered):,} keys are unknown: {named}{more}")
    return rows
