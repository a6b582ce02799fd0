"""Crops: what a caller may ask for, checked and turned into what the core takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.reader.arguments import choice, integer, number, number_pair

__all__ = ["CropBatch", "CropMode", "CropPolicy", "Layout", "OutputForm", "Size", "box_array", "size_pair"]

CropMode: TypeAlias = Literal["random_resized", "random", "center"]
Layout: TypeAlias = Literal["NHWC", "NCHW"]
Size: TypeAlias = int | tuple[int, int]
_Triple: TypeAlias = tuple[float, float, float]

_CORE_POLICIES = {"random_resized": "random-resized", "random": "random", "center": "center"}

_DTYPES = ("uint8", "float32")
_PROBABILITY = "a probability from 0 to 1"

# The largest side of an output: beyond it, a wrong argument is likelier than a wish.
_LARGEST_SIDE = 65_535


class CropBatch(NamedTuple):
    """Crops with what was cut, as `crops(..., return_boxes=True)` gives them.

    Attributes
    ----------
    pixels : ndarray
        The batch.
    boxes : ndarray of int64, shape (n, 4)
        ``(top, left, height, width)`` in pixels of the stored image.
    flips : ndarray of bool, shape (n,)
        Which of them are mirrored left to right.
    """

    pixels: Any
    boxes: npt.NDArray[np.int64]
    flips: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CropPolicy:
    """How the box of each image is chosen.

    Attributes
    ----------
    mode : {"random_resized", "random", "center"}
        See `Store.crops`.
    scale, ratio : tuple of float
        Of ``random_resized``: bounds of the share of the area, and of width / height.
    flip : float
        Probability of a horizontal mirror.
    seed, epoch : int
        With the row of a record, all that its random numbers depend on.
    """

    mode: CropMode = "random_resized"
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    seed: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        choice("mode", self.mode, _CORE_POLICIES)
        _check_bounds("scale", self.scale, most=1.0)
        _check_bounds("ratio", self.ratio, most=float("inf"))
        if not 0.0 <= number("flip", self.flip, expected=_PROBABILITY) <= 1.0:
            raise InvalidRequestError(f"flip={self.flip!r}: expected {_PROBABILITY}")
        integer("seed", self.seed, least=0, most=2**64 - 1)
        integer("epoch", self.epoch, least=0, most=2**64 - 1)

    def core_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `_core.Field.crops` that say which boxes to cut."""
        return {
            "policy": _CORE_POLICIES[self.mode],
            "scale": (float(self.scale[0]), float(self.scale[1])),
            "ratio": (float(self.ratio[0]), float(self.ratio[1])),
            "flip": float(self.flip),
            "seed": int(self.seed),
            "epoch": int(self.epoch),
            "boxes": None,
        }


@dataclass(frozen=True, slots=True)
class OutputForm:
    """Shape, type and normalisation of a batch of equal images.

    Attributes
    ----------
    size : tuple of int
        ``(height, width)`` in pixels.
    dtype : {"uint8", "float32"} or None
        None takes that of `out`, or uint8.
    layout : {"NHWC", "NCHW"}
        Order of the axes.
    mean, std : sequence of 3 float, or float, optional
        Of the channels, in 0..1; for float32.
    """

    size: tuple[int, int]
    dtype: str | None = None
    layout: Layout = "NHWC"
    mean: Sequence[float] | float | None = None
    std: Sequence[float] | float | None = None

    def __post_init__(self) -> None:
        choice("layout", self.layout, get_args(Layout))
        if self.dtype is not None and _dtype_name(self.dtype) not in _DTYPES:
            raise InvalidRequestError(f"dtype={self.dtype!r}: expected uint8 or float32")

    def shape(self, n: int) -> tuple[int, int, int, int]:
        """Return the shape of a batch of `n` images."""
        height, width = self.size
        return (n, height, width, 3) if self.layout == "NHWC" else (n, 3, height, width)

    def array(self, n: int, out: Any = None) -> npt.NDArray[Any]:
        """Return the array to fill: a new one, or the memory of `out` after it was checked.

        Raises
        ------
        InvalidRequestError
            If `out` has another shape or dtype, or is read-only or not C-contiguous.
        """
        if out is None:
            return np.empty(self.shape(n), np.dtype(self.dtype or "uint8"))
        if isinstance(out, list | tuple) or not hasattr(out, "__array__"):
            raise InvalidRequestError(f"out: expected an array to fill, found {type(out).__name__}")
        array: npt.NDArray[Any] = np.asarray(out)
        expected = np.dtype(self.dtype) if self.dtype else array.dtype
        if array.shape != self.shape(n) or array.dtype != expected or array.dtype.name not in _DTYPES:
            wanted = np.dtype(self.dtype).name if self.dtype else "uint8 or float32"
            raise InvalidRequestError(
                f"out: expected {wanted} of shape {self.shape(n)}, found {array.dtype} of shape {array.shape}"
            )
        if not array.flags.c_contiguous or not array.flags.writeable:
            raise InvalidRequestError("out: expected a writable C-contiguous array")
        return array

    def core_arguments(self, array: npt.NDArray[Any]) -> dict[str, Any]:
        """Return the keyword arguments of `_core.Field.crops` that say what to fill, and how."""
        return {
            "size": self.size,
            "channels_first": self.layout == "NCHW",
            "normalise": self._normalisation(array.dtype),
        }

    def _normalisation(self, dtype: np.dtype[Any]) -> tuple[_Triple, _Triple] | None:
        if dtype != np.float32:
            if self.mean is not None or self.std is not None:
                raise InvalidRequestError(f"mean and std are for float32, not for {dtype}")
            return None
        mean = _triple("mean", 0.0 if self.mean is None else self.mean)
        std = _triple("std", 1.0 if self.std is None else self.std)
        if min(std) <= 0.0:
            raise InvalidRequestError(f"std={self.std!r}: expected positive numbers")
        return mean, std


