"""The next state of a store in Zarr: new shards of `data`, and a generation of all else, until the root names it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from arraystore.errors import FormatError
from arraystore.format.arrays import CHUNKS, ArrayForm, group_document
from arraystore.format.base import COLUMNS, KEY
from arraystore.format.durable import write_durably
from arraystore.format.generations import generation_of, shards_behind
from arraystore.format.layout import CHUNK_NBYTES
from arraystore.format.spec import StoreSpec
from arraystore.format.writer import DataForm, Frame, PackTarget, ShardFiles
from arraystore.format.zarr import DOCUMENT, GENERATIONS, ZarrLayout, generation_prefix, open_zarr, store_files
from arraystore.format.zarr_writer import ZarrWriter, serialised, write_document


class ZarrGrowth(ZarrWriter):
    """A finished store to which records are added; see `arraystore.format.writer.GrowingStore`.

    Parameters
    ----------
    base : ZarrLayout
        Its present state.
    """

    def __init__(self, base: ZarrLayout) -> None:
        super().__init__(base.path)
        self.base = base
        self.generation = base.spec.generation + 1
        self._index = generation_prefix(self.generation)
        self.existing: Mapping[str, DataForm] = {
            field.name: DataForm(field.kind, form.length, form.shard_length)
            for field in base.spec.fields
            if "data" in _arrays_of(base, field.name)
            for form in [base.form(f"{field.name}/data")]
        }

    def is_finished(self) -> bool:
        """Tell whether the next state was committed."""
        return open_zarr(self.path).spec.generation >= self.generation

    def check_place(self) -> None:
        """Accept the place: a finished store stands there."""

    def clear(self) -> None:
        """Remove what an append has left that was not finished; the present state stays as it is."""
        if self.is_finished():
            raise FormatError(f"{self.path}: the state that is to be removed is the present one")
        known = {field.name for field in self.base.spec.fields}
        for name in store_files(self.path):
            if name.startswith(self._index) or shards_behind(self.base, name):
                (self.path / name).unlink()
        shutil.rmtree(self.path / self._index, ignore_errors=True)
        if self.generation == 1:
            shutil.rmtree(self.path / GENERATIONS, ignore_errors=True)
        for path in self.path.iterdir():
            # A field that the store has not had before; other directories are not ours.
            if path.is_dir() and path.name not in {*known, KEY, COLUMNS, GENERATIONS} and _is_new_field(path):
                shutil.rmtree(path)

    def begin(self, n: int, data: Mapping[str, DataForm], frame: Frame) -> None:  # noqa: ARG002 (of the protocol)
        """Write the documents of what is new, and the columns; see `StoreWriter.begin`."""
        from arraystore.format.zarr_columns import write_columns

        self._data = data
        write_document(self.path / GENERATIONS, group_document())
        write_document(self.path / self._index, group_document())
        for group, form in data.items():
            write_document(self.path / self._index / group, group_document())
            if group in self.existing:
                continue
            place = self.path / (self._index if group == KEY else "") / group
            write_document(place, group_document())
            write_document(place / "data", ArrayForm.data(form.total_nbytes, form.shard_nbytes).document())
        write_columns(self.path / self._index / COLUMNS, frame)

    def target(self, group: str) -> PackTarget:
        """Return where the core packs what is added to a `data` array, or all of a new one."""
        form, existing = self._data[group], self.existing.get(group)
        place = self.path / (self._index if group == KEY else "") / group
        first = 0 if existing is None else -(-existing.total_nbytes // existing.shard_nbytes)
        return PackTarget(
            ShardFiles(place / "data" / CHUNKS, CHUNK_NBYTES, first), form.total_nbytes, form.shard_nbytes
        )

    def commit(self, spec: StoreSpec, *, sync: bool = True) -> None:
        """Let the `data` arrays grow, then replace the root document, which makes the new state the present one.

        Parameters
        ----------
        spec : StoreSpec
            Its description; checksums, generation and segments are added to it.
        sync : bool, default True
            Whether all other files are synced to disk first.
        """
        segments = {field.name: self._segments(field.name) for field in spec.fields}
        for name in self.existing:
            form = self._data[name]
            document = ArrayForm.data(form.total_nbytes, form.shard_nbytes).document()
            # Replaced as a whole: a reader of the present state may be reading it.
            write_durably(self.path / name / "data" / DOCUMENT, serialised(document))
        super().commit(replace(spec, generation=self.generation, segments=segments), sync=sync)

    def remove_older(self) -> None:
        """Remove the generations before the last one; the files of `data` belong to all."""
        spec, oldest = self.base.spec, open_zarr(self.path).spec.generation - 1
        emptied: set[Path] = set()
        for name in store_files(self.path):
            generation = generation_of(name, spec)
            if generation is not None and generation < oldest:
                (self.path / name).unlink()
                emptied |= {self.path / parent for parent in Path(name).parents if parent.name}
        for directory in sorted(emptied, reverse=True):
            # Some hold what belongs to all generations.
            with suppress(OSError):
                directory.rmdir()

    def _segments(self, group: str) -> list[int]:
        total = self._data[group].total_nbytes
        before = list(self.base.spec.segments.get(group, ())) if group in self.existing else []
        if not before and group in self.existing:
            before = [self.existing[group].total_nbytes]
        return [*(end for end in before if 0 < end < total), *([total] if total else [])]

    def _files(self, spec: StoreSpec) -> list[str]:
        groups = tuple(f"{field.name}/" for field in spec.fields)
        return [
            name
            for name in store_files(self.path)
            if name.startswith(self._index)
            or name == f"{GENERATIONS}/{DOCUMENT}"
            or (name.startswith(groups) and generation_of(name, spec) is None)
        ]


def _arrays_of(layout: ZarrLayout, group: str) -> list[str]:
    return [path.partition("/")[2] for path in layout.array_paths() if path.partition("/")[0] == group]


def _is_new_field(path: Path) -> bool:
    names = {each.name for each in path.iterdir()}
    return names <= {DOCUMENT, "data"} and (path / "data" / DOCUMENT).exists()
