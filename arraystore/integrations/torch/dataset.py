"""A store as a map-style dataset, which reads a whole batch by one call of the core."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch.utils import data

from arraystore import _core
from arraystore.errors import InvalidRequestError
from arraystore.integrations.torch.memory import new_memory
from arraystore.integrations.torch.options import Epoch, TensorLayout, WhatOptions, check_options, core_layout, tensors
from arraystore.loader import BadRecord, Batches, Options
from arraystore.reader.arguments import integer
from arraystore.reader.indexing import Index, Rows, batch_rows, is_single, single_row
from arraystore.reader.records import Records
from arraystore.threads import thread_count

__all__ = ["Dataset", "Samples", "collate"]

Sample = dict[str, Any]

_OF_THE_ORDER = ("shuffle", "weights", "rank", "world_size", "worker", "workers", "drop_last", "prefetch")


class Samples(Sequence[Sample]):
    """Samples of a batch that lies in memory as a whole; `collate` takes it as it is.

    Parameters
    ----------
    whole : dict
        The batch: tensors and lists by their names, whose first axis counts the samples.
    why_none : str, optional
        What is said to who takes a sample of none.
    """

    def __init__(self, whole: Sample, why_none: str | None = None) -> None:
        self.whole = whole
        self.why_none = why_none

    def __len__(self) -> int:
        return len(self.whole["row"])

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            if self.why_none is not None:
                raise InvalidRequestError(self.why_none)
            raise IndexError(f"sample {index} is out of range: there are {len(self)}")
        return {name: part[index] for name, part in self.whole.items()}


class _NoSamples(list[Any]):
    """No samples, and why: functions that collate take the first one."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return super().__getitem__(index)
        raise InvalidRequestError(self.why)


