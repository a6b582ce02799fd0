"""Memory and processor time of a process with all that it started, from /proc."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLED_EACH_S = 0.01


def tree(pid: int) -> list[int]:
    """List a process and its living descendants."""
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        found.append(each)
        try:
            for task in Path(f"/proc/{each}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended meanwhile
            continue
    return found


def memory_bytes(pid: int) -> int:
    """Add up the memory of a process and its descendants that is no file's.

    What several processes share, after a fork or as shared memory, counts once: the kernel gives each its share (PSS).
    Pages of mapped files are the page cache, which all ways of reading fill alike, and are left out.
    """
    total = 0
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return total * 1024


def cpu_s(pid: int) -> float:
    """Add up the processor time of a process, its descendants, and those that ended and were waited for."""
    total = 0.0
    for each in tree(pid):
        try:
            # The processor clock of a process, of threads that ended too, in nanoseconds: clock_getcpuclockid(3).
            total += time.clock_gettime((~each << 3) | 2)
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[13]) + int(fields[14])) / _TICKS
    return total


def settle(pid: int, *, limit_s: float = 2.0) -> None:
    """Wait until a process does nothing, such as read ahead."""
    until = time.perf_counter() + limit_s
    before = cpu_s(pid)
    while time.perf_counter() < until:
        time.sleep(0.02)
        now = cpu_s(pid)
        if now - before < 0.001:
            return
        before = now


class PeakMemory:
    """The most memory that a process and its descendants had while a block ran.

    Attributes
    ----------
    nbytes : int
        As `memory_bytes` counts.
    """

    def __init__(self, pid: int) -> None:
        self.pid, self.nbytes = pid, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def _sample(self) -> None:
        while not self._over.is_set():
            self.nbytes = max(self.nbytes, memory_bytes(self.pid))
            self._over.wait(_SAMPLED_EACH_S)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.nbytes = max(self.nbytes, memory_bytes(self.pid))