def size_pair(size: object) -> tuple[int, int]:
    """Return ``(height, width)``, from a pair or from the side of a square.

    Raises
    ------
    InvalidRequestError
        If it is neither, or a side is not from 1 to 65,535.

    Examples
    --------
    >>> size_pair(224), size_pair((128, 256))
    ((224, 224), (128, 256))
    """
    expected = f"pixels, or (height, width), from 1 to {_LARGEST_SIDE}"
    pair = [size, size] if isinstance(size, int | np.integer) else size
    if not isinstance(pair, Sequence | np.ndarray) or isinstance(pair, str) or len(pair) != 2:
        raise InvalidRequestError(f"size={size!r}: expected {expected}")
    if not all(isinstance(side, int | np.integer) and not isinstance(side, bool) for side in pair):
        raise InvalidRequestError(f"size={size!r}: expected {expected}")
    height, width = (int(side) for side in pair)
    if not (1 <= height <= _LARGEST_SIDE and 1 <= width <= _LARGEST_SIDE):
        raise InvalidRequestError(f"size={size!r}: expected {expected}")
    return height, width


def box_array(boxes: npt.ArrayLike, n: int) -> npt.NDArray[np.int64]:
    """Return boxes as the core takes them.

    Parameters
    ----------
    boxes : array_like of int, shape (n, 4)
        ``(top, left, height, width)`` in pixels of the stored images.
    n : int
        Number of images.

    Raises
    ------
    InvalidRequestError
        If the shape or the type is another. Whether a box lies in its image is found by the read.
    """
    try:
        values = np.asarray(boxes)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"boxes: expected integers of shape {(n, 4)}, found {boxes!r:.100}") from error
    if values.size == 0 and n == 0:
        return np.empty((0, 4), np.int64)
    if values.shape != (n, 4) or values.dtype.kind not in "iu":
        raise InvalidRequestError(
            f"boxes: expected integers of shape {(n, 4)}, found {values.dtype} of shape {values.shape}"
        )
    return np.ascontiguousarray(values, np.int64)


def _check_bounds(name: str, bounds: tuple[float, float], *, most: float) -> None:
    expected = f"(low, high) with 0 < low <= high <= {most}"
    low, high = number_pair(name, bounds, expected=expected)
    if not 0.0 < low <= high <= most:
        raise InvalidRequestError(f"{name}={bounds!r}: expected {expected}")


def _dtype_name(dtype: object) -> str:
    try:
        return np.dtype(dtype).name  # type: ignore[call-overload, no-any-return]
    except TypeError:
        return ""


def _triple(name: str, value: Sequence[float] | float) -> _Triple:
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"{name}={value!r}: expected a number, or one for each of R, G and B") from error
    if numbers.shape not in ((), (3,)) or not np.isfinite(numbers).all():
        raise InvalidRequestError(f"{name}={value!r}: expected a number, or one for each of R, G and B")
    red, green, blue = np.broadcast_to(numbers, 3).tolist()
    return red, green, blue
