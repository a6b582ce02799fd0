"""Verify: the proof that a store is as it was written, and the names of the files and records that are not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arraystore.errors import ArrayStoreError
from arraystore.format.arrays import KEY_DTYPES, ArrayForm
from arraystore.format.zarr import DOCUMENT, KEY, Layout, open_layout, store_files
from arraystore.ingestion.progress import Progress, make_progress
from arraystore.threads import thread_count

if TYPE_CHECKING:
    from arraystore._core import Field, Keys

_ROWS_AT_A_TIME = 65_536
_SHOWN_PROBLEMS = 20
_FIELD_ARRAYS = ("data", "offset", "nbytes", "crc32c", "height", "width", "status")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a store.

    Parameters
    ----------
    kind : str
        Stable name: `missing-file`, `wrong-length`, `shard-index`, `checksum`, `stray-file`, `document`, `record`.
    place : str
        Path in the store, or field and row.
    detail : str
        What was expected and what was found.
    """

    kind: str
    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}"


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
    """

    path: Path
    records: int
    files: int
    nbytes: int
    problems: tuple[Problem, ...]

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
        }

    def __str__(self) -> str:
        checked = f"{self.records:,} records, {self.files:,} files, {self.nbytes:,} bytes"
        if self.ok:
            return f"{self.path} is sound: {checked}"
        lines = [f"{self.path} is damaged: {len(self.problems):,} problems in {checked}"]
        lines += [f"  {each}" for each in self.problems[:_SHOWN_PROBLEMS]]
        if len(self.problems) > _SHOWN_PROBLEMS:
            lines.append(f"  and {len(self.problems) - _SHOWN_PROBLEMS:,} more")
        return "\n".join(lines)


def verify(path: str | os.PathLike[str], *, workers: int | None = None, progress: bool | None = None) -> VerifyReport:
    """Compare every byte of a store with its checksums, but for the unused gaps between records.

    Parameters
    ----------
    path : path-like
        Directory of the store.
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
    files = store_files(layout.path)
    nbytes = sum((layout.path / name).stat().st_size for name in files)
    problems = [
        *_check_structure(layout, files),
        *_check_documents(layout),
        *_check_files(layout, shown),
        *_check_records(layout, threads, shown),
    ]
    return VerifyReport(layout.path, layout.spec.n, len(files) + 1, nbytes, tuple(problems))


def _check_structure(layout: Layout, files: list[str]) -> Iterator[Problem]:
    expected = {*layout.spec.checksums}
    for array in layout.array_paths():
        try:
            form = layout.form(array)
        except ArrayStoreError as error:
            yield Problem("document", array, str(error))
            continue
        expected |= {f"{array}/{name}" for name in form.shard_names()}
        for shard, name in enumerate(form.shard_names()):
            yield from _check_shard(layout.path, f"{array}/{name}", form, shard)
    for name in files:
        if name not in expected:
            yield Problem("stray-file", name, "no part of the store; remove it if you don't know it")


def _check_shard(store: Path, name: str, form: ArrayForm, shard: int) -> Iterator[Problem]:
    try:
        with (store / name).open("rb") as file:
            found = file.seek(0, os.SEEK_END)
            if found != form.file_nbytes(shard):
                detail = f"expected {form.file_nbytes(shard):,} bytes, found {found:,}"
                yield Problem("wrong-length", name, detail)
                return
            footer = form.footer(shard)
            file.seek(-len(footer), os.SEEK_END)
            if file.read() != footer:
                yield Problem("shard-index", name, "the shard index at the end of the file is damaged")
    except FileNotFoundError:
        yield Problem("missing-file", name, "the shard is missing")
    except OSError as error:
        yield Problem("unreadable", name, f"cannot be read: {error.strerror}")


def _check_documents(layout: Layout) -> Iterator[Problem]:
    """Compare the documents in the root with those of the nodes, of which each is enough for some reader."""
    for node, expected in layout.documents.items():
        name = f"{node}/{DOCUMENT}"
        try:
            found = json.loads((layout.path / name).read_bytes())
        except FileNotFoundError:
            # Named with the files, if it has a checksum.
            found = None if name in layout.spec.checksums else {}
        except (OSError, ValueError):
            found = {}
        if found is not None and found != expected:
            yield Problem("document", name, f"differs from what the root {DOCUMENT} says of this node")


def _check_files(layout: Layout, shown: Progress) -> Iterator[Problem]:
    from arraystore import _core

    checksums = layout.spec.checksums
    shards = {f"{array}/{name}" for array in layout.array_paths() for name in _shard_names(layout, array)}
    with shown.phase("files", total=len(checksums), unit="files") as advance:
        for done, (name, expected) in enumerate(checksums.items(), 1):
            try:
                found = _core.file_crc32c(str(layout.path / name))
            except FileNotFoundError:
                # A missing shard was named with the structure.
                if name not in shards:
                    yield Problem("missing-file", name, "the file is missing")
            except OSError as error:
                yield Problem("unreadable", name, f"cannot be read: {error}")
            else:
                if found != expected:
                    yield Problem("checksum", name, f"expected CRC-32C {expected:08x}, found {found:08x}")
            advance(done, 0)


def _shard_names(layout: Layout, array: str) -> list[str]:
    try:
        return layout.form(array).shard_names()
    except ArrayStoreError:
        return []


def _check_records(layout: Layout, threads: int, shown: Progress) -> Iterator[Problem]:
    keys = _open_keys(layout)
    names = [*(field.name for field in layout.spec.fields), KEY]
    for name in names:
        with shown.phase(name, total=layout.spec.n, unit="records") as advance:
            try:
                field = _open_field(layout, name, keys)
                for start in range(0, layout.spec.n, _ROWS_AT_A_TIME):
                    stop = min(start + _ROWS_AT_A_TIME, layout.spec.n)
                    for row, _, message in field.check(start, stop, threads=threads):
                        yield Problem("record", f"{name} row {row}", message)
                    advance(stop, 0)
            except (ArrayStoreError, OSError) as error:
                # An index array that cannot be read stands for all of its records.
                yield Problem("record", name, f"the records cannot be checked: {error}")


def _open_keys(layout: Layout) -> Keys | None:
    from arraystore import _core

    try:
        pieces = {name: layout.pieces(f"{KEY}/{name}") for name in KEY_DTYPES}
        return _core.Keys(layout.spec.n, **pieces)
    except (ArrayStoreError, OSError):
        return None


def _open_field(layout: Layout, name: str, keys: Keys | None) -> Field:
    from arraystore import _core

    pieces = {array: layout.pieces(f"{name}/{array}") for array in _FIELD_ARRAYS if layout.has(f"{name}/{array}")}
    return _core.Field(name, layout.spec.n, keys=keys, **pieces)
