"""The process of one peer: it does what it is asked, one line of JSON at a time.

The first line says which peer and what task. The time until the first batch is looked at: what only some peers need is
imported by them alone.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from peers import NotInstalledError, Task, peers_of
from processes import memory_bytes

Batch = tuple[np.ndarray, "np.ndarray | None"]
CHECKED_ROWS = 64


class RandomRows:
    """A peer that reads the rows it is given."""

    def __init__(self, run: Callable[[np.ndarray], Any], task: Task) -> None:
        self.run, self.task = run, task

    def first(self) -> None:
        self.run(self._rows(0)[: self.task.batch_rows])

    def turn(self, number: int) -> int:
        rows = self._rows(number)
        for start in range(0, len(rows), self.task.batch_rows):
            self.run(rows[start : start + self.task.batch_rows])
        return len(rows)

    def check(self, path: Path) -> None:
        """Write what is read of the first rows."""
        found = self.run(np.arange(min(CHECKED_ROWS, self.task.count)))
        arrays = [np.frombuffer(each, np.uint8) if isinstance(each, bytes) else np.asarray(each) for each in found]
        np.savez(path, *arrays)

    def _rows(self, number: int) -> np.ndarray:
        return np.random.default_rng(number).integers(0, self.task.count, self.task.turn_rows)


class Epochs:
    """A peer that gives all rows in an order of its own."""

    def __init__(self, epoch: Callable[[int], Iterator[Batch]], task: Task) -> None:
        self.epoch, self.task = epoch, task

    def first(self) -> None:
        self.unfinished = self.epoch(0)
        next(self.unfinished)

    def turn(self, number: int) -> int:
        if number == 0:
            # The epoch of the first batch, not measured, is read to its end: what was started is not thrown away.
            return sum(len(images) for images, _ in self.unfinished)
        return sum(len(images) for images, _ in self.epoch(number))

    def check(self, path: Path) -> None:
        """Write the rows seen in an epoch, shape and type of a batch, and the mean colour."""
        seen, colours, counts, shape, dtype = [], [], [], (), ""
        for images, rows in self.epoch(0):
            pixels = np.asarray(images)
            shape, dtype = (pixels.shape, pixels.dtype.name) if not shape else (shape, dtype)
            channels = 1 if pixels.shape[1] == 3 else 3
            colours.append(pixels.mean(axis=tuple(axis for axis in range(4) if axis != channels), dtype=np.float64))
            counts.append(len(pixels))
            seen += [] if rows is None else np.asarray(rows).reshape(-1).tolist()
        colour = np.average(colours, axis=0, weights=counts)
        if self.task.is_float:
            colour = 255 * (colour * self.task.std + self.task.mean)
        np.savez(path, seen=np.array(seen, np.int64), shape=shape, dtype=dtype, colour=colour, count=sum(counts))


DRIVES = {"rows": RandomRows, "epochs": Epochs}


def main() -> None:
    orders, answers = os.fdopen(int(sys.argv[1])), os.fdopen(int(sys.argv[2]), "w")

    def answer(**given: object) -> None:
        print(json.dumps(given), file=answers, flush=True)

    given = json.loads(orders.readline())
    task = Task(**{**given["task"], "folder": Path(given["task"]["folder"])})
    (mine,) = [each for each in peers_of(task.work, given["modules"]) if each.name == given["name"]]
    for module in mine.needs:
        importlib.import_module(module)
    imported = memory_bytes(os.getpid())
    try:
        driven = DRIVES[given["drive"]](mine.open(task), task)
    except NotInstalledError as error:
        answer(missing=str(error))
        return
    answer(imported=imported)
    for line in orders:
        order = json.loads(line)
        if "check" in order:
            driven.check(Path(order["check"]))
            answer()
        elif "first" in order:
            driven.first()
            # One clock for all processes.
            answer(now=time.perf_counter())
        else:
            begun = time.perf_counter()
            count = driven.turn(order["turn"])
            answer(seconds=time.perf_counter() - begun, count=count)


if __name__ == "__main__":
    main()
