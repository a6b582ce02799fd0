"""One record for each barcode, chosen as bioscan-dataset chooses it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["first_of_each_barcode"]

# So many texts are in memory at a time.
_BLOCK_ROWS = 65_536
_DIGEST_NBYTES = 16


def first_of_each_barcode(
    rows: npt.NDArray[np.int64], barcodes: Callable[[npt.NDArray[np.int64]], Sequence[str | None]]
) -> npt.NDArray[np.int64]:
    """Return one row for each barcode, in ascending order of the rows' positions.

    All rows are shuffled as ``DataFrame.sample(frac=1, random_state=0)`` does, and the first of each barcode stays.
    Barcodes that differ in trailing ``N`` only are equal, and so are missing ones.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
        All rows of the table.
    barcodes : callable
        Gives the barcodes of some rows, None for a missing one.

    Returns
    -------
    ndarray of int64, shape (k,)
        Some of `rows`, in their order.

    Examples
    --------
    >>> texts = ["ACGT", "ACGTNN", None, "AC", None]
    >>> first_of_each_barcode(np.arange(5), lambda rows: [texts[row] for row in rows]).tolist()
    [0, 2, 3]
    """
    # 128 bits: two of five million barcodes are mistaken for one with a probability below 1e-25.
    digests = np.zeros((len(rows), _DIGEST_NBYTES), np.uint8)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        digests[block] = np.frombuffer(b"".join(map(_digest, barcodes(rows[block]))), np.uint8).reshape(
            -1, _DIGEST_NBYTES
        )
    # The old generator, since pandas draws from it.
    shuffled = np.random.RandomState(0).permutation(len(rows))
    high, low = digests.view(np.uint64).reshape(len(rows), 2)[shuffled].T
    # Stable, so that the first in shuffled order is the first of its group.
    grouped = np.lexsort((low, high))
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = (np.diff(high[grouped]) != 0) | (np.diff(low[grouped]) != 0)
    return np.asarray(rows[np.sort(shuffled[grouped[is_first]])])


def _digest(barcode: str | None) -> bytes:
    if barcode is None:
        return bytes(_DIGEST_NBYTES)
    return hashlib.blake2b(barcode.rstrip("N").encode(), digest_size=_DIGEST_NBYTES).digest()
