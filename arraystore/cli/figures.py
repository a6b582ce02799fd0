"""The figures of `arraystore bench`: each way to read a store, and what bounds a loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import arraystore
from arraystore.cli.measuring import Measured, forget_files, measure, memory_bytes_per_s
from arraystore.cli.reading import Reading, Rows, readings, sample
from arraystore.errors import InvalidRequestError
from arraystore.threads import thread_count

__all__ = ["Figures", "Headroom", "figures_of"]

# So few that their bytes stay in the caches of the processor.
_FREE_RECORDS = 32

# From these parts on, processors count as busy, speeds as alike, and memory as full: a loop that does something with
# what it reads never moves as much as a bare copy.
_BUSY = 0.85
_ALIKE = 0.85
_MEMORY_FULL = 0.6

# What is more than this part stays in the caches of the processor; how fast memory is copied varies by less.
_MEMORY_MOST = 1.3

# Files count as on disk if this part of their records was read from one; compressed patches are fewer bytes there.
_COLD = 0.25

Bound = Literal["disk", "processors", "memory", "waiting"]
_WORDS: dict[Bound, str] = {
    "disk": "the disk",
    "processors": "the processors",
    "memory": "the speed of memory",
    "waiting": "something else, such as other processes on this machine",
}


@dataclass(frozen=True)
class Headroom:
    """The same loop with the files in three places, and what bounds it.

    The cold loop is one round, the first that maps the files, and may be slower than the warm one where no disk is: so
    the disk is named only if it was read.

    Attributes
    ----------
    work : str
        What the loop does.
    threads : int
        With how many threads.
    cold, warm, free : Measured
        With the files on disk, in memory, and in the caches of the processor, as if reading were free.
    cold_share : float
        How many bytes the cold loop had read from a disk, for each byte of its records.
    memory_use, memory_limit : float
        Bytes a second that the warm loop reads and writes at least, and that this machine can copy.
    """

    work: str
    threads: int
    cold: Measured
    warm: Measured
    free: Measured
    cold_share: float
    memory_use: float
    memory_limit: float

    @property
    def bound(self) -> Bound:
        """What bounds the warm loop: ``"memory"``, ``"processors"`` or ``"waiting"``, such as for other processes."""
        if _MEMORY_FULL < self.memory_use / self.memory_limit < _MEMORY_MOST:
            return "memory"
        return "processors" if self.warm.busy_cores > _BUSY * self.threads else "waiting"

    @property
    def cold_bound(self) -> Bound | None:
        """What bounds the loop over files on a disk: ``"disk"``, or as `bound`; None if they were not read from one."""
        if self.cold_share < _COLD:
            return None
        return "disk" if self.cold.per_s < _ALIKE * self.warm.per_s else self.bound

    def __str__(self) -> str:
        first = "files read for the first time" if self.cold_bound is None else "files on disk"
        places = ((first, self.cold), ("files in memory", self.warm), ("if reading were free", self.free))
        lines = [f"  {f'head-room: {self.work}':<37} {'threads':>7} {'a second':>12}  {'busy':>5}"]
        for name, each in places:
            disk = f"   {each.disk_bytes_per_s / 1e6:,.0f} MB/s from disk" if each.disk_bytes_per_s > 1e6 else ""
            busy = f"{each.busy_cores / self.threads:5.0%}"
            lines.append(f"    {name:<35} {self.threads:>7} {each.per_s:>12,.0f}  {busy}{disk}")
        return "\n".join([*lines, *self._bounds(), self._memory()])

    def _bounds(self) -> list[str]:
        if self.cold_bound is not None:
            return [f"    bounded by: {_WORDS[self.cold_bound]}; with the files in memory, {_WORDS[self.bound]}"]
        return [
            f"    bounded by: {_WORDS[self.bound]}, with the files in memory",
            f"    files on disk: not measured, since {self.cold_share:.0%} of their bytes were seen to come from one;",
            "    the others stayed in memory, or lie where the system does not count",
        ]

    def _memory(self) -> str:
        limit = f"the {self.memory_limit / 1e9:,.1f} GB/s that these threads can move"
        if self.memory_use > _MEMORY_MOST * self.memory_limit:
            return f"    memory: {self.memory_use / 1e9:,.1f} GB/s, more than {limit}: part of it stays in the caches"
        return f"    memory: {self.memory_use / self.memory_limit:.0%} of {limit}"


@dataclass(frozen=True)
class Figures:
    """What a store was found to give; printed as a table.

    Attributes
    ----------
    store : str
        What was read.
    records : int
        How many of it.
    lines : tuple of (str, int, float, Measured)
        Work, threads, bytes of an item, and speed.
    headroom : Headroom
        Of the loop over random crops or arrays.
    """

    store: str
    records: int
    lines: tuple[tuple[str, int, float, Measured], ...]
    headroom: Headroom

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as what JSON can hold."""
        lines = [
            {"work": work, "threads": threads, "item_nbytes": nbytes, **asdict(found)}
            for work, threads, nbytes, found in self.lines
        ]
        bounds = {"bound": self.headroom.bound, "cold_bound": self.headroom.cold_bound}
        return {
            "store": self.store,
            "records": self.records,
            "lines": lines,
            "headroom": asdict(self.headroom) | bounds,
        }

    def __str__(self) -> str:
        table = [
            f"{self.store}: {self.records:,} records in random order",
            "",
            f"  {'reading, files in memory':<37} {'threads':>7} {'a second':>12}  {'busy':>5} {'GB/s':>7}   range",
        ]
        for work, threads, nbytes, found in self.lines:
            table.append(
                f"    {work:<35} {threads:>7} {found.per_s:>12,.0f}  {found.busy_cores / threads:5.0%} "
                f"{found.per_s * nbytes / 1e9:>7.2f}   {found.slowest:,.0f} to {found.fastest:,.0f}"
            )
        return "\n".join([*table, "", str(self.headroom)])


