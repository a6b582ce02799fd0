"""Numbers and switches that a caller gives, checked where they come in; pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from arraystore.errors import InvalidRequestError

__all__ = ["choice", "integer", "number", "number_pair", "switch"]


def integer(name: str, value: object, *, least: int, most: int) -> int:
    """Return an integer argument as a Python int.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    value : object
        As the caller gave it; a float is no integer, even 1.0.
    least, most : int
        Bounds, both inclusive.

    Raises
    ------
    InvalidRequestError
        If it is no integer, or out of bounds.

    Examples
    --------
    >>> integer("seed", np.uint8(7), least=0, most=2**64 - 1)
    7
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= int(value) <= most:
        raise InvalidRequestError(f"{name}={value!r}: expected an integer from {least} to {most}")
    return int(value)


def number(name: str, value: object, *, expected: str) -> float:
    """Return a finite number as a Python float.

    Raises
    ------
    InvalidRequestError
        If it is none; `expected` completes the message.
    """
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        try:
            if math.isfinite(value):
                return float(value)
        except OverflowError:
            # An integer that no float can hold.
            pass
    raise InvalidRequestError(f"{name}={value!r}: expected {expected}")


def number_pair(name: str, value: object, *, expected: str) -> tuple[float, float]:
    """Return two finite numbers as Python floats.

    Raises
    ------
    InvalidRequestError
        If it is anything else; `expected` completes the message.
    """
    pair = list(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes) else []
    if len(pair) != 2:
        raise InvalidRequestError(f"{name}={value!r}: expected {expected}")
    low, high = (number(name, each, expected=expected) for each in pair)
    return low, high


def choice(name: str, value: object, choices: Collection[str]) -> str:
    """Return an argument that is one of some words.

    Raises
    ------
    InvalidRequestError
        If it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequestError(f"{name}={value!r}: expected one of {', '.join(choices)}")
    return value


def switch(name: str, value: object) -> bool:
    """Return an argument that is on or off.

    Raises
    ------
    InvalidRequestError
        If it is neither True nor False: ``"no"`` would count as on.
    """
    if not isinstance(value, bool | np.bool_):
        raise InvalidRequestError(f"{name}={value!r}: expected True or False")
    return bool(value)
