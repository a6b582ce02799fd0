"""A store in the making, as a directory in Zarr v3."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import FormatError
from arraystore.format.arrays import CHUNKS, ArrayForm, group_document
from arraystore.format.base import COLUMNS, KEY, LOCK
from arraystore.format.codecs import compress_items
from arraystore.format.durable import sync_all, write_durably
from arraystore.format.layout import CHUNK_NBYTES
from arraystore.format.spec import StoreSpec
from arraystore.format.writer import DataForm, FileSpan, Frame, PackTarget, ShardFiles
from arraystore.format.zarr import DOCUMENT, WORK_DIRECTORY, open_zarr, store_files


class ZarrWriter:
    """A store in the making, as a directory; see `arraystore.format.writer.StoreWriter`.

    Parameters
    ----------
    path : path-like
        Directory of the store, existing or not.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self.work_directory = self.path / WORK_DIRECTORY
        # Of the files that this writer has written and synced, by path in the store.
        self._checksums: dict[str, int] = {}
        self._data: Mapping[str, DataForm] = {}
        # Where index arrays, keys and columns go.
        self._index = ""

    @property
    def has_codecs(self) -> bool:
        """Whether the items of fields of arrays may be compressed."""
        return True

    def is_finished(self) -> bool:
        """Tell whether a store stands here that was committed."""
        return (self.path / DOCUMENT).exists()

    def check_place(self) -> None:
        """Refuse what is neither a store nor the beginning of one.

        Raises
        ------
        FormatError
            If it is something else, or a store of a newer format.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise FormatError(f"{self.path} exists and is no directory: choose another path")
        if self.is_finished():
            open_zarr(self.path)
            return
        names = {path.name for path in self.path.iterdir()}
        is_ours = not names or names == {WORK_DIRECTORY} or (self.work_directory / LOCK).exists()
        if not is_ours:
            raise FormatError(f"{self.path} exists and is no arraystore: choose another path")

    def clear(self) -> None:
        """Remove all but the work directory; the root document first, since it says that the rest is whole."""
        (self.path / DOCUMENT).unlink(missing_ok=True)
        for path in list(self.path.iterdir()):
            if path.name != WORK_DIRECTORY:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def begin(self, n: int, data: Mapping[str, DataForm], frame: Frame) -> None:  # noqa: ARG002 (of the protocol)
        """Write the documents of the `data` arrays and of their groups, and the columns.

        Parameters
        ----------
        n : int
            Number of records.
        data : mapping of str to DataForm
            The `data` array of each field by its name, and of the keys by `KEY`.
        frame : Frame
            The columns; they take the place of those that may be there.
        """
        from arraystore.format.zarr_columns import write_columns

        self._data = data
        for group, form in data.items():
            write_document(self.path / group, group_document())
            write_document(self.path / group / "data", _array_form(form).document())
            self._prepare_stage(group)
        write_columns(self.path / COLUMNS, frame)

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
        if form.item is not None:
            return PackTarget(FileSpan(self._stage(group), 0), form.total_nbytes, form.span_nbytes)
        place = ShardFiles(self._shards(group), CHUNK_NBYTES)
        return PackTarget(place, form.total_nbytes, form.shard_nbytes)

    def seal(self, group: str, *, threads: int) -> None:
        """Make shards of the items that were packed into one file.

        Parameters
        ----------
        group : str
            Name of the field.
        threads : int
            Threads that compress.
        """
        if not self._is_staged(group):
            return
        form, stage, array = _array_form(self._data[group]), self._stage(group), self.path / group / "data"
        if form.codec is not None:
            compress_items(stage, form, array, threads=threads)
        elif form.shard_count > 1:
            _cut(stage, form, array)
        else:
            with stage.open("r+b") as file:
                file.truncate(form.total_nbytes)
                file.seek(form.total_nbytes)
                file.write(form.footer(0))
                file.flush()
                os.fsync(file.fileno())
            shard = array / form.shard_names()[0]
            shard.parent.mkdir(parents=True, exist_ok=True)
            stage.replace(shard)

    def _is_staged(self, group: str) -> bool:
        """Tell whether items are packed into one file first, part by part, so that what is finished of it can be kept.

        It becomes the only shard, or the shards are made of it.
        """
        form = self._data[group]
        return form.item is not None and form.total_nbytes > 0

    def _prepare_stage(self, group: str) -> None:
        if not self._is_staged(group):
            return
        form, stage = self._data[group], self._stage(group)
        array = _array_form(form)
        shard = self.path / group / "data" / array.shard_names()[0]
        if array.codec is None and array.shard_count == 1 and shard.exists() and not stage.exists():
            # It was finished before the ingest was interrupted.
            shard.replace(stage)
        if stage.exists() and stage.stat().st_size >= form.total_nbytes:
            return
        shutil.rmtree(self.work_directory / f"{group}.journal", ignore_errors=True)
        with stage.open("wb") as file:
            file.truncate(form.total_nbytes)

    def _stage(self, group: str) -> Path:
        return self.work_directory / f"{group}.items"

    def _shards(self, group: str) -> Path:
        return self.path / group / "data" / CHUNKS

    def write_index(self, group: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write arrays that have one number for each record.

        Parameters
        ----------
        group : str
            Name of the field, or `key`.
        arrays : mapping of str to ndarray, shape (n,)
            By name; of the type that the format gives them.
        """
        if group not in self._data:
            # Arrays without bytes of records: `begin` has written the documents of all other groups.
            write_document(self.path / self._index / group, group_document())
        for name, values in arrays.items():
            directory = self.path / self._index / group / name
            form = ArrayForm.index(values.dtype.name, len(values))
            write_document(directory, form.document())
            written = _core.write_sharded(
                np.ascontiguousarray(values),
                directory=str(directory / CHUNKS),
                shard_nbytes=form.shard_nbytes,
                chunk_nbytes=form.chunk_nbytes,
            )
            place = f"{self._index}{group}/{name}/{CHUNKS}"
            self._checksums |= {f"{place}/{shard}": checksum for shard, checksum in written}

    def commit(self, spec: StoreSpec, *, sync: bool = True) -> None:
        """Make a store of the directory: write its root document, the last step of an ingest.

        Parameters
        ----------
        spec : StoreSpec
            Its description; the checksums of the files are added to it.
        sync : bool, default True
            Whether all other files are synced to disk first.
        """
        # The bytes of the records have checksums of their own, one for each record.
        data = (*(f"{field.name}/data/{CHUNKS}/" for field in spec.fields), f"{self._index}{KEY}/data/{CHUNKS}/")
        files = self._files(spec)
        # The core syncs what it writes.
        synced = {name for name in files if name in self._checksums or name.startswith(data)}
        rest = {name: _core.file_crc32c(str(self.path / name)) for name in files if name not in synced}
        if sync:
            self._sync(files, synced)
        checksums = {name: checksum for name, checksum in self._checksums.items() if name in synced}
        whole = replace(spec, checksums=dict(sorted({**checksums, **rest}.items())))
        root = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"arraystore": whole.to_json()},
            "consolidated_metadata": {
                "kind": "inline",
                "must_understand": False,
                "metadata": _node_documents(self.path, files),
            },
        }
        write_durably(self.path / DOCUMENT, serialised(root))

    def _files(self, spec: StoreSpec) -> list[str]:  # noqa: ARG002 (of a store that grows)
        """Return the files that the root document is to speak of."""
        return store_files(self.path)

    def _sync(self, files: Collection[str], synced: Collection[str]) -> None:
        directories = {parent for name in files for parent in Path(name).parents}
        sync_all(self.path / name for name in files if name not in synced)
        sync_all([self.path.parent, *(self.path / each for each in directories)])


