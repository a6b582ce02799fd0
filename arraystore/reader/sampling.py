"""Rows drawn without replacement, the same on every machine; pure."""

from __future__ import annotations

import numpy as np

from arraystore.reader.arguments import integer
from arraystore.reader.indexing import Rows

__all__ = ["sample_rows"]


def sample_rows(n: int, length: int, *, seed: int) -> Rows:
    """Draw distinct rows.

    Each row is given a 64-bit number, row `i` the `i`-th of ``numpy.random.PCG64(seed)``, and those with the smallest
    are drawn. NumPy promises that raw numbers never change, which it does not of ``Generator.choice``.

    Parameters
    ----------
    n : int
        How many.
    length : int
        Number of rows to draw from.
    seed : int
        From 0 to ``2**64 - 1``.

    Returns
    -------
    ndarray of int64, shape (n,)
        In the order drawn, so that a smaller sample is the beginning of a larger one.

    Raises
    ------
    InvalidRequestError
        If there are fewer rows than `n`, or an argument is no such integer.

    Examples
    --------
    >>> sample_rows(3, 10, seed=0).tolist(), sample_rows(5, 10, seed=0).tolist()
    ([3, 2, 1], [3, 2, 1, 8, 6])
    """
    count = integer("n", n, least=0, most=length)
    numbers = np.random.PCG64(integer("seed", seed, least=0, most=2**64 - 1)).random_raw(length)
    if count == 0:
        return np.zeros(0, np.int64)
    # Only what is drawn is sorted; by row, should two numbers be equal.
    last = np.partition(numbers, count - 1)[count - 1]
    candidates = np.flatnonzero(numbers <= last)
    return candidates[np.argsort(numbers[candidates], kind="stable")[:count]].astype(np.int64, copy=False)
