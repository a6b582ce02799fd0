"""Which files are images by their names, whatever the layout; and their names as the core's strings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from arraystore.sources.archive import column

if TYPE_CHECKING:
    from arraystore._core import Members, Strings
    from arraystore.sources.base import ImageSet

_IMAGE_SUFFIXES = (".jpg", ".jpeg")
# Names are joined byte by byte with arrays of positions, which are kept small.
_BATCH = 65_536


def is_junk_file(members: Members) -> npt.NDArray[np.bool_]:
    """Tell of each file whether a file manager left it: hidden ones, and what macOS adds to archives.

    Parameters
    ----------
    members : Members
        All files of the sources.

    Returns
    -------
    ndarray of bool
    """
    in_macosx = np.array(["__MACOSX" in name.split("/") for name in members.directories], bool)
    is_hidden = column(members.hidden, np.uint8).astype(bool)
    return is_hidden | in_macosx[column(members.directory, np.uint32)] if len(is_hidden) else is_hidden


def is_image_file(members: Members) -> npt.NDArray[np.bool_]:
    """Tell of each file whether its suffix is that of a JPEG.

    Parameters
    ----------
    members : Members
        All files of the sources.

    Returns
    -------
    ndarray of bool
    """
    is_image = np.array([suffix.lower() in _IMAGE_SUFFIXES for suffix in members.suffixes], bool)
    suffix = column(members.suffix, np.uint32)
    return is_image[suffix] if len(suffix) else np.zeros(0, bool)


def is_image_path(path: str) -> bool:
    """Tell whether a file would be an image of the package by its name: no junk of a file manager, and a JPEG.

    Examples
    --------
    >>> is_image_path("a.zip/train/0/X-1.JPG"), is_image_path("a.zip/__MACOSX/train/0/._X-1.jpg")
    (True, False)
    """
    *folders, name = path.split("/")
    return name.lower().endswith(_IMAGE_SUFFIXES) and not name.startswith(".") and "__MACOSX" not in folders


def skipped_words(members: Members) -> str:
    """Return the end of a message on sources without images: what was skipped, and why.

    Parameters
    ----------
    members : Members
        All files of the sources.

    Returns
    -------
    str
        Empty if nothing was skipped.
    """
    counts = Counter(reason for _, reason in members.skipped)
    if not counts:
        return ""
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in counts.most_common(3))
    return f"; {counts.total():,} were skipped: {reasons}"


def has_prefix(names: Strings, prefix: str) -> npt.NDArray[np.bool_]:
    """Tell which names begin with a prefix.

    Parameters
    ----------
    names : Strings
        The names.
    prefix : str
        In ASCII.

    Returns
    -------
    ndarray of bool
    """
    data, offsets = column(names.data, np.uint8), column(names.offsets, np.uint64).astype(np.int64)
    found = np.diff(offsets) >= len(prefix)
    for at, letter in enumerate(prefix.encode("ascii")):
        place = offsets[:-1][found] + at
        found[found] = data[place] == letter
    return found


def without_prefix(names: Strings, prefix: str) -> Strings:
    """Return names that all begin with a prefix without it.

    Parameters
    ----------
    names : Strings
        The names.
    prefix : str
        In ASCII.

    Returns
    -------
    Strings
    """
    from arraystore import _core

    data, offsets = column(names.data, np.uint8), column(names.offsets, np.uint64).astype(np.int64)
    kept = np.ones(len(data), bool)
    for at in range(len(prefix)):
        kept[offsets[:-1] + at] = False
    shorter = offsets - len(prefix) * np.arange(len(offsets))
    return _core.Strings(data[kept], shorter.astype(np.uint64))


def file_names(images: ImageSet) -> Strings:
    """Return the name of the file of each image, with its suffix.

    Parameters
    ----------
    images : ImageSet
        The images.

    Returns
    -------
    Strings
    """
    from arraystore import _core

    stems = images.stems
    data, offsets = column(stems.data, np.uint8), column(stems.offsets, np.uint64).astype(np.int64)
    suffixes = [suffix.encode() for suffix in images.members.suffixes]
    suffix = column(images.members.suffix, np.uint32)[images.indices]
    nbytes = np.diff(offsets) + np.array([len(each) for each in suffixes], np.int64)[suffix]
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(nbytes)])
    joined = np.empty(int(ends[-1]), np.uint8)
    for start in range(0, len(nbytes), _BATCH):
        batch = slice(start, min(start + _BATCH, len(nbytes)))
        first, stop = int(offsets[batch.start]), int(offsets[batch.stop])
        lengths = np.diff(offsets[batch.start : batch.stop + 1])
        joined[np.arange(first, stop) + np.repeat(ends[batch] - offsets[batch], lengths)] = data[first:stop]
        for code, letters in enumerate(suffixes):
            after = (ends[batch] + lengths)[suffix[batch] == code]
            joined[after[:, None] + np.arange(len(letters))] = np.frombuffer(letters, np.uint8)
    return _core.Strings(joined, ends.astype(np.uint64))
