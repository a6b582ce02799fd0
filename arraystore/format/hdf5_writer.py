"""A store in the making, as one HDF5 file: laid out by h5py, filled by the core, and never touched by HDF5 again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import FormatError, InternalError, InvalidRequestError, UnfinishedStoreError
from arraystore.format.base import LOCK
from arraystore.format.durable import sync_all
from arraystore.format.hdf5 import open_hdf5, work_directory_of
from arraystore.format.hdf5_plan import FilePlan, check_room, lay_out, read_plan, remove_plan, spec_text, write_plan
from arraystore.format.spec import StoreSpec
from arraystore.format.writer import DataForm, FileSpan, Frame, PackTarget

_PARTIAL = "partial.h5"


class Hdf5Writer:
    """A store in the making, as one file; see `arraystore.format.writer.StoreWriter`.

    The file stands in the work directory beside its final place until it is finished.

    Parameters
    ----------
    path : path-like
        The file, existing or not.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self.work_directory = work_directory_of(self.path)
        self._partial = self.work_directory / _PARTIAL
        # Of the index arrays that this writer has written, by path in the store.
        self._checksums: dict[str, int] = {}
        self._data: Mapping[str, DataForm] = {}
        self._laid_out: FilePlan | None = None

    @property
    def has_codecs(self) -> bool:
        """Whether the items of fields of arrays may be compressed."""
        return False

    def is_finished(self) -> bool:
        """Tell whether a store stands here that was committed."""
        return self.path.is_file()

    def check_place(self) -> None:
        """Refuse what is neither a store nor the beginning of one.

        Raises
        ------
        FormatError
            If it is something else, or a store of a newer format.
        """
        if self.is_finished():
            try:
                open_hdf5(self.path)
            except UnfinishedStoreError:
                raise FormatError(f"{self.path} is the unfinished file of an ingest: choose another path") from None
        elif os.path.lexists(self.path):
            raise FormatError(f"{self.path} exists and is no file: choose another path")
        if self.work_directory.exists() and not self._is_work_directory_ours():
            raise FormatError(
                f"{self.work_directory} exists and is no work directory of ours, which would stand there: "
                "choose another path"
            )

    def _is_work_directory_ours(self) -> bool:
        if not self.work_directory.is_dir():
            return False
        return (self.work_directory / LOCK).exists() or not any(self.work_directory.iterdir())

    def clear(self) -> None:
        """Remove the file, if it is finished; an unfinished one stands in the work directory."""
        self.path.unlink(missing_ok=True)

    def begin(self, n: int, data: Mapping[str, DataForm], frame: Frame) -> None:
        """Lay out the file and write the columns, unless that was done before the ingest was interrupted.

        Parameters
        ----------
        n : int
            Number of records.
        data : mapping of str to DataForm
            The `data` array of each field by its name, and of the keys by `KEY`.
        frame : Frame
            The columns.

        Raises
        ------
        InvalidRequestError
            If HDF5 cannot hold them: too many columns, a string with a zero byte, or compressed items.
        """
        for name, form in data.items():
            if form.item is not None and form.item.codec is not None:
                raise InvalidRequestError(
                    f"codec {form.item.codec!r} for {name}: a store in HDF5 is not compressed: leave the codec out, or "
                    "make a store in Zarr"
                )
        self._data = data
        self._laid_out = read_plan(self.work_directory, self._partial, n, data, frame)
        if self._laid_out is not None:
            return
        check_room(data, frame)
        # What was packed is in a file that is about to be overwritten.
        remove_plan(self.work_directory)
        for journals in list(self.work_directory.glob("*.journal")):
            shutil.rmtree(journals)
        self._laid_out = lay_out(self._partial, n, data, frame)
        sync_all([self._partial])
        write_plan(self.work_directory, self._partial, self._laid_out)

    def target(self, group: str) -> PackTarget:
        """Return where the core packs the `data` array of a field, or of the keys.

        Parameters
        ----------
        group : str
            Name of the field, or `KEY`; one of those that `begin` was given.

        Returns
        -------
        PackTarget
        """
        form = self._data[group]
        offset = self._plan().offsets[f"{group}/data"]
        return PackTarget(FileSpan(self._partial, offset), form.total_nbytes, form.span_nbytes)

    def seal(self, group: str, *, threads: int) -> None:
        """Do nothing: the items lie where they were packed.

        Parameters
        ----------
        group : str
            Name of the field.
        threads : int
            Of no use.
        """

    def write_index(self, group: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write arrays that have one number for each record.

        Parameters
        ----------
        group : str
            Name of the field, or `KEY`.
        arrays : mapping of str to ndarray, shape (n,)
            By name; of the type that the format gives them.
        """
        for name, values in arrays.items():
            path = f"{group}/{name}"
            little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            self._checksums[path] = self._write(self._plan().offsets[path], little.view(np.uint8))

    def commit(self, spec: StoreSpec) -> None:
        """Make a store of the file: write its description in the place kept for it, and give it its name.

        Parameters
        ----------
        spec : StoreSpec
            Its description; the checksums of the data sets are added to it.
        """
        plan = self._plan()
        checksums = {**plan.checksums, **self._checksums}
        whole, text = spec_text(replace(spec, checksums=dict(sorted(checksums.items()))))
        self._write(plan.attribute, np.frombuffer(text, np.uint8))
        sync_all([self._partial])
        # HDF5 looks at the file as we have written it before it gets its name.
        if open_hdf5(self._partial).spec != whole:
            raise InternalError(f"{self._partial}: its description reads back otherwise than it was written")
        self._partial.replace(self.path)
        sync_all([self.path.parent])

    def _plan(self) -> FilePlan:
        if self._laid_out is None:
            raise InternalError(f"{self.path}: the file was not begun")
        return self._laid_out

    def _write(self, offset: int, values: npt.NDArray[np.uint8]) -> int:
        with self._partial.open("r+b", buffering=0) as file:
            done = 0
            while done < len(values):
                done += os.pwrite(file.fileno(), values[done:].data, offset + done)
        return _core.file_crc32c(str(self._partial), offset=offset, nbytes=len(values))
