"""Memory of tensors that the core fills: shared with the parent of a worker, or pinned for the way to a GPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import get_worker_info

from arraystore.integrations.torch.travel import SharedRing
from arraystore.loader import Memory
from arraystore.loader.ring import Ring

__all__ = ["PinnedMemory", "new_memory", "tensor_over"]


class PinnedMemory:
    """Pinned memory, which a GPU copies from while the processor goes on; torch keeps what is free for the next.

    Parameters
    ----------
    nbytes : int
        Of the largest array.
    most : int
        Has no meaning here.
    """

    def __init__(self, nbytes: int, most: int) -> None:  # noqa: ARG002 (those of all memories)
        self.nbytes = nbytes

    def lend(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array over a pinned tensor, which is its base."""
        nbytes = np.dtype(dtype).itemsize * math.prod(shape)
        return _array(torch.empty(nbytes, dtype=torch.uint8, pin_memory=True), shape, dtype)


def new_memory(nbytes: int, most: int, *, pinned: bool = False) -> Memory:
    """Return the memory that suits this process.

    Parameters
    ----------
    nbytes, most : int
        Of the largest array, and how many are looked at at the same time.
    pinned : bool
        Whether to pin it. Where there is no GPU, and in the worker of a DataLoader, it is not pinned.
    """
    if get_worker_info() is not None:
        return SharedRing(nbytes, most)
    if pinned and torch.cuda.is_available():
        return PinnedMemory(nbytes, most)
    return Ring(nbytes, most)


def tensor_over(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return a tensor over the memory of an array: nothing is copied, and the tensor keeps the memory.

    Where an array lies over a tensor, that tensor's storage is used, so that what is pinned stays so.
    """
    tensor = torch.from_numpy(array)
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, torch.Tensor) and owner.data_ptr() == tensor.data_ptr() and array.flags.c_contiguous:
        return owner.view(tensor.dtype).view(tensor.shape) if array.size else tensor
    return tensor


def _array(tensor: torch.Tensor, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = tensor.numpy()
    return array.view(dtype).reshape(shape)
