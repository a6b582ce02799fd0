"""Batches of given rows: begun, finished, and what is done about records that cannot be read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import (
    ArrayStoreError,
    DamagedStoreError,
    DecodeError,
    FormatError,
    MissingImageError,
    SourceError,
    UnknownKeyError,
)
from arraystore.loader.options import Options
from arraystore.loader.parts import Filling, Lookup, check_names, filling_parts, lookups
from arraystore.loader.ring import NewMemory, Ring
from arraystore.reader.indexing import Rows
from arraystore.reader.records import Records

__all__ = ["BadRecord", "Batches", "Pending"]

# What a record may be at fault of. A missing file or a wrong argument concerns all of them, and so does a file of many
# records that is not what it was.
_ERRORS_OF_A_RECORD = (
    DamagedStoreError,
    DecodeError,
    FormatError,
    MissingImageError,
    SourceError,
    UnknownKeyError,
)

_CODES_OF_A_FILE = ("damaged-shard", "file-too-short", "source-changed")

# So many bad records are remembered one by one; the others are counted.
_MOST_BAD = 10_000


class BadRecord(NamedTuple):
    """A record that could not be read.

    Attributes
    ----------
    row : int
        In the store or view that the loader was made of.
    key : str
        Its key.
    error : Exception
        Why.
    """

    row: int
    key: str
    error: Exception


class Pending(NamedTuple):
    """A batch that is being filled."""

    rows: Rows
    fillings: list[Filling]


class Batches:
    """Makes batches of the rows that it is given.

    Parameters
    ----------
    table : Records
        The store or view.
    options : Options
        What a batch consists of. Those that say which rows come when do not count here.
    memory : callable, default Ring
        Makes the memory of arrays that the core fills.

    Attributes
    ----------
    bad : list of BadRecord
        Records that were left out or filled, the first 10,000 of them.
    bad_count : int
        How many they are in all.
    label_names : dict of str to list of str
        For each column of labels, what its codes stand for.
    """

    def __init__(self, table: Records, options: Options, *, memory: NewMemory = Ring) -> None:
        self.table = table
        self.options = options
        self.bad: list[BadRecord] = []
        self.bad_count = 0
        self._parts = filling_parts(table, options, memory=memory)
        self._lookups = lookups(table, options)
        check_names(self._parts, self._lookups)
        self.label_names = {each.name: each.names for each in self._lookups if each.names is not None}

    def nbytes(self, n: int) -> int:
        """Return the bytes of the images or patches of a batch of `n` records."""
        return sum(part.nbytes(n) for part in self._parts)

    def begin(self, queue: _core.Queue, rows: Rows, *, keys: Rows | None = None, epoch: int) -> Pending:
        """Let the threads of a queue fill a batch.

        Parameters
        ----------
        queue : Queue
            Whose threads.
        rows : ndarray of int64, shape (n,)
            Of the table.
        keys : ndarray of int64, shape (n,), optional
            What takes the place of the rows in random choices.
        epoch : int
            What else they depend on.
        """
        return Pending(rows, [part.start(queue, rows, keys, epoch) for part in self._parts])

    def finish(self, pending: Pending) -> dict[str, Any]:
        """Wait for a batch, and add what is looked up.

        Raises
        ------
        ArrayStoreError
            That of the first record that fails, unless the options let it pass.
        """
        rows, fillings = pending
        failures: dict[int, Exception] = {}
        for filling in fillings:
            for index, error in filling.job.wait():
                failures.setdefault(index, error)
        bad = np.zeros(len(rows), np.bool_)
        self._judge(rows, failures, bad)
        is_filled = self.options.bad == "fill"
        # What is left out is not looked up.
        sought = np.arange(len(rows)) if is_filled else np.flatnonzero(~bad)
        values: dict[str, Any] = {}
        for each in self._lookups:
            values[each.name], lacking = self._values(each, rows[sought])
            self._judge(rows, {int(sought[index]): error for index, error in lacking.items()}, bad)
        arrays = {name: (array, filling.axis) for filling in fillings for name, array in filling.arrays.items()}
        if is_filled:
            for array, axis in arrays.values():
                # If one of its arrays failed, so has the record.
                array[(slice(None), bad) if axis else bad] = 0
            values["bad"] = bad
        elif bad.any():
            arrays = {name: (np.compress(~bad, array, axis), axis) for name, (array, axis) in arrays.items()}
            values = {name: _some(found, ~bad[sought]) for name, found in values.items()}
            rows = rows[~bad]
        return {**{name: array for name, (array, _) in arrays.items()}, **values, "row": rows}

    def _values(self, lookup: Lookup, rows: Rows) -> tuple[Any, dict[int, Exception]]:
        """Look up what belongs to some rows; if it may be missing, also return why, by their index."""
        try:
            return lookup.values(rows), {}
        except ArrayStoreError:
            if self.options.bad == "raise":
                raise
        return lookup.one_by_one(rows)

    def _judge(self, rows: Rows, failures: Mapping[int, Exception], bad: npt.NDArray[np.bool_]) -> None:
        """Raise the first of the errors of some records, or note them."""
        for index in sorted(failures):
            row, error = int(rows[index]), failures[index]
            if isinstance(error, IndexError) and not isinstance(error, MissingImageError):
                stores = ", ".join(self.options.beside)
                key = self.table.keys[row]
                error = UnknownKeyError(f"record {row} ({key}): a store beside ({stores}) has no such key")
            if self.options.bad == "raise" or not _is_of_a_record(error):
                raise error
            if not bad[index]:
                bad[index] = True
                self._note(row, error)

    def _note(self, row: int, error: Exception) -> None:
        import multiprocessing

        self.bad_count += 1
        # Of what a worker process keeps in `bad`, nobody sees anything.
        is_worker = multiprocessing.parent_process() is not None
        if self.bad_count == 1 or (is_worker and self.bad_count <= _MOST_BAD):
            how = {"skip": "left out", "fill": "filled with zeros"}[self.options.bad]
            where = "" if is_worker else "; all such are in its attribute bad"
            # Above this function stand _judge, finish and who iterates for the user.
            warnings.warn(f"a record is {how}{where}: {error}", RuntimeWarning, stacklevel=5)
        if len(self.bad) < _MOST_BAD:
            self.bad.append(BadRecord(row, self.table.keys[row], error))


def _is_of_a_record(error: Exception) -> bool:
    return isinstance(error, _ERRORS_OF_A_RECORD) and error.code not in _CODES_OF_A_FILE


def _some(values: Any, kept: npt.NDArray[np.bool_]) -> Any:
    """Return the values that are kept, of an array or a list."""
    return values[kept] if isinstance(values, np.ndarray) else list(compress(values, kept))