class Dataset(data.Dataset[Any]):
    """Records of a store as samples: dicts of tensors.

    A ``DataLoader`` asks it for a whole batch at once, which the core then writes into the memory that the batch is
    handed on in. Give it `collate` as ``collate_fn``: without, samples are taken apart and copied together again.

    What is cut of a record depends on `seed`, the epoch and its row alone: not on the batch, the worker or the rank.
    So a row that a sampler draws again in an epoch is cut alike; `Batches` with `weights` cuts it anew each time.

    Parameters
    ----------
    store : Store or View
        Its records are the samples, in its order.
    transform : callable, optional
        Takes a sample and returns what takes its place. It is called for each, and costs what Python costs;
        transforms of ``torchvision.transforms.v2`` can be given as they are.
    layout : {"NCHW", "NHWC", "channels_last"}
        Of images. ``"channels_last"`` has the shape of NCHW and the memory of NHWC, as PyTorch's memory format.
    **options
        As for `Store.loader`: `crop`, `size`, `scale`, `ratio`, `flip`, `turn`, `dtype`, `mean`, `std`, `labels`,
        `text`, `dna`, `beside`, `seed`, `bad`, `verify` and `threads`. A worker uses its share of the cores if
        `threads` is not given.

    Raises
    ------
    InvalidRequestError
        If an option is wrong, or makes no sense for this store.
    UnknownColumnError
        If there is no such column; a `KeyError`.

    Examples
    --------
    >>> import arraystore
    >>> from arraystore.integrations.torch import Dataset, collate
    >>> from torch.utils.data import DataLoader
    >>> dataset = Dataset(arraystore.open("cropped_256.zarr"), size=64, flip=0.5, labels="order")
    >>> batch = next(iter(DataLoader(dataset, batch_size=16, shuffle=True, collate_fn=collate)))
    >>> batch["image"].shape, batch["order"].dtype
    (torch.Size([16, 3, 64, 64]), torch.int64)
    """

    def __init__(
        self,
        store: Records,
        *,
        transform: Callable[[Sample], Any] | None = None,
        layout: TensorLayout = "NCHW",
        **options: Unpack[WhatOptions],
    ) -> None:
        check_options(options, foreign=_OF_THE_ORDER, where="the sampler of the DataLoader decides about the order")
        check_options(options, foreign=("views",), where="samples have one view; use Batches, or transform")
        self.store = store
        self.transform = transform
        self.layout = layout
        self.options = Options(**options, layout="NHWC" if store._holds_arrays() else core_layout(layout))
        self._epoch = Epoch()
        self._made: tuple[int, _core.Queue, Batches] | None = None
        # Wrong options are told of now, and not in a worker.
        thread_count(self.options.threads)
        self.label_names = Batches(store, self.options).label_names

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: Index) -> Any:
        """Return one sample; or, for a list of rows, the batch of them as `collate` would return it."""
        if isinstance(index, torch.Tensor) and index.ndim == 0:
            index = operator.index(index)
        if not is_single(index):
            return collate(self.__getitems__(index))
        rows = np.array([single_row(index, len(self), self.store.find)], np.int64)
        samples = self._samples(rows)
        if len(samples) == 0:
            raise InvalidRequestError(
                f"record {rows[0]} cannot be read, and bad='skip' leaves such out of batches, which one sample is not: "
                "use batches, or bad='fill'"
            )
        return samples[0] if self.transform is None else self.transform(samples[0])

    def __getitems__(self, indices: Index) -> Sequence[Any]:
        """Return the samples of a batch, read by one call of the core."""
        samples = self._samples(batch_rows(indices, len(self), self.store.find))
        if self.transform is None:
            return samples
        if samples.why_none is not None:
            return _NoSamples(samples.why_none)
        return [self.transform(sample) for sample in samples]

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    @property
    def epoch(self) -> int:
        """What the next samples depend on, from 0."""
        return self._epoch.number

    def set_epoch(self, epoch: int) -> None:
        """Choose other crops; workers that live on see it too.

        Parameters
        ----------
        epoch : int
            From 0 to ``2**63 - 1``. To be set between epochs, as that of a ``DistributedSampler``.
        """
        self._epoch.number = integer("epoch", epoch, least=0, most=2**63 - 1)

    def state_dict(self) -> dict[str, int]:
        """Return what samples depend on besides their rows; a ``StatefulDataLoader`` keeps it with its own state."""
        return {"epoch": self.epoch, "seed": int(self.options.seed)}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on in the epoch of a state, unless a later one was set.

        A ``StatefulDataLoader`` also loads the state of an epoch that had ended, when the next one may have been set.

        Parameters
        ----------
        state : mapping
            As `state_dict` returned it.

        Raises
        ------
        InvalidRequestError
            If it is of another seed.
        """
        if state.get("seed") != self.options.seed:
            raise InvalidRequestError(f"state: expected the seed {self.options.seed}, found {state.get('seed')}")
        epoch = integer("state['epoch']", state.get("epoch"), least=0, most=2**63 - 1)
        if epoch > self.epoch:
            self.set_epoch(epoch)

    @property
    def bad(self) -> list[BadRecord]:
        """Records that this process left out or filled, the first 10,000 of them."""
        return [] if self._made is None else self._made[2].bad

    def _samples(self, rows: Rows) -> Samples:
        queue, batches = self._batches()
        batch = batches.finish(batches.begin(queue, rows, epoch=self.epoch))
        whole = tensors(batch, images=self._images(), layout=self.layout)
        return Samples(whole, None if len(whole["row"]) or not len(rows) else self._why_none(rows))

    def _why_none(self, rows: Rows) -> str:
        first = int(rows[0])
        return (
            f"none of the {len(rows)} records of this batch can be read, the first is record {first} "
            f"({self.store.keys[first]}): bad='skip' left all of them out, and no sample remains; use bad='fill', or "
            "leave such records out with select"
        )

    def _images(self) -> list[str]:
        return [] if self.store._holds_arrays() else ["image", *self.options.beside]

    def _batches(self) -> tuple[_core.Queue, Batches]:
        """Return what reads: made in each process, since threads do not live on in a forked one."""
        if self._made is None or self._made[0] != os.getpid():
            queue = _core.Queue(_threads_of_a_worker(self.options.threads))
            self._made = os.getpid(), queue, Batches(self.store, self.options, memory=new_memory)
        return self._made[1], self._made[2]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}

    def __repr__(self) -> str:
        return f"Dataset({self.store!r}, {len(self):,} samples, epoch {self.epoch})"


def collate(samples: Sequence[Any]) -> Any:
    """Return the batch of some samples: the ``collate_fn`` of a `Dataset`.

    Parameters
    ----------
    samples : sequence
        What a `Dataset` gave. Samples that a transform made are stacked as PyTorch does it; lists of str stay lists.

    Returns
    -------
    dict of str to Tensor or list
        With a leading axis for the samples.

    Raises
    ------
    InvalidRequestError
        If a transform is to take samples of a batch of which ``bad="skip"`` left all records out. Without a transform
        that is a batch of no records, as `Store.loader` gives it.
    """
    if isinstance(samples, Samples):
        return samples.whole
    # Of no samples at all there is no batch: taking one says why.
    first = samples[0]
    if all(isinstance(sample, Mapping) for sample in samples):
        return {name: _joined([sample[name] for sample in samples]) for name in first}
    return data.default_collate(list(samples))


def _joined(values: list[Any]) -> Any:
    texts = all(value is None or isinstance(value, str) for value in values)
    return values if texts else data.default_collate(values)


def _threads_of_a_worker(threads: int | None) -> int:
    info = data.get_worker_info()
    count = thread_count(threads)
    return count if info is None or threads is not None else max(count // info.num_workers, 1)
