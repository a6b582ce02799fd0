"""What a store offers on top of reading: methods that hand it to the parts above, loaded when they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from arraystore.reader.crops import CropMode, Layout, Size
from arraystore.reader.indexing import Index
from arraystore.reader.records import Records

if TYPE_CHECKING:
    from arraystore.integrations.notebook import Grid, Record
    from arraystore.integrations.plot import Plot
    from arraystore.loader import Loader

__all__ = ["Facade"]


class Facade(Records):
    """Methods of a store and its views that parts above the reader carry out."""

    def loader(
        self,
        batch_size: int,
        *,
        crop: CropMode | None = None,
        size: Size | None = None,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.0,
        turn: bool = False,
        views: int = 1,
        dtype: Literal["uint8", "float32"] | None = None,
        layout: Layout = "NHWC",
        mean: Sequence[float] | float | None = None,
        std: Sequence[float] | float | None = None,
        labels: str | Sequence[str] = (),
        text: str | Sequence[str] = (),
        dna: bool | Mapping[str, Any] = False,
        beside: Mapping[str, Records] | None = None,
        shuffle: Literal["full", "window"] | None = "full",
        weights: npt.ArrayLike | str | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        worker: int = 0,
        workers: int = 1,
        drop_last: bool = False,
        bad: Literal["raise", "skip", "fill"] = "raise",
        verify: bool = True,
        threads: int | None = None,
        prefetch: int | None = None,
    ) -> Loader:
        """Iterate over batches for training, decoded ahead by threads of their own.

        The order of an epoch is a function of `seed`, the epoch and the number of records alone: the same for any
        batch size, number of threads, ranks or workers. The crops are those of `Store.crops`.

        Parameters
        ----------
        batch_size : int
            Records of a batch.
        crop : {"random_resized", "random", "center"}, optional
            As `mode` of `Store.crops`; ``"random_resized"`` if not given. Of patches, ``"random"`` or ``"center"``.
        size : int or tuple of int, optional
            ``(height, width)`` of the crops in pixels; 224 if not given. Of patches, in pixels of the first field: a
            field of a whole multiple of its size is cut by that multiple; they are not cut if it is not given.
        scale, ratio : tuple of float
            As for `Store.crops`.
        flip : float, default 0
            Probability that a crop is mirrored left to right.
        turn : bool, default False
            Of patches: turn them by 0 to 3 right angles at random, after they are mirrored, as ``numpy.rot90`` does.
        views : int, default 1
            Of images: this many random crops of each, up to 8, from one decoding. The first is that of one view.
        dtype, layout, mean, std
            Of images, as for `Store.crops`.
        labels : str or sequence of str
            Columns: of a categorical one, the codes of `Store.labels` as int64; of a numeric one, its values.
        text : str or sequence of str
            Text fields, or the name of the key, such as ``"processid"``: lists of str, None where one is missing.
        dna : bool or mapping, default False
            Whether ``"dna"`` of a batch is what `Store.dna` gives; or the options of that, ``{"length": 660}``.
        beside : mapping of str to Store or View, optional
            Other stores of images: the image of the same key with the same random numbers, under this name.
        shuffle : {"full", "window"} or None
            - ``"full"``: any order; it costs no memory.
            - ``"window"``: blocks of 64 neighbours on disk in random order, 256 of them mixed at a time: for disks and
              networks that are slow at random places. `docs/design/0005-loader.md` has what it does to the order.
            - None: the order of the records.
        weights : array_like of float, shape (n,), or str, optional
            Draw as many records as there are, with replacement, each as often as its weight says. A column: all its
            labels equally often, and no record without one.
        seed : int, default 0
            From 0 to ``2**64 - 1``.
        rank, world_size : int
            Which of how many processes this is that share an epoch, as in ``torch.distributed``: each has every
            `world_size`-th record, all have as many. If the records cannot be divided, the first come again at the end.
        worker, workers : int
            Which of how many processes this is that share the batches of a rank, as the workers of a ``DataLoader``.
        drop_last : bool, default False
            Leave out the records that cannot be divided among the ranks, and the last batch if it is not full.
        bad : {"raise", "skip", "fill"}
            What to do with a record of which something that was asked for cannot be read: raise the error; leave it out
            of the batch; or leave zeros in its place (a text is as one that is missing), and mark it in ``"bad"``. The
            last two warn once, and keep it in `Loader.bad`; in a worker process, where nobody sees that, they warn of
            each. A file of many records that is gone, cut short or changed is always an error.
        verify : bool, default True
            Compare the images or patches, texts and DNA of each record with their checksums.
        threads : int, optional
            See `arraystore.threads.thread_count`. Processes that share a machine should share its cores.
        prefetch : int, optional
            Batches to decode beyond the one that is waited for; ``prefetch + 2`` of them are in memory. If not given: 2
            of them, or 1 if a batch has more than 64 MiB.

        Returns
        -------
        Loader
            ``len(loader)`` batches at each iteration: dicts of ``"image"``, (n, height, width, 3) or
            (n, 3, height, width), with a leading axis for several `views`; or of each field of patches by its name; and
            ``"row"``, int64, in this store or view; and what else was asked for. An array is yours: its memory is
            used again only when nothing refers to it.

        Raises
        ------
        InvalidRequestError
            If an argument is wrong, or makes no sense for this store.
        UnknownColumnError
            If there is no such column; a `KeyError`.

        Examples
        --------
        >>> import arraystore
        >>> store = arraystore.open("cropped_256.zarr")
        >>> loader = store.select(split="train").loader(64, flip=0.5, labels="order")
        >>> for epoch in range(2):
        ...     loader.set_epoch(epoch)
        ...     for batch in loader:
        ...         images, orders = batch["image"], batch["order"]
        >>> images.shape[1:], orders.dtype
        ((224, 224, 3), dtype('int64'))
        """
        from arraystore.loader import Loader, Options

        options = Options(
            crop=crop,
            size=size,
            scale=scale,
            ratio=ratio,
            flip=flip,
            turn=turn,
            views=views,
            dtype=dtype,
            layout=layout,
            mean=mean,
            std=std,
            labels=labels,
            text=text,
            dna=dna,
            beside=beside or {},
            shuffle=shuffle,
            weights=weights,
            seed=seed,
            rank=rank,
            world_size=world_size,
            worker=worker,
            workers=workers,
            drop_last=drop_last,
            bad=bad,
            verify=verify,
            threads=threads,
            prefetch=prefetch,
        )
        return Loader(self, batch_size, options)

    def show(self, rows: Index | None = None, *, columns: str | Sequence[str] | None = None, size: int = 128) -> Grid:
        """Show records in a notebook: a grid of their pictures, each with its key and label.

        Parameters
        ----------
        rows : int or str; slice, list, array or mask, optional
            Rows or keys, at most 500; some drawn at random if not given, always the same.
        columns : str or sequence of str, optional
            What is written below each; the most exact label if not given.
        size : int, default 128
            Longest side of a picture in pixels of the screen.

        Returns
        -------
        Grid
            The last value of a cell shows itself. Patches are gray, from the 0.5th to the 99.8th percentile of each.

        Raises
        ------
        InvalidRequestError
            If there are more than 500.
        UnknownKeyError, IndexError, UnknownColumnError
            If there is no such record or column.
        """
        from arraystore.integrations.notebook import Grid

        return Grid.of(self, rows, columns=columns, size=size)

    def record(self, index: int | str) -> Record:
        """Return what is known of one record, by the names of the columns; a notebook shows its picture beside it.

        Parameters
        ----------
        index : int or str
            A row (negative from the end) or a key.

        Returns
        -------
        Record
            A mapping, with `key`, `row`, `size` in pixels, `texts` and `image`. Patches are
            shown as by `show`.

        Raises
        ------
        UnknownKeyError, IndexError
            If there is no such record.

        Examples
        --------
        >>> import arraystore
        >>> store = arraystore.open("cropped_256.zarr")
        >>> record = store.record(5)
        >>> record.key == store.keys[5], record["order"] == store.columns["order"][5]
        (True, True)
        """
        from arraystore.integrations.notebook import Record

        return Record(self, index)

    @property
    def plot(self) -> Plot:
        """Plots by matplotlib: ``store.plot.sizes()``, ``store.plot.classes("order")``."""
        from arraystore.integrations.plot import Plot

        return Plot(self)

    def _repr_html_(self) -> str:
        from arraystore.integrations.notebook import summary_html

        return summary_html(self)