def figures_of(path: str, *, records: int, batch_size: int, size: int, threads: int | None, seconds: float) -> Figures:
    """Measure a store.

    Parameters
    ----------
    path : str
        Of a store, or of images as they are.
    records : int
        Size of the random sample.
    batch_size : int
        Records of a batch.
    size : int
        Side of the crops in pixels.
    threads : int, optional
        The most; all cores if not given.
    seconds : float
        Time for each figure.

    Returns
    -------
    Figures

    Raises
    ------
    InvalidRequestError
        If a number is not positive, or no record can be read.
    """
    for name, value in (("records", records), ("batch-size", batch_size), ("size", size)):
        if value < 1:
            raise InvalidRequestError(f"--{name} {value}: expected a number from 1 on")
    most = thread_count(threads)
    with arraystore.open(path) as store:
        rows = sample(store, records)
        ways = readings(store, rows, batch_size=batch_size, size=size)
        lines = tuple(
            (each.name, count, each.written_nbytes, _speed(each, store, rows, count, seconds))
            for each in ways
            for count in _thread_counts(most if each.is_threaded else 1)
        )
    return Figures(path, len(rows), lines, _headroom(path, ways[-1], rows, most, seconds))


def _headroom(path: str, loop: Reading, rows: Rows, threads: int, seconds: float) -> Headroom:
    # No file is mapped now, so that all can be dropped from the page cache.
    forget_files(Path(path))
    with arraystore.open(path) as store:
        cold = _speed(loop, store, rows, threads, seconds, once=True)
        warm = _speed(loop, store, rows, threads, seconds)
        free = _speed(loop, store, np.resize(rows[:_FREE_RECORDS], len(rows)), threads, seconds)
    return Headroom(
        loop.name,
        threads,
        cold,
        warm,
        free,
        cold_share=cold.disk_bytes_per_s / (cold.per_s * loop.read_nbytes),
        memory_use=warm.per_s * (loop.read_nbytes + loop.written_nbytes),
        memory_limit=memory_bytes_per_s(threads),
    )


def _speed(
    reading: Reading, store: arraystore.Store, rows: Rows, threads: int, seconds: float, *, once: bool = False
) -> Measured:
    read_all = reading.begin(store, rows, threads)

    def work() -> int:
        read_all()
        return len(rows)

    return measure(work, seconds=seconds, once=once)


def _thread_counts(most: int) -> Iterator[int]:
    """Count 1, 2, 4 and so on, and the most."""
    count = 1
    while count < most:
        yield count
        count *= 2
    yield most
