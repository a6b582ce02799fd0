"""Measuring a loop: items a second, how busy the processors are, what comes from disk; and what memory can move."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

__all__ = ["Measured", "forget_files", "measure", "memory_bytes_per_s"]

_LEAST_ROUNDS = 3

# What all threads copy together, whatever their number: with its copy, more than the caches of most machines hold.
_COPIED_NBYTES = 256 << 20
# What each of them copies, if need be in several passes: with less, it would be done before the last one begins.
_THREAD_NBYTES = 64 << 20


@dataclass(frozen=True)
class Measured:
    """What `measure` found.

    Attributes
    ----------
    per_s, slowest, fastest : float
        Items a second: the median round, and the range.
    cpu_s_per_1000 : float
        Processor seconds of this process for a thousand items.
    busy_cores : float
        How many processors this process kept busy, on average.
    disk_bytes_per_s : float
        What the process read from a disk, not from the page cache.
    """

    per_s: float
    slowest: float
    fastest: float
    cpu_s_per_1000: float
    busy_cores: float
    disk_bytes_per_s: float


def measure(work: Callable[[], int], *, seconds: float, once: bool = False) -> Measured:
    """Do some work again and again.

    Parameters
    ----------
    work : callable
        Does one round, and returns how many items it had.
    seconds : float
        Rounds are begun until so much time has passed, at least three, after one that is not measured.
    once : bool, default False
        One measured round only, for work that is not the same when it is repeated.

    Returns
    -------
    Measured
    """
    if not once:
        work()
    speeds: list[float] = []
    count, disk_nbytes, cpu_s, begun = 0, _disk_nbytes(), time.process_time(), time.perf_counter()
    while not speeds or not (once or (len(speeds) >= _LEAST_ROUNDS and time.perf_counter() - begun >= seconds)):
        start = time.perf_counter()
        done = work()
        speeds.append(done / (time.perf_counter() - start))
        count += done
    elapsed_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_s
    return Measured(
        median(speeds),
        min(speeds),
        max(speeds),
        1000 * cpu_s / count,
        cpu_s / elapsed_s,
        (_disk_nbytes() - disk_nbytes) / elapsed_s,
    )


def _disk_nbytes() -> int:
    """Return the bytes that this process has had read from disks; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("read_bytes:")), 0)


def forget_files(path: Path) -> None:
    """Ask the system to drop the files of a store from its page cache; they must not be mapped then.

    It may not do so: whether the files were read from a disk after it, `Measured.disk_bytes_per_s` says.

    Parameters
    ----------
    path : Path
        A file, or a directory with all below it; the seek tables beside it go too.
    """
    seek_tables = path.parent.glob(f"{path.name}.*.seek")
    for each in [*seek_tables, *([path] if path.is_file() else path.rglob("*"))]:
        if not each.is_file():
            continue
        descriptor = os.open(each, os.O_RDONLY)
        try:
            # What is not yet on disk stays in memory: a store that was just made. Some file systems that cannot be
            # written to refuse it.
            with suppress(OSError):
                os.fsync(descriptor)
            with suppress(OSError):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def memory_bytes_per_s(threads: int) -> float:
    """Measure how fast so many threads copy memory.

    Parameters
    ----------
    threads : int
        They share 256 MiB; each copies its part until it has copied 64 MiB.

    Returns
    -------
    float
        Bytes read and bytes written, a second.
    """
    source, target = (np.array_split(np.ones(_COPIED_NBYTES, np.uint8), threads) for _ in range(2))
    passes = max(1, threads * _THREAD_NBYTES // _COPIED_NBYTES)

    def copy(part: int) -> None:
        for _ in range(passes):
            np.copyto(target[part], source[part])  # it lets go of the interpreter

    times: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            begun = time.perf_counter()
            list(pool.map(copy, range(threads)))
            times.append(time.perf_counter() - begun)
    return 2 * passes * _COPIED_NBYTES / min(times)
