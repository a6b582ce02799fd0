"""The exceptions of arraystore: a small tree, grouped by what a handler would do."""

from __future__ import annotations

__all__ = [
    "ArrayStoreError",
    "DamagedStoreError",
    "DatasetNotFoundError",
    "DecodeError",
    "DuplicateKeyError",
    "FormatError",
    "InternalError",
    "InvalidRequestError",
    "MissingFileError",
    "MissingImageError",
    "SourceChangedError",
    "SourceError",
    "UnfinishedStoreError",
    "UnknownColumnError",
    "UnknownKeyError",
]


class ArrayStoreError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    message : str
        What was asked, what was found, and what to do next.
    code : str
        Stable name of the case, for programs: codes may be added, never renamed.

    Attributes
    ----------
    code : str
        As given.
    """

    default_code = "error"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code

    def __str__(self) -> str:
        # KeyError would show the representation of its argument instead of the message.
        return str(self.args[0])

    def __reduce__(self) -> tuple[type[ArrayStoreError], tuple[str, str]]:
        return type(self), (self.args[0], self.code)


class InvalidRequestError(ArrayStoreError, ValueError):
    """An argument that no store could satisfy: a box outside its image, a wrong shape or dtype."""

    default_code = "invalid-request"


class UnknownKeyError(ArrayStoreError, KeyError):
    """No record has this key."""

    default_code = "unknown-key"


class UnknownColumnError(ArrayStoreError, KeyError):
    """The store has no column of this name."""

    default_code = "unknown-column"


class MissingImageError(ArrayStoreError, LookupError):
    """The record exists, but its image is missing."""

    default_code = "missing"


class MissingFileError(MissingImageError, FileNotFoundError):
    """The same where an image is asked for as a file: who reads published folders expects this."""


class DatasetNotFoundError(ArrayStoreError, FileNotFoundError):
    """There is no data set where it was looked for, or it lacks its images or its table."""

    default_code = "dataset-not-found"


class DecodeError(ArrayStoreError, ValueError):
    """The bytes are those of the source, but not a JPEG that can be decoded."""

    default_code = "decode"


class DamagedStoreError(ArrayStoreError, OSError):
    """The store is not as it was written: a checksum differs, a file is cut short or missing."""

    default_code = "damaged"


class FormatError(ArrayStoreError, ValueError):
    """This is not an arraystore, or one of a newer format."""

    default_code = "format"


class UnfinishedStoreError(FormatError):
    """The ingest of this store was interrupted; the same command finishes it."""

    default_code = "unfinished"


class SourceError(ArrayStoreError, ValueError):
    """A source package or metadata table is not what its layout promises."""

    default_code = "source"


class SourceChangedError(SourceError):
    """A source is not what it was when the ingest was planned."""

    default_code = "source-changed"


class DuplicateKeyError(SourceError):
    """One key stands for two different records."""

    default_code = "duplicate-key"


class InternalError(ArrayStoreError, RuntimeError):
    """A bug in arraystore; please report it."""

    default_code = "internal"
