"""A store as files again: a folder tree or a stored zip of the original images, and their table."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arraystore import _core
from arraystore.errors import DuplicateKeyError, FormatError, InvalidRequestError, SourceError
from arraystore.format.columns import CategoricalColumn, NullableColumn, NumericColumn, WritableColumn
from arraystore.format.durable import sync_all
from arraystore.format.spec import FieldSpec, Status
from arraystore.ingestion.copying import CopyReport
from arraystore.ingestion.progress import Progress
from arraystore.ingestion.stored import StoredPart, known_of_images
from arraystore.ingestion.union import as_strings, column_of
from arraystore.sources.archive import column
from arraystore.sources.base import PathLabels
from arraystore.sources.layouts import FileLayout, file_layout

if TYPE_CHECKING:
    from arraystore._core import Extents, Strings

_PARTIAL = ".partial"
# In a folder that an export made: how many files it wrote there, this one left out.
_MARKER = ".arraystore-export.json"
_MANY_FILES = 5_000


def export_files(
    part: StoredPart, target: Path, *, as_zip: bool, overwrite: bool, threads: int, shown: Progress, start: float
) -> CopyReport:
    """Write the images of a store as files in the layout of their publisher, and its table.

    Parameters
    ----------
    part : StoredPart
        The store, or what is taken of it.
    target : Path
        The folder or the archive to make.
    as_zip : bool
        Whether it is an archive.
    overwrite : bool
        Whether what was exported there before is replaced.
    threads : int
        Threads that copy.
    shown : Progress
        Where progress is shown.
    start : float
        When the export began.

    Returns
    -------
    CopyReport

    Raises
    ------
    InvalidRequestError
        If something stands there, or a key cannot be the name of a file.
    DuplicateKeyError
        If two records would be the same file.
    FormatError
        If something else stands there than an export, and is to be replaced.
    SourceError
        If another export to the same place is running, or there is no field of images.
    """
    image = next((each for each in part.spec.fields if each.kind == "jpeg"), None)
    if image is None:
        fields = ", ".join(f"{each.name} ({each.kind})" for each in part.spec.fields)
        raise SourceError(
            f"{part.path} holds no JPEGs but {fields}: only a store can be made of it, so choose a name that ends in "
            ".zarr or .h5; arrays are read with store.arrays, and any program writes them as files",
            "no-images",
        )
    columns = {name: column_of(part, name) for name in part.layout.column_names}
    layout = file_layout(
        part.spec.dataset,
        part.spec.package,
        part.keys,
        lambda name: _as_labels(columns.get(name)),
        lambda name: _as_texts(columns.get(name)),
    )
    table = target.with_suffix(layout.table.suffix) if as_zip else target / layout.table
    _check_place(target, table, as_zip=as_zip, overwrite=overwrite)
    images = _Images.of(part, image, layout)
    with _partial(target, as_folder=not as_zip) as partial:
        if as_zip:
            with shown.phase("images", total=len(images.paths), unit="images") as advance:
                _core.write_zip(
                    images.extents, images.nbytes, images.paths, str(partial), threads=threads, progress=advance
                )
            with _partial(table, as_folder=False) as partial_table:
                _write_table(part, columns, layout, partial_table, shown)
                # The table first: an archive that has its name has its table.
                partial_table.replace(table)
            partial.replace(target)
        else:
            (partial / layout.table).parent.mkdir(parents=True, exist_ok=True)
            (partial / layout.source).mkdir(parents=True, exist_ok=True)
            _write_table(part, columns, layout, partial / layout.table, shown)
            with shown.phase("images", total=len(images.paths), unit="images") as advance:
                _core.write_tree(images.extents, images.paths, str(partial), threads=threads, progress=advance)
            (partial / _MARKER).write_text(json.dumps({"files": len(images.paths) + 1}))
            _sync_tree(partial, len(images.paths))
            _put_folder(partial, target)
        sync_all([target.parent])
    source = target if as_zip else target / layout.source
    return CopyReport(
        path=target,
        records=len(part.rows),
        images=len(images.paths),
        image_nbytes=int(images.nbytes.sum(dtype=np.uint64)),
        seconds=time.perf_counter() - start,
        status=images.status,
        table=table,
        advice=_advice(part, source, table, needs_table=as_zip or not layout.finds_table, layout=layout),
    )


class _Images:
    """The records that become files, in the order in which they lie in the store."""

    def __init__(self, extents: Extents, nbytes: Any, paths: Strings, status: dict[str, int]) -> None:
        self.extents, self.nbytes, self.paths, self.status = extents, nbytes, paths, status

    @classmethod
    def of(cls, part: StoredPart, spec: FieldSpec, layout: FileLayout) -> _Images:
        field = part.field(spec.name)
        nbytes, offset = column(field.nbytes(), np.uint32), column(field.offsets(), np.uint64)
        status = known_of_images(field, part.spec.n)["status"]
        is_taken = part.record >= 0
        rows = np.flatnonzero(is_taken & (nbytes > 0))
        rows = rows[np.argsort(offset[rows], kind="stable")]
        # Files without bytes, which come back as such.
        empty = np.flatnonzero(is_taken & (nbytes == 0) & (status == Status.EMPTY))
        nothing = np.zeros(len(empty), np.uint64)
        record = part.record[np.concatenate([rows, empty])]
        counts = np.bincount(status[is_taken], minlength=len(Status))
        return cls(
            _core.Extents.chain(
                [
                    _core.Extents.of_field(field, rows.astype(np.uint64)),
                    _core.Extents.in_file(os.devnull, nothing, nothing),
                ]
            ),
            np.concatenate([nbytes[rows], nothing.astype(np.uint32)]),
            _paths(part, layout, record),
            {each.label: int(counts[each]) for each in Status if counts[each]},
        )


def _paths(part: StoredPart, layout: FileLayout, record: Any) -> Strings:
    names = layout.names.take(record.astype(np.uint64))
    paths = _core.file_paths(names, layout.directory[record], list(layout.directories))
    pairs = column(_core.index_keys(paths)[2], np.uint32)
    if len(pairs):
        one, other = (part.keys[int(record[index])] for index in pairs[:2])
        raise DuplicateKeyError(
            f"{one!r} and {other!r} would be the same file, {paths[int(pairs[0])]}: export one of the two, "
            "or to a store"
        )
    return paths


def _as_labels(of: WritableColumn | None) -> PathLabels | None:
    if isinstance(of, CategoricalColumn):
        return PathLabels(of.codes.astype(np.int32), tuple(map(str, of.categories.tolist())))
    if isinstance(of, NumericColumn | NullableColumn) and of.values.dtype.kind in "iu":
        missing = of.mask if isinstance(of, NullableColumn) else np.zeros(len(of), bool)
        values, codes = np.unique(of.values, return_inverse=True)
        return PathLabels(np.where(missing, -1, codes).astype(np.int32), tuple(map(str, values.tolist())))
    return None


def _as_texts(of: WritableColumn | None) -> Strings | None:
    if of is None or isinstance(of, NumericColumn | NullableColumn):
        return None
    if isinstance(of, CategoricalColumn):
        names = _core.Strings.from_list([*map(str, of.categories.tolist()), ""])
        return names.take(np.where(of.codes < 0, len(names) - 1, of.codes).astype(np.uint64))
    return as_strings(of)


# ---- the table ----


def _write_table(
    part: StoredPart, columns: Mapping[str, WritableColumn], layout: FileLayout, path: Path, shown: Progress
) -> None:
    cells: dict[str, tuple[str, Any, Any]] = {part.spec.key: ("texts", part.keys, None)}
    cells |= {name: _cells(name, each) for name, each in columns.items()}
    texts = {
        each.name: ("rows", part.rows.astype(np.uint64), part.field(each.name))
        for each in part.spec.fields
        if each.kind == "text"
    }
    names = _in_order(list(cells), list(texts), layout.order)
    rows = [(name, *{**cells, **texts}[name]) for name in names]
    with shown.phase("table", total=len(part.rows), unit="rows") as advance:
        _core.write_table(rows, str(path), delimiter=layout.delimiter, progress=advance)


def _in_order(names: list[str], texts: list[str], published: tuple[str, ...]) -> list[str]:
    """Put the columns of long texts, of which the store does not know the place, where their publisher has them."""
    for text in texts:
        if text in published:
            before = [name for name in published[: published.index(text)] if name in names]
            names.insert(names.index(before[-1]) + 1 if before else len(names), text)
        else:
            names.append(text)
    return names


def _cells(name: str, of: WritableColumn) -> tuple[str, Any, Any]:
    if isinstance(of, CategoricalColumn):
        return "labels", of.codes.astype(np.int32), list(map(str, of.categories.tolist()))
    if isinstance(of, NumericColumn) and of.values.dtype.kind == "f":
        return "floats", of.values.astype(np.float64), None
    if isinstance(of, NumericColumn) and of.values.dtype.kind == "b":
        return "labels", of.values.astype(np.int32), ["False", "True"]
    if isinstance(of, NumericColumn | NullableColumn):
        if len(of) and int(of.values.max()) > np.iinfo(np.int64).max:
            raise InvalidRequestError(f"column {name!r} has integers beyond 64 bits with a sign: export to a store")
        mask = of.mask if isinstance(of, NullableColumn) else np.zeros(len(of), bool)
        return "integers", of.values.astype(np.int64), mask.astype(np.uint8)
    return "texts", as_strings(of), None


# ---- the place ----


def _check_place(target: Path, table: Path, *, as_zip: bool, overwrite: bool) -> None:
    is_empty_folder = not as_zip and target.is_dir() and not any(target.iterdir())
    for path in (target, table) if as_zip else (target,):
        if path.exists() and not overwrite and not is_empty_folder:
            raise InvalidRequestError(f"{path} exists: choose another place, or replace it with --overwrite", "exists")
        if path.exists() and as_zip and not path.is_file():
            raise FormatError(f"{path} exists and is no file: choose another place")
    if not as_zip and target.exists() and not is_empty_folder:
        _check_is_export(target)


def _check_is_export(folder: Path) -> None:
    """Nobody's folder is removed for the sake of an export, unless it is one, and nothing else is in it."""
    advice = "choose another place, or remove it yourself"
    try:
        wrote = int(json.loads((folder / _MARKER).read_text())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FormatError(f"{folder} exists and is no export, which has {_MARKER}: {advice}") from None
    there = sum(len(files) for _, _, files in os.walk(folder)) - 1
    if there != wrote:
        raise FormatError(f"{folder} holds {there} files, the export that made it wrote {wrote}: {advice}")


@contextmanager
def _partial(target: Path, *, as_folder: bool) -> Iterator[Path]:
    """Give an empty place under another name, which nobody else uses, and remove it if the work fails."""
    partial = target.with_name(target.name + _PARTIAL)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take(partial, as_folder=as_folder)
    try:
        if as_folder:
            for path in list(partial.iterdir()):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        try:
            yield partial
        except BaseException:
            with suppress(OSError):
                shutil.rmtree(partial) if as_folder else partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            words = f"{os.strerror(error.errno)}: free some space and run the same command again"
            raise OSError(error.errno, words, error.filename or str(target)) from error
        raise
    finally:
        os.close(descriptor)


def _take(partial: Path, *, as_folder: bool) -> int:
    """Lock the place; what was left of a killed export is taken over."""
    while True:
        if as_folder:
            partial.mkdir(exist_ok=True)
        flags = os.O_RDONLY if as_folder else os.O_RDWR | os.O_CREAT
        descriptor = os.open(partial, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), partial.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(descriptor)
            raise SourceError(f"{partial}: another export to this place is running", "locked") from None
        # It was renamed or removed by its owner meanwhile.
        os.close(descriptor)


def _sync_tree(root: Path, files: int) -> None:
    """Make a tree last. Few files are synced one by one; for many, the machine syncs all that it has at once."""
    if files > _MANY_FILES:
        os.sync()
    else:
        sync_all([root, *root.rglob("*")])


def _put_folder(partial: Path, target: Path) -> None:
    if target.exists() and any(target.iterdir()):
        old = target.with_name(f"{target.name}.old{_PARTIAL}")
        if old.exists():
            shutil.rmtree(old)
        target.rename(old)
        partial.rename(target)
        shutil.rmtree(old)
        return
    partial.rename(target)


def _advice(part: StoredPart, source: Path, table: Path, *, needs_table: bool, layout: FileLayout) -> str:
    words = ["arraystore", "ingest", str(source)]
    if needs_table:
        words += ["--metadata", str(table)]
    if not layout.finds_table:
        words += ["--key", part.spec.key]
    return " ".join([*words, "-o", f"{part.spec.package}.zarr"])
