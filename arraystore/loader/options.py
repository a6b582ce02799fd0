"""What a loader may be asked for, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.reader.arguments import choice, integer, switch
from arraystore.reader.crops import CropMode, Layout, Size
from arraystore.reader.records import Records

__all__ = ["BadMode", "Options", "Shuffle", "names_of"]

Shuffle: TypeAlias = Literal["full", "window"]
BadMode: TypeAlias = Literal["raise", "skip", "fill"]

_MOST_VIEWS = 8
_MOST_BATCH = 1 << 24
_MOST_PREFETCH = 1 << 10

# Batches ahead where nobody says how many, and the memory that they may take with the two others.
_USUAL_PREFETCH = 2
_USUAL_NBYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a loader; each is described at `Store.loader`."""

    crop: CropMode | None = None
    size: Size | None = None
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    turn: bool = False
    views: int = 1
    dtype: Literal["uint8", "float32"] | None = None
    layout: Layout = "NHWC"
    mean: Sequence[float] | float | None = None
    std: Sequence[float] | float | None = None
    labels: str | Sequence[str] = ()
    text: str | Sequence[str] = ()
    dna: bool | Mapping[str, Any] = False
    beside: Mapping[str, Records] = field(default_factory=dict)
    shuffle: Shuffle | None = "full"
    weights: npt.ArrayLike | str | None = None
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    worker: int = 0
    workers: int = 1
    drop_last: bool = False
    bad: BadMode = "raise"
    verify: bool = True
    threads: int | None = None
    prefetch: int | None = None

    def __post_init__(self) -> None:
        choice("bad", self.bad, get_args(BadMode))
        if self.crop is not None:
            choice("crop", self.crop, get_args(CropMode))
        if self.shuffle not in (None, *get_args(Shuffle)):
            raise InvalidRequestError(f"shuffle={self.shuffle!r}: expected 'full', 'window', or None for no shuffle")
        if self.weights is not None and self.shuffle != "full":
            raise InvalidRequestError(f"shuffle={self.shuffle!r}: rows drawn by weights come in random order")
        self._keep_integer("seed", least=0, most=2**64 - 1)
        self._keep_integer("views", least=1, most=_MOST_VIEWS)
        if self.prefetch is not None:
            self._keep_integer("prefetch", least=1, most=_MOST_PREFETCH)
        for one, all_ in (("rank", "world_size"), ("worker", "workers")):
            self._keep_integer(all_, least=1, most=2**31)
            self._keep_integer(one, least=0, most=getattr(self, all_) - 1)
        for name in ("turn", "drop_last", "verify"):
            switch(name, getattr(self, name))
        if not isinstance(self.dna, bool | Mapping):
            raise InvalidRequestError(f"dna={self.dna!r}: expected True, or the options of Store.dna as a dict")
        stores: object = self.beside
        if not isinstance(stores, Mapping) or not all(isinstance(each, Records) for each in stores.values()):
            raise InvalidRequestError('beside: expected a dict of open stores, {"original": other_store}')

    def _keep_integer(self, name: str, *, least: int, most: int) -> None:
        """Keep an integer as Python's: sums of NumPy's would be limited to their few bits."""
        object.__setattr__(self, name, integer(name, getattr(self, name), least=least, most=most))

    def batches_ahead(self, nbytes: int) -> int:
        """Return how many batches of some bytes are decoded beyond the one that is waited for."""
        if self.prefetch is not None:
            return self.prefetch
        return max(1, min(_USUAL_PREFETCH, _USUAL_NBYTES // max(nbytes, 1) - 2))


def batch_size_of(value: object) -> int:
    """Return a number of records for a batch.

    Raises
    ------
    InvalidRequestError
        If it is none.
    """
    return integer("batch_size", value, least=1, most=_MOST_BATCH)


def names_of(given: str | Sequence[str]) -> list[str]:
    """Return one name, or several, as a list."""
    return [given] if isinstance(given, str) else list(given)
