"""Shared memory in which batches go from a worker to its parent, and which is used again when the parent is done.

New shared memory costs more than the decoding of what goes into it, since its pages are made one by one. A worker
therefore has a few *slots*. The first byte of a slot says whether it is free: the worker marks it when it lends it, the
process that got it when the last tensor over it is gone. The second byte says whether it is *over*, never to be lent
again. A slot can be sent once for each time it is lent; a tensor over it that is sent again, or in another way, is
copied as PyTorch does it.

A process that is forked sees what its parent looks at, in the same memory, and for as long as it likes. What anyone
looks at when a process forks is therefore over.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import weakref
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from multiprocessing.util import Finalize
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.multiprocessing.reductions import reduce_tensor

__all__ = ["SharedRing"]

# Arrays begin at a cache line. Before them stand two bytes.
_HEADER_NBYTES = 64
_STATE, _OVER = 0, 1
_FREE, _TAKEN = 0, 1

# Slots that a worker keeps: those of batches made ahead, sent, and looked at. For more it makes new ones each time.
_MOST_SLOTS = 8


class _Slot:
    """A piece of shared memory."""

    def __init__(self, nbytes: int, *, kept: bool) -> None:
        storage = torch.UntypedStorage._new_shared(_HEADER_NBYTES + nbytes)
        self.memory = torch.empty(0, dtype=torch.uint8).set_(storage)
        self.bytes: npt.NDArray[np.uint8] = self.memory.numpy()
        self.kept = kept
        # Whether the array that was lent last was sent, and whether someone in this process still looks at it.
        self.sent = False
        self.looked_at = False
        self.process = os.getpid()

    @property
    def free(self) -> bool:
        return not self.looked_at and self.bytes[_STATE] == _FREE

    @property
    def over(self) -> bool:
        return bool(self.bytes[_OVER])

    def lend(self, nbytes: int) -> npt.NDArray[np.uint8]:
        self.bytes[_STATE], self.sent, self.looked_at = _TAKEN, False, True
        # Over a memoryview, NumPy cannot take the memory itself for the base of arrays: all of them keep this one.
        lent = np.frombuffer(self.bytes.data, np.uint8, nbytes, _HEADER_NBYTES)
        address = lent.ctypes.data
        _lent[address] = self
        weakref.finalize(lent, self._let_go, address).atexit = False
        return lent

    def _let_go(self, address: int) -> None:
        if self.process == os.getpid():
            _lent.pop(address, None)
            if not self.sent:
                self.bytes[_STATE] = _FREE
            self.looked_at = False


# By the address of the array.
_lent: dict[int, _Slot] = {}

# Slots that tensors of this process lie over, sent to it, by their address here.
_arrived_here: dict[int, npt.NDArray[np.uint8]] = {}

# Slots of each worker that lives, by their address here: to map them again would cost time too.
_held: dict[int, dict[int, npt.NDArray[np.uint8]]] = {}


class SharedRing:
    """Memory that a worker of a DataLoader hands on to its parent without a copy, and gets back.

    Parameters
    ----------
    nbytes : int
        Of the largest array.
    most : int
        Has no meaning here: how many are looked at is decided in the parent.
    """

    def __init__(self, nbytes: int, most: int) -> None:  # noqa: ARG002 (those of all memories)
        self.nbytes = nbytes
        self._slots: list[_Slot] = []
        # A worker ends without taking its objects apart; files that PyTorch shares by would stay behind.
        Finalize(self, _retire, (self._slots,), exitpriority=10)
        # As PyTorch itself says how tensors are sent; other tensors are still sent by its way.
        ForkingPickler.register(torch.Tensor, _reduced)

    def lend(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array with any content, over a slot that is free or new."""
        nbytes = np.dtype(dtype).itemsize * math.prod(shape)
        self._slots[:] = [slot for slot in self._slots if not slot.over]
        # In this order: a process that forks says that a slot is over before it lets go of it.
        slot = next((slot for slot in self._slots if slot.free and not slot.over), None)
        if slot is None:
            slot = _Slot(self.nbytes, kept=len(self._slots) < _MOST_SLOTS)
            if slot.kept:
                self._slots.append(slot)
        return slot.lend(nbytes).view(dtype).reshape(shape)


