"""CLIBD's partitioning of BIOSCAN-1M: text files with a sampleid on each line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from arraystore.errors import DatasetNotFoundError, InvalidRequestError, SourceError
from arraystore.integrations.bioscan.splits import SplitNames

__all__ = ["FOLDER", "NAMES", "find_folder", "is_whole", "samples_of_split", "splits_of_samples"]

FOLDER = "CLIBD_partitioning"
_SPLITS = (
    *("no_split", "train_seen", "seen_keys", "single_species", "val_seen", "val_unseen", "val_unseen_keys"),
    *("test_seen", "test_unseen", "test_unseen_keys"),
)
# The last two have files of their own, and in a sum they stand for nothing else.
NAMES = SplitNames(
    _SPLITS,
    {"all": _SPLITS, "all_keys": (), "no_split_and_seen_train": ()},
    {
        "pretrain": "no_split",
        "train": "train_seen",
        "val": "val_seen",
        "validation": "val_seen",
        "test": "test_seen",
        "key_unseen": "test_unseen_keys",
    },
)


def find_folder(places: Sequence[Path]) -> Path:
    """Return the first folder of partition files.

    Raises
    ------
    DatasetNotFoundError
        If none of these is a folder; an `OSError`.
    """
    for place in places:
        if place.is_dir():
            return place
    looked = ", ".join(map(str, places))
    raise DatasetNotFoundError(f"the partitioning 'clibd' needs its text files: expected a folder at {looked}")


def is_whole(folder: Path) -> bool:
    """Tell whether a folder has a file for each split."""
    return all((folder / f"{split}.txt").is_file() for split in NAMES.splits)


def samples_of_split(folder: Path, split: str) -> list[str]:
    """Return the sampleids of one split in the order of its file.

    Raises
    ------
    InvalidRequestError
        If there is no such split; a `ValueError`.
    DatasetNotFoundError
        If its file is missing; an `OSError`.
    """
    path = folder / f"{split}.txt"
    known = (*NAMES.metasplits, *NAMES.splits)
    if split not in known:
        raise InvalidRequestError(
            f"Invalid split value: {split!r}: for 'clibd' expected one of {', '.join(map(repr, known))}",
            "unknown-split",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DatasetNotFoundError(f"{path} is missing: CLIBD has a file for each split") from error
    return [line for line in text.splitlines() if line]


def splits_of_samples(folder: Path, samples: npt.NDArray[np.object_]) -> npt.NDArray[np.int8]:
    """Return the split of each sample; all files are read.

    Parameters
    ----------
    folder : Path
        The text files.
    samples : ndarray of object, shape (n,)
        Sampleids.

    Returns
    -------
    ndarray of int8, shape (n,)
        Positions in the splits of `NAMES`.

    Raises
    ------
    SourceError
        If a sample is in no file or in two; also a `RuntimeError`.
    DatasetNotFoundError
        If a file is missing; an `OSError`.
    """
    code_of: dict[str, int] = {}
    for code, split in enumerate(NAMES.splits):
        in_split = dict.fromkeys(samples_of_split(folder, split), code)
        for sample in code_of.keys() & in_split:
            other = NAMES.splits[code_of[sample]]
            raise UnassignedSampleError(f"{folder}: {sample!r} is in {other}.txt and in {split}.txt")
        code_of |= in_split
    codes = np.fromiter((code_of.get(sample, -1) for sample in samples), np.int8, len(samples))
    missing = samples[codes < 0]
    if len(missing):
        raise UnassignedSampleError(
            f"{folder}: {len(missing)} samples of the table are in none of the files, such as {missing[0]!r}"
        )
    return codes


class UnassignedSampleError(SourceError, RuntimeError):
    """The partition files do not fit the table."""

    default_code = "unassigned-sample"
