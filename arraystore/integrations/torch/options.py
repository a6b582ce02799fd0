"""Options that both ways to PyTorch have, and what tensors a batch consists of."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

import numpy as np
import torch
from torch.utils.data import get_worker_info

from arraystore.errors import InvalidRequestError
from arraystore.integrations.torch.memory import tensor_over
from arraystore.reader.crops import CropMode, Size
from arraystore.reader.records import Records

__all__ = ["Epoch", "TensorLayout", "WhatOptions", "check_options", "core_layout", "tensors"]

TensorLayout: TypeAlias = Literal["NCHW", "NHWC", "channels_last"]

_CORE_LAYOUTS: dict[str, Literal["NCHW", "NHWC"]] = {"NCHW": "NCHW", "NHWC": "NHWC", "channels_last": "NHWC"}


class WhatOptions(TypedDict, total=False):
    """Options of `Store.loader` that say what a batch consists of."""

    crop: CropMode | None
    size: Size | None
    scale: tuple[float, float]
    ratio: tuple[float, float]
    flip: float
    turn: bool
    dtype: Literal["uint8", "float32"] | None
    mean: Sequence[float] | float | None
    std: Sequence[float] | float | None
    labels: str | Sequence[str]
    text: str | Sequence[str]
    dna: bool | Mapping[str, Any]
    beside: Mapping[str, Records]
    seed: int
    bad: Literal["raise", "skip", "fill"]
    verify: bool
    threads: int | None


class Epoch:
    """The number of an epoch, which workers of a DataLoader see as it is set.

    Another process sees it until it sets it, or begins workers: then it has a number of its own, since ranks that were
    begun with one dataset are not always in the same epoch.
    """

    def __init__(self) -> None:
        # The number, and how often it was set.
        self._numbers = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._process = os.getpid()
        _epochs.add(self)

    @property
    def number(self) -> int:
        """From 0."""
        return int(self._numbers[0])

    @number.setter
    def number(self, epoch: int) -> None:
        self.own()
        self._numbers[0] = epoch
        self._numbers[1] += 1

    @property
    def times_set(self) -> int:
        """How often it was set, be it to the same number."""
        return int(self._numbers[1])

    def own(self) -> None:
        """Give this process a number of its own, unless it is a worker."""
        if self._process != os.getpid() and get_worker_info() is None:
            self._numbers, self._process = self._numbers.clone().share_memory_(), os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        # To a worker that this process begins, perhaps.
        self.own()
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # A copy that was not sent has memory of its own, which is not shared yet.
        self._numbers.share_memory_()
        _epochs.add(self)


_epochs: weakref.WeakSet[Epoch] = weakref.WeakSet()


def _own_all() -> None:
    """Before a fork, which may be that of a worker: the epochs of this process are its own from then on."""
    for epoch in list(_epochs):
        epoch.own()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_own_all)


def check_options(given: Mapping[str, Any], *, foreign: Sequence[str], where: str) -> None:
    """Refuse options of `Store.loader` that somebody else decides about.

    Raises
    ------
    InvalidRequestError
        If one of the foreign options is given; `where` says who decides.
    """
    wrong = [name for name in foreign if name in given]
    if wrong:
        raise InvalidRequestError(f"{', '.join(wrong)}: {where}")


def core_layout(layout: str) -> Literal["NCHW", "NHWC"]:
    """Return the order of axes in which the core writes.

    Raises
    ------
    InvalidRequestError
        If there is no such layout.
    """
    if layout not in _CORE_LAYOUTS:
        raise InvalidRequestError(f"layout={layout!r}: expected one of {', '.join(_CORE_LAYOUTS)}")
    return _CORE_LAYOUTS[layout]


def tensors(batch: Mapping[str, Any], *, images: Sequence[str], layout: str) -> dict[str, Any]:
    """Return a batch with tensors over its arrays; what is no array stays as it is.

    Parameters
    ----------
    batch : mapping
        As a loader gives it.
    images : sequence of str
        Names of its parts that are images.
    layout : {"NCHW", "NHWC", "channels_last"}
        Of these.
    """
    found = {name: tensor_over(part) if isinstance(part, np.ndarray) else part for name, part in batch.items()}
    if layout == "channels_last":
        found |= {name: found[name].movedim(-1, -3) for name in images}
    return found
