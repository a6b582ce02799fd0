"""The list of troubles of an ingest: every one of them, as a CSV beside the store."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore.format.spec import Status
from arraystore.ingestion.extras import UnmatchedRows
from arraystore.ingestion.plan import Plan
from arraystore.sources.base import ImageSet

HEADER = ("kind", "key", "row", "source", "detail")
_BATCH = 65_536

Line: TypeAlias = tuple[str, str, int | str, str, str]


@dataclass(frozen=True, slots=True)
class Troubles:
    """Troubles of one kind.

    Parameters
    ----------
    kind : str
        Such as `truncated` or `row-without-image`.
    count : int
        How many there are.
    lines : callable
        Makes the lines of the list, which may be millions.
    """

    kind: str
    count: int
    lines: Callable[[], Iterable[Line]]


def find_troubles(
    plan: Plan,
    images: ImageSet,
    status: npt.NDArray[np.uint8],
    details: dict[int, str],
    *,
    has_table: bool,
    unmatched: Sequence[UnmatchedRows] = (),
) -> list[Troubles]:
    """Gather what went wrong, the worst first.

    Parameters
    ----------
    plan : Plan
        Which image became which record.
    images : ImageSet
        The images, and the files that are none.
    status : ndarray of uint8, shape (k,)
        Status of each image of the plan.
    details : dict of int to str
        What is wrong with an image, by its index in the plan.
    has_table : bool
        Whether there was a metadata table; without one, no image lacks its row.
    unmatched : sequence of UnmatchedRows
        Rows of further tables that are of no record.

    Returns
    -------
    list of Troubles
        Only kinds that occurred.
    """
    found = _bad_images(plan, images, status, details)
    unusable = [_file("unusable-file", path, reason) for path, reason in images.unusable]
    found.append(Troubles("unusable-file", len(unusable), lambda: unusable))
    without_image = np.flatnonzero(~plan.has_image)
    found.append(_records(plan, "row-without-image", without_image))
    if has_table:
        extra = np.flatnonzero(plan.table_row < 0)
        found.append(_records(plan, "image-without-row", extra, _paths(plan, images, extra)))
    mismatched = plan.split_mismatch
    found.append(_records(plan, "split-mismatch", mismatched, _paths(plan, images, mismatched)))
    found.append(_records(plan, "unknown-split", plan.unknown_split))
    found.append(Troubles("unmatched-row", sum(len(each.keys) for each in unmatched), lambda: _unmatched(unmatched)))
    found.append(Troubles("merged-duplicate", len(plan.merged), lambda: _merged(plan, images)))
    skipped = [_file("skipped-file", path, reason) for reason, path in images.skipped_paths()]
    found.append(Troubles("skipped-file", len(skipped), lambda: skipped))
    return [each for each in found if each.count]


def write_troubles(path: Path, troubles: list[Troubles]) -> None:
    """Write the list, or remove an older one if there is nothing to list.

    Parameters
    ----------
    path : Path
        The CSV file.
    troubles : list of Troubles
        What to list.
    """
    if not troubles:
        path.unlink(missing_ok=True)
        return
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for each in troubles:
            writer.writerows(each.lines())
    temporary.replace(path)


def _bad_images(plan: Plan, images: ImageSet, status: npt.NDArray[np.uint8], details: dict[int, str]) -> list[Troubles]:
    found = []
    for value in Status:
        which = np.flatnonzero(status == value)
        if value is not Status.SOUND and len(which):
            lines = _image_lines(plan, images, value.label, which, details)
            found.append(Troubles(value.label, len(which), lines))
    return found


def _image_lines(
    plan: Plan, images: ImageSet, kind: str, which: npt.NDArray[np.int64], details: dict[int, str]
) -> Callable[[], Iterator[Line]]:
    def lines() -> Iterator[Line]:
        for index in which.tolist():
            record = int(plan.record[index])
            yield kind, plan.keys[record], record, images.path(int(plan.image[index])), details.get(index, "")

    return lines


def _records(
    plan: Plan, kind: str, records: npt.NDArray[np.int64], paths: Callable[[int], str] | None = None
) -> Troubles:
    def lines() -> Iterator[Line]:
        for start in range(0, len(records), _BATCH):
            batch = records[start : start + _BATCH]
            keys = plan.keys.take(batch.astype(np.uint64)).to_list()
            rows = batch.tolist()
            sources = map(paths, rows) if paths else itertools.repeat("")
            yield from zip(itertools.repeat(kind), keys, rows, sources, itertools.repeat(""), strict=False)

    return Troubles(kind, len(records), lines)


def _paths(plan: Plan, images: ImageSet, records: npt.NDArray[np.int64]) -> Callable[[int], str]:
    if not len(records):
        return str
    image_of_record = np.full(plan.n, -1, np.int64)
    image_of_record[plan.record] = plan.image
    return lambda record: images.path(int(image_of_record[record]))


def _merged(plan: Plan, images: ImageSet) -> Iterator[Line]:
    records = plan.record[np.searchsorted(plan.image, plan.merged[:, 0])]
    for (kept, other), record in zip(plan.merged.tolist(), records.tolist(), strict=True):
        yield "merged-duplicate", plan.keys[record], "", images.path(other), f"same bytes as {images.path(kept)}"


def _unmatched(unmatched: Sequence[UnmatchedRows]) -> Iterator[Line]:
    for each in unmatched:
        path, detail = str(each.path), f"no record has this {each.by}"
        for start in range(0, len(each.keys), _BATCH):
            keys = each.keys.to_list(start, start + _BATCH)
            yield from (("unmatched-row", key, "", path, detail) for key in keys)


def _file(kind: str, path: str, detail: str) -> Line:
    return kind, "", "", path, detail
