"""Packages of patches, several fields to a record: their form is found out, and they become a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arraystore.errors import InvalidRequestError, SourceError
from arraystore.format.arrays import NO_ITEM
from arraystore.format.columns import NullableColumn, TextsColumn, WritableColumn, categorical
from arraystore.format.spec import Codec, FieldSpec, Status
from arraystore.ingestion.content import Content, ItemsContent
from arraystore.ingestion.troubles import Line, Troubles
from arraystore.sources.archive import column
from arraystore.sources.base import PatchField, PatchSet, PatchSource

if TYPE_CHECKING:
    from arraystore._core import PackResult

# So many files of each field are asked for their form, as far as they have no more bytes together.
_ASKED_FILES = 64
_ASKED_NBYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class PatchPackage:
    """The patches of one package, found in its sources.

    Parameters
    ----------
    publisher : PatchSource
        Whose layout they have.
    patches : PatchSet
        The patches.
    """

    publisher: PatchSource
    patches: PatchSet

    @property
    def fingerprint(self) -> int:
        """A number that differs if the files do."""
        return self.patches.members.fingerprint(self.patches.indices.astype(np.uint64))

    def content(self, *, codec: Codec | None, shard_nbytes: int | None) -> Content:
        """Find out type and shape of each field, and return what the store is to hold.

        Parameters
        ----------
        codec : {"zstd", "blosc"} or None
            How patches are compressed.
        shard_nbytes : int or None
            Wanted size of a shard.

        Returns
        -------
        Content

        Raises
        ------
        SourceError
            If a field has no patch that can be read, or one has 4 GiB or more.
        """
        patches = self.patches
        fields = []
        # A field without files has no form, and so is none.
        for each in (each for each in patches.fields if len(each.indices)):
            dtype, shape = _find_form(patches, each)
            spec = FieldSpec(each.name, "array", dtype, shape, codec)
            extents = patches.members.extents(each.indices.astype(np.uint64))
            fields.append(ItemsContent(spec, extents, each.row, is_tiff=True, shard_nbytes=shard_nbytes))
        return Content(self.publisher.key, patches.keys, fields, self._columns)

    def _columns(self) -> Mapping[str, WritableColumn]:
        patches = self.patches
        return {
            "split": categorical(patches.split.codes, patches.split.categories),
            "level": NullableColumn(patches.level, patches.level == 0),
            "stem": TextsColumn(patches.stems),
        }

    def counts(self, troubles: Sequence[Troubles]) -> dict[str, Any]:
        """Return what a store says of its source.

        Parameters
        ----------
        troubles : sequence of Troubles
            What went wrong.

        Returns
        -------
        dict of str to object
            Of plain JSON types.
        """
        return {
            "rows_left_out": 0,
            "images_left_out": sum(len(group.indices) for group in self.patches.skipped if not group.is_listed),
            "troubles": {each.kind: each.count for each in troubles},
        }

    def troubles(self, results: Mapping[str, PackResult]) -> list[Troubles]:
        """Gather what went wrong, the worst first.

        Parameters
        ----------
        results : mapping of str to PackResult
            What packing found out of the patches of each field.

        Returns
        -------
        list of Troubles
            Only kinds that occurred.
        """
        lines: dict[str, list[Line]] = {}
        for line in [*self._bad_patches(results), *self._unpaired()]:
            lines.setdefault(line[0], []).append(line)
        patches = self.patches
        lines["unusable-file"] = [("unusable-file", "", "", path, reason) for path, reason in patches.unusable]
        lines["merged-duplicate"] = [
            ("merged-duplicate", "", "", patches.members.path(other), f"same bytes as {patches.members.path(kept)}")
            for kept, other in patches.merged
        ]
        lines["skipped-file"] = [("skipped-file", "", "", path, reason) for reason, path in patches.skipped_paths()]
        return [_troubles(kind, each) for kind, each in lines.items() if each]

    def _bad_patches(self, results: Mapping[str, PackResult]) -> Iterator[Line]:
        for field in (each for each in self.patches.fields if len(each.indices)):
            status = column(results[field.name].status, np.uint8)
            details = dict(results[field.name].details)
            records = np.flatnonzero(field.row != NO_ITEM)[::-1]
            first = np.zeros(len(status), np.int64)
            # Backwards, so that of the records that share an item the first is named.
            first[field.row[records]] = records
            for item in np.flatnonzero(status).tolist():
                record = int(first[item])
                path = self.patches.members.path(int(field.indices[item]))
                label = Status(int(status[item])).label
                yield label, self.patches.keys[record], record, path, details.get(item, "")

    def _unpaired(self) -> Iterator[Line]:
        """Name the records that lack a field, with the file that they have."""
        for field in self.patches.fields:
            for record in np.flatnonzero(field.row == NO_ITEM).tolist():
                other = next(each for each in self.patches.fields if each.row[record] != NO_ITEM)
                path = self.patches.members.path(int(other.indices[other.row[record]]))
                detail = f"no {field.name} has this name; its {field.name} is missing in the store"
                yield "unpaired-patch", self.patches.keys[record], record, path, detail


def find_patches(publisher: PatchSource, patches: PatchSet, **not_for_patches: object) -> PatchPackage:
    """Return a package of patches, once it is certain that nothing was asked for that they do not have.

    Parameters
    ----------
    publisher : PatchSource
        Whose layout they have.
    patches : PatchSet
        The patches.
    **not_for_patches
        Options that are of no use for them, None if they were not given.

    Returns
    -------
    PatchPackage

    Raises
    ------
    InvalidRequestError
        If one was.
    """
    for name, value in not_for_patches.items():
        if value is not None:
            raise InvalidRequestError(
                f"{name}={value!r}: the patches of {publisher.dataset} have no table: leave {name} out"
            )
    return PatchPackage(publisher, patches)


def _find_form(patches: PatchSet, field: PatchField) -> tuple[str, tuple[int, int]]:
    """Return type and shape of most of some files of a field, spread over all of them."""
    from arraystore import _core

    nbytes = column(patches.members.nbytes, np.uint64)[field.indices].astype(np.int64)
    usual = int(np.median(nbytes))
    count = int(np.clip(_ASKED_NBYTES // max(usual, 1), 1, _ASKED_FILES))
    # A file that is far larger than the others is not read for this.
    likely = np.flatnonzero(nbytes <= 16 * usual + (1 << 20))
    forms: Counter[tuple[str, tuple[int, int]]] = Counter()
    problem = ""
    for at in np.unique(np.linspace(0, len(likely) - 1, count).astype(np.int64)).tolist():
        index = int(field.indices[likely[at]])
        try:
            form, flaw = _core.tiff_form(patches.members.read(index))
        except (SourceError, OSError) as error:
            form, flaw = None, str(error)
        if form is not None:
            forms[form] += 1
        problem = problem or f"{patches.members.path(index)}: {flaw}"
    if not forms:
        raise SourceError(f"{field.name}: no patch can be read: {problem}", "no-patches")
    ((dtype, shape), _) = forms.most_common(1)[0]
    if shape[0] * shape[1] * np.dtype(dtype).itemsize >= 2**32:
        raise SourceError(f"{field.name}: patches of {shape[0]}x{shape[1]} have 4 GiB or more", "too-large")
    return dtype, shape


def _troubles(kind: str, lines: list[Line]) -> Troubles:
    return Troubles(kind, len(lines), lambda: lines)


def refuse_to_open(package: PatchPackage, paths: Sequence[Path]) -> SourceError:
    """Return the error of those who take images only."""
    named = " ".join(map(str, paths))
    return SourceError(
        f"{named}: patches of {package.publisher.dataset} are not read as they are: make a store of them with "
        f"`arraystore ingest {named} -o STORE`",
        "patches-as-source",
    )
