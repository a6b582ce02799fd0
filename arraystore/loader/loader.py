"""The loader: epochs of batches that are decoded ahead, in an order that can be resumed."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import InvalidRequestError
from arraystore.loader.batch import BadRecord, Batches, Pending
from arraystore.loader.options import Options, batch_size_of
from arraystore.loader.order import Drawn, Order, Share, Shuffled, Straight, Windowed
from arraystore.loader.parts import places_of
from arraystore.loader.ring import NewMemory, Ring
from arraystore.reader.arguments import integer
from arraystore.reader.indexing import Rows
from arraystore.reader.records import Records
from arraystore.threads import thread_count

__all__ = ["Loader"]

_STATE_VERSION = 2


class Loader:
    """Batches of a store or view for a training loop; made by `Store.loader`, which describes its options.

    Each ``iter(loader)`` gives an epoch: from its beginning, or after `load_state_dict` from where that state was
    taken. Once a batch of an epoch was given, the next iterator gives the next epoch, wherever this one is left, unless
    `set_epoch` says otherwise. Of several iterators, the loader's state is that of the last.

    Parameters
    ----------
    table : Records
        The store or view.
    batch_size : int
        Records of a batch.
    options : Options
        All else.
    memory : callable, default Ring
        Makes the memory of arrays that the core fills.

    Attributes
    ----------
    label_names : dict of str to list of str
        For each column of labels, what its codes stand for.
    """

    def __init__(self, table: Records, batch_size: int, options: Options, *, memory: NewMemory = Ring) -> None:
        self.table = table
        self.options = options
        self._share = Share(
            len(table),
            batch_size_of(batch_size),
            options.rank,
            options.world_size,
            options.worker,
            options.workers,
            options.drop_last,
        )
        self._threads = thread_count(options.threads)
        self._memory = memory
        self._batches = Batches(table, options, memory=memory)
        self._ahead = options.batches_ahead(self._batches.nbytes(min(self.batch_size, len(table))))
        self.label_names = self._batches.label_names
        self._order = _order(table, options)
        self._epoch = 0
        # From which position the epoch was begun, and how many batches were given since.
        self._start = 0
        self._given = 0
        # Whether the next iterator begins there: nothing was given since it was said.
        self._untouched = True
        # Whoever lets go of an iterator ends its threads.
        self._running: weakref.ref[_Epoch] | None = None

    @property
    def bad(self) -> list[BadRecord]:
        """Records that were left out or filled, the first 10,000 of them."""
        return self._batches.bad

    @property
    def bad_count(self) -> int:
        """How many records were left out or filled in all."""
        return self._batches.bad_count

    @property
    def epoch(self) -> int:
        """Which epoch is being given, or else the one that the next iterator gives, from 0."""
        return self.next_epoch if self._followed() is None else self._epoch

    @property
    def next_epoch(self) -> int:
        """Which epoch the next iterator gives; the last of all is followed by the first."""
        return self._epoch if self._untouched else (self._epoch + 1) % 2**64

    @property
    def resumes(self) -> bool:
        """Whether the next iterator goes on amid an epoch, after `load_state_dict`."""
        return self._untouched and self._start + self._given > 0

    @property
    def batch_size(self) -> int:
        """Records of a batch."""
        return self._share.batch_size

    def __len__(self) -> int:
        """Return the number of batches of an epoch; if it was resumed with other sizes, of its rest."""
        return self._share.batches(self._start)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._untouched:
            self._leave_running()
        else:
            # Who counts the batches, or stops early, never comes to the end of the iterator.
            self._move_to(self.next_epoch, 0, 0)
        begun = _Epoch(self)
        self._running = weakref.ref(begun)
        return begun

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iterator, or of one that has given nothing yet.

        The epoch of a state that was loaded keeps its place.

        Parameters
        ----------
        epoch : int
            From 0 to ``2**64 - 1``: with the seed, all that the order and the crops depend on.
        """
        wanted = integer("epoch", epoch, least=0, most=2**64 - 1)
        running = self._followed()
        if wanted == self._epoch and (self._untouched or (running is not None and self._given < len(self))):
            return
        is_fresh = self._untouched
        self._move_to(wanted, 0, 0)
        if running is not None and is_fresh:
            # Many a loop is begun before its epoch is set.
            running.begin()

    def state_dict(self) -> dict[str, int]:
        """Return where this loader is, as a few numbers: what it has given, not what it has decoded ahead."""
        share = self._share
        return {
            "version": _STATE_VERSION,
            "n": share.n,
            "seed": self.options.seed,
            "order": self._order_number,
            "epoch": self._epoch,
            "start": self._start,
            "batches": self._given,
            "batch_size": share.batch_size,
            "world_size": share.world_size,
            "workers": share.workers,
        }

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where another loader was: the next iterator gives the batches that it had not given.

        With the same batch size, ranks and workers, they are the same batches. With other batch sizes or ranks, the
        records that all ranks together had not given come in the same order, in other batches, if neither loader is one
        of several workers.

        Parameters
        ----------
        state : mapping
            As `state_dict` returned it, of the same records, seed, shuffle and weights.

        Raises
        ------
        InvalidRequestError
            If it is of another number of records, seed or order, or cannot be continued with these workers.
        """
        numbers = _checked(state, self.state_dict())
        share = self._share
        start, batches = numbers["start"], numbers["batches"]
        same = {"batch_size": share.batch_size, "world_size": share.world_size, "workers": share.workers}
        if any(numbers[name] != value for name, value in same.items()):
            if numbers["workers"] != 1 or share.workers != 1:
                raise InvalidRequestError(
                    f"state: it is of {numbers['workers']} workers, {numbers['world_size']} ranks and batches of "
                    f"{numbers['batch_size']}, this loader of {same['workers']}, {same['world_size']} and "
                    f"{same['batch_size']}: only loaders without workers can go on with other numbers"
                )
            start += batches * numbers["batch_size"] * numbers["world_size"]
            batches = 0
        self._move_to(numbers["epoch"], start, batches)

    @cached_property
    def _order_number(self) -> int:
        """A number that is another for other rows, another shuffle or other weights."""
        order = self._order
        basis = order.sums if isinstance(order, Drawn) else order.by_place if isinstance(order, Windowed) else None
        parts = [self.table.selected_rows, basis]
        number = crc32(repr((self.options.shuffle, [part is not None for part in parts])).encode())
        for part in parts:
            number = number if part is None else crc32(np.ascontiguousarray(part).data, number)
        return number

    def _move_to(self, epoch: int, start: int, given: int) -> None:
        """Say where the next iterator begins; one that runs goes on, and counts no more."""
        self._epoch, self._start, self._given, self._untouched = epoch, start, given, True
        self._leave_running()

    def _leave_running(self) -> None:
        """Let the last iterator go on without the loader."""
        running = self._followed()
        if running is not None:
            running.is_followed = False

    def _followed(self) -> _Epoch | None:
        """Return the iterator that the state is of, if it is still there."""
        running = None if self._running is None else self._running()
        return running if running is not None and running.is_followed else None

    def __reduce__(self) -> tuple[Callable[..., Loader], tuple[Any, ...]]:
        # A copy gives what the next iterator of this one would.
        begins = self.state_dict() if self.resumes else self.next_epoch
        return _restored, (self.table, self.batch_size, self.options, self._memory, begins)

    def __repr__(self) -> str:
        share = self._share
        ranks = f", rank {share.rank} of {share.world_size}" if share.world_size > 1 else ""
        return f"Loader({self.table!r}, {len(self):,} batches of {share.batch_size}{ranks}, epoch {self.epoch})"


class _Epoch(Iterator[dict[str, Any]]):
    """One epoch of a loader, from where the loader is to its end."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._process = os.getpid()
        self._queue: _core.Queue | None = _core.Queue(loader._threads)
        self._pending: deque[Pending] = deque()
        self.begin()

    def begin(self) -> None:
        """Be where the loader is; no batch was given yet."""
        loader = self._loader
        self._epoch, self._start = loader._epoch, loader._start
        self._next, self._end = loader._given, len(loader)
        self._pending.clear()
        # Whether the loader is where this iterator is.
        self.is_followed = True

    def __next__(self) -> dict[str, Any]:
        if self._queue is None:
            raise StopIteration
        if self._process != os.getpid():
            raise InvalidRequestError(
                "this iterator was begun in another process, whose threads decode for it: iterate over the loader anew"
            )
        loader = self._loader
        while self._next < self._end and len(self._pending) <= loader._ahead:
            self._pending.append(self._begun(self._queue, self._next))
            self._next += 1
        if not self._pending:
            self.close()
            if self.is_followed:
                loader._move_to((self._epoch + 1) % 2**64, 0, 0)
            raise StopIteration
        try:
            batch = loader._batches.finish(self._pending.popleft())
        except BaseException:
            self.close()
            raise
        if self.is_followed:
            loader._given += 1
            loader._untouched = False
        return batch

    def close(self) -> None:
        """End the threads."""
        if self._queue is not None:
            self._pending.clear()
            self._queue.close()
            self._queue = None

    def _begun(self, queue: _core.Queue, number: int) -> Pending:
        loader = self._loader
        positions = loader._share.positions(number, self._start)
        rows = loader._order.rows(positions, seed=loader.options.seed, epoch=self._epoch)
        # A row that is drawn twice has two crops.
        keys = positions if isinstance(loader._order, Drawn) else None
        return loader._batches.begin(queue, rows, keys=keys, epoch=self._epoch)


