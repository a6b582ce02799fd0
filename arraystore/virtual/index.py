"""The index of a source: a store of format 1 but for the images, of which it knows only where they lie."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import FormatError, SourceError
from arraystore.format.arrays import PLACE_DTYPES
from arraystore.format.containers import open_writer
from arraystore.format.layout import DEFAULT_SHARD_NBYTES
from arraystore.format.spec import FieldSpec, Status, StoreSpec
from arraystore.ingestion.content import Content, FieldContent
from arraystore.ingestion.fields import Packing, strings_content, write_content
from arraystore.ingestion.package import JoinedPackage, find_package, find_table_alone
from arraystore.ingestion.progress import make_progress
from arraystore.ingestion.report import HARMLESS, trouble_words
from arraystore.sources.archive import column
from arraystore.threads import thread_count
from arraystore.virtual.request import Request, path_field, stamp_of

# A bar is shown of what takes longer.
_PATIENCE_S = 1.0
# A tick of the kernel is 10 ms or less.
_CLOCK_LAG_S = 0.011
_PLACES = ("source", "offset", "stored_nbytes", "encoding", "crc32", "height", "width")
_ZIP_START, _HDF5_START = b"PK", b"\x89HDF\r\n\x1a\n"

_logger = logging.getLogger(__name__)


def build_index(request: Request, path: Path) -> bool:
    """Scan a source, read its table, and write its index.

    Parameters
    ----------
    request : Request
        The source.
    path : Path
        An empty directory, which becomes the index.

    Returns
    -------
    bool
        Whether the index may be kept for later: not if a folder was written to while it was scanned.

    Raises
    ------
    FormatError
        If there is neither a store nor a source of images.
    SourceError, DuplicateKeyError, InvalidRequestError
        As for `arraystore.ingest`.
    OSError
        If a file cannot be read or written.
    """
    # Before the scan: what is written later differs from its stamp.
    given = [stamp_of(each) for each in request.paths]
    begun_ns = time.time_ns()
    if any(nbytes is None for _, nbytes, _ in given):
        # Folders are looked at after the scan, when they are known. What is written from here on has a later time than
        # the beginning, though file systems take theirs from a clock that lags behind.
        time.sleep(_CLOCK_LAG_S)
    shown = make_progress(None, delay_s=_PATIENCE_S)
    paths = [Path(each) for each in request.paths]
    metadata = None if request.metadata is None else [Path(each) for each in request.metadata]
    try:
        found = find_table_alone(paths) if request == Request(request.paths) else None
        if found is None:
            found = find_package(paths, package=request.package, metadata=metadata, key=request.key, shown=shown)
    except SourceError as error:
        raise _explained(error, paths) from error
    table = [stamp_of(str(path)) for path in found.tables]
    folders = [stamp_of(each) for each in found.images.members.folders]
    writer = open_writer(path)
    writer.work_directory.mkdir()
    joined = found.join(key=request.key, rows="all", directory=writer.work_directory, shown=shown)
    field = joined.publisher.field
    texts = [*_paths_content(joined, writer.work_directory / "paths.bin"), *joined.texts()]
    content = Content(joined.publisher.key, joined.plan.keys, texts, joined.columns)
    written = write_content(Packing(writer, 0, thread_count(), DEFAULT_SHARD_NBYTES), content, shown)
    writer.write_index(field, _place_arrays(joined))
    watched = [*given, *table, *folders]
    source = {**request.to_json(), "tables": [str(path) for path in found.tables], "watched": watched}
    fields = (FieldSpec(field, "place"), *(each.spec for each in texts))
    writer.commit(_spec(request, joined, fields, source, dict(written.splits)))
    shutil.rmtree(writer.work_directory)
    return all(modified_ns is None or modified_ns < begun_ns for _, _, modified_ns in folders)


def _paths_content(joined: JoinedPackage, spill: Path) -> list[FieldContent]:
    """Return the paths of files as a field, if there are folders among the sources."""
    images, plan = joined.images, joined.plan
    indices = images.indices[plan.image].astype(np.uint64)
    paths = images.members.paths_below(indices)
    if not len(column(paths.data, np.uint8)):
        return []
    spec = FieldSpec(path_field(joined.publisher.field), "text")
    return [strings_content(spec, paths, plan.record, spill=spill)]


def _place_arrays(joined: JoinedPackage) -> dict[str, npt.NDArray[Any]]:
    plan, images = joined.plan, joined.images
    arrays = {name: np.zeros(plan.n, dtype) for name, dtype in PLACE_DTYPES.items()}
    member = images.indices[plan.image]
    for name in _PLACES:
        known = column(getattr(images.members, name), np.dtype(PLACE_DTYPES[name]).type)
        arrays[name][plan.record] = known[member]
    arrays["nbytes"][plan.record] = joined.image_nbytes
    arrays["status"].fill(Status.MISSING)
    arrays["status"][plan.record] = _known_status(joined)
    return arrays


def _known_status(joined: JoinedPackage) -> npt.NDArray[np.uint8]:
    """No image is looked at: all that have bytes count as sound."""
    return np.where(joined.image_nbytes == 0, Status.EMPTY, Status.SOUND).astype(np.uint8)


def _spec(
    request: Request,
    joined: JoinedPackage,
    fields: tuple[FieldSpec, ...],
    source: dict[str, Any],
    splits: dict[str, int],
) -> StoreSpec:
    from arraystore import _core

    status = _known_status(joined)
    troubles = joined.troubles(status, {})
    counts = joined.counts(status, joined.image_nbytes, troubles)
    if len(joined.images):
        # A table alone has rows without an image and nothing else.
        _tell_troubles(request, counts["troubles"])
    return StoreSpec(
        n=joined.plan.n,
        fields=fields,
        key=joined.publisher.key,
        dataset=joined.publisher.dataset,
        package=joined.images.package,
        splits=joined.publisher.splits,
        source=source,
        counts=counts | {"split": splits},
        created_by=f"arraystore {_core.__version__}",
    )


def _tell_troubles(request: Request, troubles: dict[str, int]) -> None:
    words = [trouble_words(kind, count) for kind, count in troubles.items() if kind not in HARMLESS]
    if words:
        _logger.warning("%s: %s", ", ".join(request.paths), "; ".join(words))


def _explained(error: SourceError, paths: list[Path]) -> SourceError | FormatError:
    """Tell of what is no source at all that it is no store either."""
    neither = "neither an arraystore, which has a zarr.json, nor a source of images"
    if error.code == "no-images" and all(path.is_dir() for path in paths):
        return FormatError(f"{neither}: {error}")
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                start = file.read(len(_HDF5_START))
            if not start.startswith(_ZIP_START) and start != _HDF5_START:
                return FormatError(
                    f"{path}: {neither}: it is no folder, and no zip archive by its first bytes {start!r}"
                )
    return error
