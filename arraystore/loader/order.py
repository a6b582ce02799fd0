"""Which records come when: the order of an epoch, and the share of it that one loader has. Pure.

A *position* counts the records of an epoch as all loaders together give them. An order says which row stands at a
position; a share says which positions belong to a batch of one loader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import InvalidRequestError
from arraystore.reader.indexing import Rows

__all__ = ["Drawn", "Order", "Share", "Shuffled", "Straight", "Windowed"]

# Rows of neighbours that stay together, half a megabyte of small images, and how many such blocks are mixed.
WINDOW_BLOCK = 64
WINDOW_BLOCKS = 256


class Order(Protocol):
    """Says which row stands at a position of an epoch."""

    def rows(self, positions: Rows, *, seed: int, epoch: int) -> Rows:
        """Return the rows at some positions, which lie in the table."""
        ...


@dataclass(frozen=True, slots=True)
class Straight:
    """The rows as they are."""

    def rows(self, positions: Rows, *, seed: int, epoch: int) -> Rows:  # noqa: ARG002 (those of all orders)
        """Return the positions themselves."""
        return positions


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Any row at any place; nothing is kept in memory.

    Attributes
    ----------
    n : int
        Number of rows.
    """

    n: int

    def rows(self, positions: Rows, *, seed: int, epoch: int) -> Rows:
        """Return the rows of a permutation."""
        return np.asarray(_core.order(positions, n=self.n, seed=seed, epoch=epoch, window=None))


@dataclass(frozen=True, slots=True, eq=False)
class Windowed:
    """Blocks of neighbours in random order, the rows of each few blocks mixed.

    Attributes
    ----------
    n : int
        Number of rows.
    by_place : ndarray of int64, shape (n,), optional
        The rows in the order in which their bytes lie, where that is not the order of the rows.
    block, blocks : int
        Rows of a block, and blocks of a window.
    """

    n: int
    by_place: Rows | None = None
    block: int = WINDOW_BLOCK
    blocks: int = WINDOW_BLOCKS

    def rows(self, positions: Rows, *, seed: int, epoch: int) -> Rows:
        """Return the rows of a permutation."""
        window = (self.block, self.blocks)
        places = np.asarray(_core.order(positions, n=self.n, seed=seed, epoch=epoch, window=window))
        return places if self.by_place is None else self.by_place[places]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A row for each position, drawn with replacement.

    Attributes
    ----------
    sums : ndarray of float64, shape (n,)
        The sum of the weights up to and with each row.
    """

    sums: npt.NDArray[np.float64]

    @classmethod
    def of(cls, weights: npt.ArrayLike, n: int) -> Drawn:
        """Make the order of some weights.

        Raises
        ------
        InvalidRequestError
            If they are not `n` numbers from 0 on, of which one is positive.
        """
        try:
            values = np.asarray(weights, np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(f"weights: expected {n:,} numbers: {error}") from error
        if values.shape != (n,) or not (np.isfinite(values) & (values >= 0)).all() or not values.any():
            raise InvalidRequestError(
                f"weights: expected {n:,} finite numbers from 0 on, not all 0, found {values.dtype} of shape "
                f"{values.shape}"
            )
        return cls(np.cumsum(values))

    def rows(self, positions: Rows, *, seed: int, epoch: int) -> Rows:
        """Return drawn rows."""
        units = np.asarray(_core.units(positions, seed=seed, epoch=epoch))
        drawn = np.searchsorted(self.sums, units * self.sums[-1], side="right")
        # A product that is rounded up to the whole sum would find nothing.
        rows: Rows = np.minimum(drawn, np.searchsorted(self.sums, self.sums[-1])).astype(np.int64)
        return rows


@dataclass(frozen=True, slots=True)
class Share:
    """The positions that belong to one loader: every `world_size`-th from its rank on, its batches to workers in turn.

    Attributes
    ----------
    n : int
        Number of records.
    batch_size : int
        Records of a batch.
    rank, world_size : int
        Which loader this is, and of how many.
    worker, workers : int
        The same of processes that share the batches of a rank.
    drop_last : bool
        Whether records that do not fill all ranks, and batches that are not full, are left out. Else the first
        positions come again at the end, so that all ranks have as many records.

    Examples
    --------
    >>> share = Share(n=10, batch_size=2, rank=1, world_size=3)
    >>> [share.positions(number).tolist() for number in range(share.batches())]
    [[1, 4], [7, 0]]
    """

    n: int
    batch_size: int
    rank: int = 0
    world_size: int = 1
    worker: int = 0
    workers: int = 1
    drop_last: bool = False

    def _records(self, start: int) -> int:
        """Return the number of records of the rank from a position on."""
        left = max(self.n - start, 0)
        return left // self.world_size if self.drop_last else -(-left // self.world_size)

    def batches(self, start: int = 0) -> int:
        """Return the number of batches of this worker, if the epoch begins at position `start`."""
        records = self._records(start)
        of_rank = records // self.batch_size if self.drop_last else -(-records // self.batch_size)
        return max(-(-(of_rank - self.worker) // self.workers), 0)

    def positions(self, number: int, start: int = 0) -> Rows:
        """Return the positions of a batch, by its number among those of this worker."""
        first = (number * self.workers + self.worker) * self.batch_size
        records = np.arange(first, min(first + self.batch_size, self._records(start)), dtype=np.int64)
        return (start + self.rank + records * self.world_size) % max(self.n, 1)

    def reached(self, batches: int, start: int = 0) -> int:
        """Return the position that all ranks have reached when each has given so many batches; for one worker."""
        return start + batches * self.batch_size * self.world_size
