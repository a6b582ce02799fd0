"""Memory that is used again once nobody looks at it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Memory", "NewMemory", "Ring"]


class Memory(Protocol):
    """Where arrays that the core fills lie."""

    nbytes: int

    def lend(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return a C-contiguous array of up to `nbytes` bytes, with any content."""
        ...


# Makes memory for arrays of up to some bytes, of which so many are looked at at the same time.
NewMemory: TypeAlias = Callable[[int, int], Memory]


# Bytes of a line of the cache. JAX copies what begins anywhere else.
_ALIGNMENT = 64


class Ring:
    """Blocks of memory, lent as arrays. A block is lent again when no array, view or tensor over it is left.

    Parameters
    ----------
    nbytes : int
        Bytes of a block.
    most : int
        Blocks that are kept while nobody needs them.
    """

    def __init__(self, nbytes: int, most: int) -> None:
        self.nbytes = nbytes
        self.most = most
        self._free: list[npt.NDArray[np.uint8]] = []

    def lend(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array with any content, over a free block or a new one.

        Parameters
        ----------
        shape : tuple of int
            Of the array, which must fit into a block.
        dtype : dtype
            Its type.

        Returns
        -------
        ndarray
        """
        try:
            block = self._free.pop()
        except IndexError:
            block = _aligned(self.nbytes)
        wanted = np.dtype(dtype)
        nbytes = wanted.itemsize * math.prod(shape)
        # Over a memoryview, NumPy cannot take the block itself for the base of arrays: all of them keep this one alive.
        lent = np.frombuffer(block.data, np.uint8, nbytes)
        weakref.finalize(lent, _take_back, self._free, block, self.most).atexit = False
        return lent.view(wanted).reshape(shape)


def _aligned(nbytes: int) -> npt.NDArray[np.uint8]:
    block = np.empty(nbytes + _ALIGNMENT - 1, np.uint8)
    start = -block.ctypes.data % _ALIGNMENT
    return block[start : start + nbytes]


def _take_back(free: list[npt.NDArray[np.uint8]], block: npt.NDArray[np.uint8], most: int) -> None:
    if len(free) < most:
        free.append(block)
