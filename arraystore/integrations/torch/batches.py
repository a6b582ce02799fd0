"""Batches of `store.loader` as tensors, by themselves or in a DataLoader."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from torch import distributed
from torch.utils import data

from arraystore.integrations.torch.memory import new_memory
from arraystore.integrations.torch.options import Epoch, TensorLayout, check_options, core_layout, tensors
from arraystore.loader import BadRecord, Loader, Options
from arraystore.reader.arguments import integer, switch
from arraystore.reader.records import Records
from arraystore.threads import thread_count

__all__ = ["Batches"]


class Batches(data.IterableDataset[dict[str, Any]]):
    """Batches for training, decoded ahead by threads of the core, as dicts of tensors.

    Iterate over it: no worker processes are needed, and no batch is copied. It may also stand in a
    ``DataLoader(batches, batch_size=None, num_workers=...)``, where the workers share the batches and give them in the
    same order, and in a ``StatefulDataLoader``.

    Parameters
    ----------
    store : Store or View
        What to read.
    batch_size : int
        Records of a batch.
    layout : {"NCHW", "NHWC", "channels_last"}
        Of images. ``"channels_last"`` has the shape of NCHW and the memory of NHWC, as PyTorch's memory format.
    pin_memory : bool, default False
        Decode into pinned memory, for ``tensor.to("cuda", non_blocking=True)``. Without effect where there is no GPU,
        and in workers, whose DataLoader has its own `pin_memory`.
    rank, world_size : int, optional
        As for `Store.loader`; those of ``torch.distributed`` if not given, and if that is initialised when the first
        batch or the length is asked for.
    **options
        All others of `Store.loader` but `worker` and `workers`.

    Raises
    ------
    InvalidRequestError, UnknownColumnError
        As for `Store.loader`.

    Examples
    --------
    >>> import arraystore
    >>> from arraystore.integrations.torch import Batches
    >>> batches = Batches(arraystore.open("cropped_256.zarr"), 64, size=96, flip=0.5, labels="order")
    >>> for epoch in range(2):
    ...     batches.set_epoch(epoch)
    ...     for batch in batches:
    ...         images, orders = batch["image"], batch["order"]
    >>> images.shape[1:], orders.dtype
    (torch.Size([3, 96, 96]), torch.int64)
    """

    def __init__(
        self,
        store: Records,
        batch_size: int,
        *,
        layout: TensorLayout = "NCHW",
        pin_memory: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        **options: Any,
    ) -> None:
        check_options(options, foreign=("worker", "workers"), where="the DataLoader tells each worker its share")
        self.store = store
        self.layout = layout
        self.pin_memory = switch("pin_memory", pin_memory)
        self._ranks_given = {"rank": rank, "world_size": world_size}
        options |= {"rank": 0, "world_size": 1} | self._ranks()
        options["layout"] = "NHWC" if store._holds_arrays() else core_layout(layout)
        self._options = options
        self._epoch = Epoch()
        self._loader = self._new_loader(batch_size)
        # How often the epoch was set, as far as this process has seen.
        self._seen = 0
        # In a worker, and which: memory that its parent had made is not shared.
        self._worker: _WorkerLoader | None = None
        self._process: int | None = None

    def __len__(self) -> int:
        self._join()
        return len(self._loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        images = [] if self.store._holds_arrays() else ["image", *self._loader.options.beside]
        # Begun now and not with the first batch, so that the epoch and the state are those of this iterator.
        return map(partial(tensors, images=images, layout=self.layout), self._loader_here())

    @property
    def epoch(self) -> int:
        """Which epoch the next batch belongs to, from 0. What workers count by themselves is not seen here."""
        return self._loader.epoch

    @property
    def label_names(self) -> dict[str, list[str]]:
        """For each column of labels, what its codes stand for."""
        return self._loader.label_names

    @property
    def bad(self) -> list[BadRecord]:
        """Records that this process left out or filled, the first 10,000 of them."""
        return self._loader.bad

    @property
    def bad_count(self) -> int:
        """How many records this process left out or filled in all."""
        return self._loader.bad_count

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iterator. In a DataLoader with workers, call it before each iterator.

        Workers that live on (``persistent_workers``) go to the next epoch at each iterator of the DataLoader, even if
        the one before was left early; those that are begun anew begin with the epoch that is set here.

        Parameters
        ----------
        epoch : int
            From 0 to ``2**63 - 1``.
        """
        self._epoch.number = integer("epoch", epoch, least=0, most=2**63 - 1)
        self._seen = self._epoch.times_set
        self._loader.set_epoch(self._epoch.number)

    def state_dict(self) -> dict[str, int]:
        """Return where this iteration is; see `Loader.state_dict`."""
        return self._loader_here().state_dict()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where another iteration was; see `Loader.load_state_dict`.

        Of an epoch whose last batch was given, nothing is left: that is the next iterator, as in a
        ``StatefulDataLoader``, whatever epoch was set before.
        """
        self._loader_here().load_state_dict(state)

    def _ranks(self) -> dict[str, int]:
        """Return rank and world size, as far as they are given or known by now."""
        found = {name: value for name, value in self._ranks_given.items() if value is not None}
        if distributed.is_available() and distributed.is_initialized():
            found = {"rank": distributed.get_rank(), "world_size": distributed.get_world_size()} | found
        return found

    def _join(self) -> None:
        """Take the rank of this process, which may be known only after this was made."""
        if self._worker is not None or all(self._options[name] == value for name, value in self._ranks().items()):
            return
        begun, self._options = self._loader, self._options | self._ranks()
        self._loader = self._new_loader(begun.batch_size)
        self._loader.set_epoch(begun.next_epoch)
        if begun.resumes:
            self._loader.load_state_dict(begun.state_dict())

    def __getstate__(self) -> dict[str, Any]:
        # A worker that is begun by spawn knows of no group.
        self._join()
        return self.__dict__

    def _loader_here(self) -> Loader | _WorkerLoader:
        """Return the loader, which in a worker is one of its own, with its share of the batches."""
        self._join()
        info = data.get_worker_info()
        if info is None:
            if self._epoch.times_set != self._seen:
                self._seen = self._epoch.times_set
                self._loader.set_epoch(self._epoch.number)
            return self._loader
        if self._worker is None or self._process != os.getpid():
            threads = self._options.get("threads")
            if threads is None:
                threads = max(thread_count() // info.num_workers, 1)
            mine = {"worker": info.id, "workers": info.num_workers, "threads": threads}
            begun = self._loader
            loader = self._new_loader(begun.batch_size, **mine)
            loader.set_epoch(begun.next_epoch)
            if begun.resumes:
                loader.load_state_dict(begun.state_dict())
            self._loader, self._process = loader, os.getpid()
            self._worker = _WorkerLoader(loader, self._epoch, self._seen)
        return self._worker

    def _new_loader(self, batch_size: int, **more: int) -> Loader:
        options = Options(**{**self._options, **more})
        return Loader(self.store, batch_size, options, memory=partial(new_memory, pinned=self.pin_memory))

    def __repr__(self) -> str:
        return f"Batches({self._loader!r})"


class _WorkerLoader:
    """The loader of a worker, whose epochs begin when those of the other workers do.

    Each worker is asked for one iterator in each epoch of the DataLoader, and counts these. It does not count the ends
    that it reaches: some workers reach theirs ahead of what the DataLoader gives, and then the DataLoader is left.

    Parameters
    ----------
    loader : Loader
        With the share of this worker, where it begins.
    epoch : Epoch
        Is set by the parent.
    seen : int
        How often it was set before this worker began.
    """

    def __init__(self, loader: Loader, epoch: Epoch, seen: int) -> None:
        self._loader = loader
        self._shared = epoch
        self._seen = seen
        self._epoch = loader.epoch
        # Whether an iterator of this epoch was begun.
        self._begun = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        loader = self._loader
        if self._begun:
            self._epoch = self._next_epoch()
            loader.load_state_dict({**loader.state_dict(), "epoch": self._epoch, "start": 0, "batches": 0})
        self._begun = True
        # Less than none if there are fewer batches than where the state is from.
        left = len(loader) - loader.state_dict()["batches"]
        # Never asked for its end, where a loader goes to the next epoch by itself.
        return islice(loader, left) if left > 0 else iter(())

    def _next_epoch(self) -> int:
        if self._shared.times_set == self._seen:
            return (self._epoch + 1) % 2**64
        self._seen = self._shared.times_set
        return self._shared.number

    def state_dict(self) -> dict[str, int]:
        """Return where this worker is."""
        return self._loader.state_dict()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where another worker was."""
        self._loader.load_state_dict(state)
        self._epoch, self._begun = self._loader.epoch, False
