"""DNA texts as rows of small integers, padded to one length; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.reader.arguments import integer

__all__ = ["DnaForm"]

_UNKNOWN_LETTER = "N"
# No index of a letter, so that an embedding fails instead of learning nonsense.
_NO_LETTER = 255
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class DnaForm:
    """How texts are turned into codes.

    Attributes
    ----------
    length : int
        Codes of one text; longer ones are cut.
    alphabet : str
        Letters, each with its position as code. Lower and upper case are the same letter.
    """

    length: int = 660
    alphabet: str = "ACGTN"

    def __post_init__(self) -> None:
        integer("length", self.length, least=1, most=_LONGEST)
        letters: object = self.alphabet
        is_text = isinstance(letters, str) and letters.isascii() and letters.isprintable()
        if not is_text or not 0 < len(self.alphabet) == len(set(self.alphabet.upper())):
            raise InvalidRequestError(
                f"alphabet={letters!r:.100}: expected ASCII letters, each once (lower and upper case are the same)"
            )

    @property
    def padding(self) -> int:
        """The code after the end of a text: the first that is no letter's."""
        return len(self.alphabet)

    def array(self, n: int, out: Any = None) -> npt.NDArray[np.uint8]:
        """Return the array to fill: a new one, or the memory of `out` after it was checked.

        Raises
        ------
        InvalidRequestError
            If `out` has another shape or dtype, or is read-only.
        """
        if out is None:
            return np.empty((n, self.length), np.uint8)
        if isinstance(out, list | tuple) or not hasattr(out, "__array__"):
            raise InvalidRequestError(f"out: expected an array to fill, found {type(out).__name__}")
        array: npt.NDArray[Any] = np.asarray(out)
        if array.shape != (n, self.length) or array.dtype != np.uint8:
            raise InvalidRequestError(
                f"out: expected uint8 of shape {(n, self.length)}, found {array.dtype} of shape {array.shape}"
            )
        if not array.flags.writeable:
            raise InvalidRequestError("out: expected a writable array")
        return array

    def codes(self) -> bytes:
        """Return the code of each of 256 bytes; one beyond ASCII is an unknown letter.

        Examples
        --------
        >>> [DnaForm(alphabet="ACGTN").codes()[byte] for byte in b"acgtR"]
        [0, 1, 2, 3, 4]
        """
        upper = self.alphabet.upper()
        unknown = upper.index(_UNKNOWN_LETTER) if _UNKNOWN_LETTER in upper else _NO_LETTER
        table = np.full(256, unknown, np.uint8)
        for letters in (upper, upper.lower()):
            table[list(letters.encode())] = np.arange(len(upper))
        return table.tobytes()
