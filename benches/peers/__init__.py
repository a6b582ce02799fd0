"""The registry of peers: one function for each, which opens it for a task.

A function marked with `@peer(work, name=...)` is given a `Task` and returns what does the work: for random rows, a
function of row numbers that returns what it read; for epochs, a function of the epoch's number that iterates over
`(images, rows)` of each batch, where `rows` is None if the peer cannot tell. Modules that it imports are named in
`needs`: they are imported before its memory is looked at, and a peer that lacks one is listed as not installed.
"""

from __future__ import annotations

import importlib
import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np


class NotInstalledError(Exception):
    """What a peer raises if something else than a module of Python is missing."""


@dataclass(frozen=True)
class Peer:
    """One way to do one kind of work.

    Attributes
    ----------
    works : tuple of str
        What it can do: `area/operation/case`.
    name : str
        For the table.
    open : callable
        Takes a `Task`, returns what does the work.
    needs : tuple of str
        Modules that it imports.
    settings : str
        Those that matter, for the table.
    tolerance : int
        Largest difference of a pixel to the reference.
    """

    works: tuple[str, ...]
    name: str
    open: Callable[[Task], Any]
    needs: tuple[str, ...] = ()
    settings: str = ""
    tolerance: int = 0


@dataclass(frozen=True)
class Task:
    """What a peer is to read, and where.

    Attributes
    ----------
    folder : Path
        With `store.zarr`, `pack.bin` and `pack.npy` (the bytes of all items, one after another, and where each
        begins), and all that peers make for themselves.
    work : str
        One of those that the peer names.
    count : int
        Items there are.
    batch_rows : int
        Items in a batch.
    threads : int
        Those that may be used.
    turn_rows : int
        Rows of one turn, where they are random.
    size : int
        Side of crops in pixels.
    mean, std : tuple of float
        Of the normalisation.
    """

    folder: Path
    work: str
    count: int
    batch_rows: int
    threads: int
    turn_rows: int = 256
    size: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @property
    def store(self) -> Path:
        return self.folder / "store.zarr"

    @property
    def is_float(self) -> bool:
        """Whether batches are normalised float32 in NCHW, and not uint8."""
        return self.work.endswith("float32")

    @cached_property
    def items(self) -> Sequence[bytes]:
        """The bytes of all items, in memory."""
        return Packed(self.folder)

    def made(self, name: str, write: Callable[[Path], object]) -> Path:
        """Return the path of a peer's own files, which `write` makes the first time."""
        path = self.folder / name
        if not path.exists():
            unfinished = self.folder / f"unfinished-{name}"
            if unfinished.is_dir():
                import shutil

                shutil.rmtree(unfinished)
            write(unfinished)
            unfinished.rename(path)
        return path


class Packed(Sequence[bytes]):
    """The items of `pack.bin`; a slice of mapped memory becomes `bytes` in about a microsecond."""

    def __init__(self, folder: Path) -> None:
        self.offset = np.load(folder / "pack.npy").tolist()
        with (folder / "pack.bin").open("rb") as file:
            self.memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def __len__(self) -> int:
        return len(self.offset) - 1

    def __getitem__(self, row: int) -> bytes:
        return self.memory[self.offset[row] : self.offset[row + 1]]

    def __iter__(self) -> Iterator[bytes]:
        return (self[row] for row in range(len(self)))


PEERS: list[Peer] = []


def peer(
    *works: str, name: str, needs: Sequence[str] = (), settings: str = "", tolerance: int = 0
) -> Callable[[Callable[[Task], Any]], Callable[[Task], Any]]:
    """Register a function as a peer; see `Peer`."""

    def register(opens: Callable[[Task], Any]) -> Callable[[Task], Any]:
        PEERS.append(Peer(works, name, opens, tuple(needs), settings, tolerance))
        return opens

    return register


def peers_of(work: str, modules: Sequence[str]) -> list[Peer]:
    """List those that do a work, in the order in which the modules define them."""
    for module in modules:
        importlib.import_module(f"peers.{module}")
    return [each for each in PEERS if work in each.works]