def _restored(
    table: Records, batch_size: int, options: Options, memory: NewMemory, begins: int | dict[str, int]
) -> Loader:
    """Make a loader that begins at an epoch or a state."""
    loader = Loader(table, batch_size, options, memory=memory)
    if isinstance(begins, int):
        loader.set_epoch(begins)
    else:
        loader.load_state_dict(begins)
    return loader


def _order(table: Records, options: Options) -> Order:
    if options.weights is not None:
        given = options.weights
        return Drawn.of(_balance(table, given) if isinstance(given, str) else given, len(table))
    if options.shuffle == "window":
        return Windowed(len(table), _by_place(table))
    return Straight() if options.shuffle is None else Shuffled(len(table))


def _balance(table: Records, column: str) -> npt.NDArray[np.float64]:
    """Return weights that give each label of a column the same share; 0 where there is none."""
    codes = table.labels(column).codes
    counts = np.bincount(codes[codes >= 0])
    if not len(counts):
        raise InvalidRequestError(f"weights={column!r}: no record has a label in this column")
    return np.where(codes >= 0, 1.0 / np.maximum(counts[codes], 1), 0.0)


def _by_place(table: Records) -> Rows | None:
    """Return the rows in the order in which their bytes lie, or None if that is their own."""
    place = places_of(table)
    if (place[1:] >= place[:-1]).all():
        return None
    return np.argsort(place, kind="stable").astype(np.int64)


def _checked(state: Mapping[str, int], own: Mapping[str, int]) -> dict[str, int]:
    """Return the numbers of a state, compared with those that must be the same."""
    if "version" in state and state["version"] != own["version"]:
        raise InvalidRequestError(f"state: expected one of version {own['version']}, found {state['version']!r}")
    lacking = [name for name in own if name not in state]
    if lacking:
        raise InvalidRequestError(f"state: expected what state_dict returns, found none of {', '.join(lacking)}")
    numbers = {name: integer(f"state[{name!r}]", state[name], least=0, most=2**64 - 1) for name in own}
    what = {"n": "a store of as many records,", "seed": "the seed"}
    for name in what:
        if numbers[name] != own[name]:
            raise InvalidRequestError(f"state: expected {what[name]} {own[name]}, found {numbers[name]}")
    if numbers["order"] != own["order"]:
        raise InvalidRequestError("state: expected one of the same rows, shuffle and weights as those of this loader")
    return numbers
