"""Verify: the proof that a store is as it was written, and the names of the files and records that are not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arraystore.errors import ArrayStoreError
from arraystore.format.arrays import KEY_DTYPES, RAGGED_DTYPES, field_dtypes
from arraystore.format.base import KEY, Layout, Problem
from arraystore.format.codecs import unblosc
from arraystore.format.containers import open_layout
from arraystore.format.items import open_items
from arraystore.format.spec import FieldSpec
from arraystore.ingestion.progress import Progress, format_count, make_progress
from arraystore.threads import thread_count

if TYPE_CHECKING:
    from arraystore._core import ArrayField, Field, Keys

_ROWS_AT_A_TIME = 65_536
_ITEMS_AT_A_TIME = 4_096
_SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of a verification.

    Attributes
    ----------
    path : Path
        The store.
    records : int
        Records whose bytes were compared with their checksums.
    files : int
        Files that were compared with what is expected of them.
    nbytes : int
        Bytes of all files.
    problems : tuple of Problem
        All that is wrong; empty for a sound store.
    notes : tuple of str
        What the verification could not do; empty for a store.
    """

    path: Path
    records: int
    files: int
    nbytes: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON types."""
        problems = [{"kind": each.kind, "place": each.place, "detail": each.detail} for each in self.problems]
        return {
            "path": str(self.path),
            "ok": self.ok,
            "records": self.records,
            "files": self.files,
            "nbytes": self.nbytes,
            "problems": problems,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        records, files = format_count(self.records, "record"), format_count(self.files, "file")
        checked = f"{records}, {files}, {format_count(self.nbytes, 'byte')}"
        if self.ok:
            return "\n".join([f"{self.path} is sound: {checked}", *(f"  {note}" for note in self.notes)])
        lines = [f"{self.path} is damaged: {format_count(len(self.problems), 'problem')} in {checked}"]
        lines += [f"  {each}" for each in self.problems[:_SHOWN_PROBLEMS]]
        if len(self.problems) > _SHOWN_PROBLEMS:
            lines.append(f"  and {len(self.problems) - _SHOWN_PROBLEMS:,} more")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)


def verify(path: str | os.PathLike[str], *, workers: int | None = None, progress: bool | None = None) -> VerifyReport:
    """Compare every byte of a store with its checksums, but for the unused gaps between records.

    Parameters
    ----------
    path : path-like
        The store.
    workers : int, optional
        Threads; without it `ARRAYSTORE_NUM_THREADS`, or all cores of this process.
    progress : bool, optional
        Whether progress is written to standard error. By default it is if that is a terminal.

    Returns
    -------
    VerifyReport
        What is wrong, each with the file or the record.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    UnfinishedStoreError, FormatError
        If it is not a finished store of a known format.
    """
    threads = thread_count(workers, name="workers")
    layout = open_layout(path)
    shown = make_progress(progress)
    files = layout.files()
    with shown.phase("files", total=len(layout.spec.checksums), unit="files") as advance:
        problems = list(layout.check_files(advance))
    problems += _check_records(layout, threads, shown)
    return VerifyReport(layout.path, layout.spec.n, len(files), sum(files.values()), tuple(problems))


def _check_records(layout: Layout, threads: int, shown: Progress) -> Iterator[Problem]:
    keys = _open_keys(layout)
    for each in layout.spec.fields:
        if each.kind == "array":
            yield from _check_items(layout, each, keys, threads, shown)
    groups = {field.name: field_dtypes(field.kind) for field in layout.spec.fields if field.kind != "array"}
    for name, arrays in {**groups, KEY: RAGGED_DTYPES}.items():
        with shown.phase(name, total=layout.spec.n, unit="records") as advance:
            try:
                field = _open_field(layout, name, arrays, keys)
                for start in range(0, layout.spec.n, _ROWS_AT_A_TIME):
                    stop = min(start + _ROWS_AT_A_TIME, layout.spec.n)
                    for row, _, message in field.check(start, stop, threads=threads):
                        yield Problem("record", f"{name} row {row}", message)
                    advance(stop, 0)
            except (ArrayStoreError, OSError) as error:
                # An index array that cannot be read stands for all of its records.
                yield Problem("record", name, f"the records cannot be checked: {error}")


def _check_items(
    layout: Layout, field: FieldSpec, keys: Keys | None, threads: int, shown: Progress
) -> Iterator[Problem]:
    try:
        items, stored = open_items(layout, field, keys), layout.items(field.name)
        with shown.phase(field.name, total=stored.count, unit="items") as advance:
            for start in range(0, stored.count, _ITEMS_AT_A_TIME):
                stop = min(start + _ITEMS_AT_A_TIME, stored.count)
                if stored.codec == "blosc":
                    yield from _check_blosc(field, items, range(start, stop))
                else:
                    for item, _, message in items.check(start, stop, threads=threads):
                        yield Problem("record", f"{field.name} item {item}", message)
                advance(stop, 0)
    except (ArrayStoreError, OSError) as error:
        yield Problem("record", field.name, f"the items cannot be checked: {error}")


def _check_blosc(field: FieldSpec, items: ArrayField, numbers: range) -> Iterator[Problem]:
    out = np.empty(field.item_nbytes, np.uint8)
    for item in numbers:
        try:
            unblosc(items.stored_item(item), out)
            items.check_bytes(item, out.tobytes())
        except (ArrayStoreError, OSError) as error:
            yield Problem("record", f"{field.name} item {item}", str(error))


def _open_keys(layout: Layout) -> Keys | None:
    from arraystore import _core

    try:
        pieces = {name: layout.pieces(f"{KEY}/{name}") for name in KEY_DTYPES}
        return _core.Keys(layout.spec.n, **pieces)
    except (ArrayStoreError, OSError):
        return None


def _open_field(layout: Layout, name: str, arrays: Iterable[str], keys: Keys | None) -> Field:
    from arraystore import _core

    pieces: dict[str, Any] = {array: layout.pieces(f"{name}/{array}") for array in arrays}
    return _core.Field(name, layout.spec.n, keys=keys, **pieces)