def _array_form(form: DataForm) -> ArrayForm:
    if form.item is None:
        return ArrayForm.data(form.total_nbytes, form.shard_nbytes)
    return ArrayForm.items(form.item, form.count or 0, form.shard_nbytes // form.item.item_nbytes)


def _cut(packed: Path, form: ArrayForm, directory: Path) -> None:
    """Write the shards of a field of arrays that are not compressed; each under a temporary name first."""
    with packed.open("rb") as items:
        for shard, name in enumerate(form.shard_names()):
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(path.name + ".partial")
            with temporary.open("wb") as file:
                for _ in range(form.chunk_count(shard)):
                    file.write(items.read(form.chunk_nbytes))
                file.write(form.footer(shard))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)


def write_document(directory: Path, document: Mapping[str, Any]) -> None:
    """Write the `zarr.json` of a node; it is synced to disk with all others by `commit`.

    Parameters
    ----------
    directory : Path
        Directory of the node; made if it does not exist.
    document : mapping
        Its content.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / DOCUMENT).write_bytes(serialised(document))


def serialised(document: Mapping[str, Any]) -> bytes:
    """Return the content of a `zarr.json`."""
    return json.dumps(document, indent=1, allow_nan=False).encode()


def _node_documents(path: Path, files: Collection[str]) -> dict[str, Any]:
    """Read the `zarr.json` of every node below the root, by path, in the order of the files."""
    found = (name for name in files if name.endswith("/" + DOCUMENT))
    return {name.removesuffix("/" + DOCUMENT): json.loads((path / name).read_bytes()) for name in found}
