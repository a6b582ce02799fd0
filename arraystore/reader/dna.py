"""DNA texts as rows of small integers, padded to one length; pure."""

from __future__ import annotations

from collections.abc import Sequence
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

    Examples
    --------
    >>> form = DnaForm(length=6, alphabet="ACGTN")
    >>> codes = np.empty((2, 6), np.uint8)
    >>> form.encode([b"acgtR", None], codes)
    >>> codes.tolist()
    [[0, 1, 2, 3, 4, 5], [5, 5, 5, 5, 5, 5]]
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

    def encode(self, texts: Sequence[bytes | None], out: npt.NDArray[np.uint8]) -> None:
        """Write the codes of texts, one a row.

        Parameters
        ----------
        texts : sequence of bytes or None
            ASCII; a byte beyond it is an unknown letter. None for a missing text.
        out : ndarray of uint8, shape (len(texts), length)
            Filled to the last element.
        """
        cut = [(text or b"")[: self.length] for text in texts]
        lengths = np.fromiter(map(len, cut), np.int64, len(cut))
        out.fill(self.padding)
        # A mask takes values in the order of rows, which is how the texts follow one another.
        out[np.arange(self.length) < lengths[:, None]] = self._table()[np.frombuffer(b"".join(cut), np.uint8)]

    def _table(self) -> npt.NDArray[np.uint8]:
        """Return the code of each byte."""
        upper = self.alphabet.upper()
        unknown = upper.index(_UNKNOWN_LETTER) if _UNKNOWN_LETTER in upper else _NO_LETTER
        table = np.full(256, unknown, np.uint8)
        for letters in (upper, upper.lower()):
            table[list(letters.encode())] = np.arange(len(upper))
        return table