def _reduced(tensor: torch.Tensor) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Say how a tensor is sent to another process."""
    slot = _slot_under(tensor)
    if slot is None or slot.sent or tensor.requires_grad or slot.process != os.getpid():
        found: tuple[Callable[..., Any], tuple[Any, ...]] = reduce_tensor(tensor)
        return found
    slot.sent = True
    return _arrived, (slot.memory, slot.process, slot.kept, tensor.dtype, tuple(tensor.shape), tensor.stride())


def _slot_under(tensor: torch.Tensor) -> _Slot | None:
    """Return the slot that a tensor begins with, if it lies over one."""
    plain = type(tensor) is torch.Tensor and tensor.layout is torch.strided and not tensor.is_nested
    if not plain or tensor.device.type != "cpu":
        return None
    try:
        return _lent.get(tensor.data_ptr())
    except RuntimeError:
        # Wrappers of functorch and the like are tensors without memory.
        return None


def _arrived(
    memory: torch.Tensor, worker: int, kept: bool, dtype: torch.dtype, shape: tuple[int, ...], stride: tuple[int, ...]
) -> torch.Tensor:
    """Return the tensor in the process that it was sent to."""
    slot: npt.NDArray[np.uint8] = memory.numpy()
    if kept:
        _hold(slot, worker)
    itemsize = dtype.itemsize
    span = 1 + sum((length - 1) * step for length, step in zip(shape, stride, strict=True)) if all(shape) else 0
    lent = np.frombuffer(slot.data, np.uint8, span * itemsize, _HEADER_NBYTES)
    _arrived_here[slot.ctypes.data] = slot
    weakref.finalize(lent, _give_back, slot, os.getpid()).atexit = False
    return torch.from_numpy(lent).view(dtype).as_strided(shape, stride)


def _give_back(slot: npt.NDArray[np.uint8], process: int) -> None:
    # A process that was forked has a copy of the array, and not the say.
    if process == os.getpid():
        _arrived_here.pop(slot.ctypes.data, None)
        slot[_STATE] = _FREE


def _hold(slot: npt.NDArray[np.uint8], worker: int) -> None:
    """Keep a slot mapped for as long as its worker lives and lends it."""
    held = _held.get(worker)
    if held is None:
        held = _held_of(worker)
    for address in [address for address, each in held.items() if each[_OVER]]:
        del held[address]
    if not slot[_OVER]:
        held[slot.ctypes.data] = slot


def _held_of(worker: int) -> dict[int, npt.NDArray[np.uint8]]:
    """Return where slots of a worker that is new here are held."""
    children = {child.pid: child for child in multiprocessing.active_children()}
    # A list, since a process that is let go of meanwhile takes its own away.
    for other in list(_held):
        if other not in children:
            _held.pop(other, None)
    if worker not in children:
        # Of somebody else's worker the end would not be noticed: its slots are not held.
        return {}
    # The DataLoader lets go of the process of a worker when it has ended, which may be the last that happens here.
    weakref.finalize(children[worker], _held.pop, worker, None).atexit = False
    return _held.setdefault(worker, {})


def _retire(slots: list[_Slot]) -> None:
    """Let go of the slots of a ring, and let the process that they were sent to see it."""
    for slot in slots:
        slot.bytes[_OVER] = True
    slots.clear()


def _end_what_is_looked_at() -> None:
    """Before a fork: the forked process may look on when this one has let go."""
    for slot in list(_lent.values()):
        slot.bytes[_OVER] = True
    for memory in list(_arrived_here.values()):
        memory[_OVER] = True


def _let_go_of_all() -> None:
    """After a fork, in the forked process: nothing is sent to it from the workers of its parent."""
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_end_what_is_looked_at, after_in_child=_let_go_of_all)
