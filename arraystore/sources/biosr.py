"""BioSR as it is republished for super-resolution: pairs of patches in TIFF, a widefield and a ground truth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import DuplicateKeyError, SourceError
from arraystore.sources.archive import column
from arraystore.sources.base import PatchField, PatchSet, PathLabels, Skipped
from arraystore.sources.image_files import is_junk_file, skipped_words

if TYPE_CHECKING:
    from arraystore._core import Members, Strings

# The widefield is the main field: its patches are in the order of the records.
FIELDS = ("wf", "gt")
SPLITS = ("training", "validate", "test")

_FOLDER = re.compile(rf"({'|'.join(SPLITS)})_({'|'.join(FIELDS)})\Z")
_LEVEL = re.compile(r"level_([0-9]{1,2})\Z")
_SUFFIXES = (".tif", ".tiff")
# Levels are below; with the split and the number of a stem, they make one number of each place.
_LEVELS = 100
_NO_PATCH = 2**32 - 1


@dataclass(frozen=True, slots=True)
class PatchPlace:
    """What a directory name tells of the patches in it.

    Parameters
    ----------
    package : str
        The directory above it; empty if there is none.
    split, field : str
        One of `SPLITS` and of `FIELDS`.
    level : int
        Level of the signal, 0 if it has none.
    """

    package: str
    split: str
    field: str
    level: int


def place_of(directory: str) -> PatchPlace | None:
    """Read split, field and level from a directory; None if it holds no patches.

    Parameters
    ----------
    directory : str
        With `/` between its parts and any prefix, such as `BioSR/Microtubules/test_wf/level_01`.

    Returns
    -------
    PatchPlace or None

    Examples
    --------
    >>> place_of("BioSR/Microtubules/test_wf/level_01")
    PatchPlace(package='Microtubules', split='test', field='wf', level=1)
    """
    parts = directory.split("/")
    level = _LEVEL.match(parts[-1]) if len(parts) > 1 else None
    if level:
        parts.pop()
    folder = _FOLDER.match(parts[-1])
    if folder is None:
        return None
    package = parts[-2] if len(parts) > 1 else ""
    return PatchPlace(package, folder[1], folder[2], int(level[1]) if level else 0)


class BioSR:
    """The layout of BioSR; see `arraystore.sources.base.PatchSource`."""

    dataset = "BioSR"
    key = "patch"
    splits: Mapping[str, tuple[str, ...]] = {
        **{name: (name,) for name in SPLITS},
        "train": ("training",),
        "val": ("validate",),
        "validation": ("validate",),
        "all": SPLITS,
    }

    def recognises(self, members: Members) -> bool:
        """Tell whether any TIFF file lies in a directory that is named as the publisher names them.

        Parameters
        ----------
        members : Members
            All files of the sources.

        Returns
        -------
        bool
        """
        has_place = np.array([place_of(name) is not None for name in members.directories], bool)
        if not has_place.any():
            return False
        return bool((has_place[column(members.directory, np.uint32)] & _is_tiff(members)).any())

    def patches(self, members: Members, *, package: str | None = None) -> PatchSet:
        """Tell the patches of one package, and which belong together.

        A record is a widefield, and the ground truth of its name: of its level if there is one, else the one that all
        levels share. A ground truth that no widefield has is a record too.

        Parameters
        ----------
        members : Members
            All files of the sources.
        package : str, optional
            The structure to take, such as `Microtubules`. Needed if the paths name several.

        Returns
        -------
        PatchSet

        Raises
        ------
        SourceError
            If there is no patch, or it is not clear which package is meant.
        DuplicateKeyError
            If two different files have the same place.
        """
        places = [place_of(name) for name in members.directories]
        directory = column(members.directory, np.uint32)
        is_junk, is_tiff = is_junk_file(members), _is_tiff(members)
        chosen = _chosen_package(places, members, package)
        fits = np.array([place is not None and place.package == chosen for place in places], bool)
        other = np.array([place is not None and place.package != chosen for place in places], bool)
        is_candidate = is_tiff & ~is_junk
        indices = np.flatnonzero(is_candidate & fits[directory])
        if not len(indices):
            raise SourceError(
                f"no patches of {chosen} in {', '.join(members.sources)}: none of {len(members):,} files is a .tif in "
                f"a folder such as training_wf{skipped_words(members)}",
                "no-images",
            )
        found = _Found.of(members, indices, places)
        merged = found.drop_duplicates(members)
        return found.paired(
            chosen or self.dataset,
            merged,
            tuple(each for each in members.skipped if _should_be_patch(each[0])),
            (
                Skipped("hidden", np.flatnonzero(is_junk)),
                Skipped("not-a-patch", np.flatnonzero(~is_junk & ~(is_tiff & (fits | other)[directory]))),
                Skipped("other-package", np.flatnonzero(is_candidate & other[directory]), is_listed=False),
            ),
        )


@dataclass(slots=True)
class _Found:
    """Patches by numbers: of the field, of the split, of the level, and of the stem among all stems in their order."""

    members: Members
    indices: npt.NDArray[np.int64]
    field: npt.NDArray[np.int64]
    split: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]
    stem: npt.NDArray[np.int64]
    # A patch that has each stem.
    of_stem: npt.NDArray[np.int64]

    @classmethod
    def of(cls, members: Members, indices: npt.NDArray[np.int64], places: list[PatchPlace | None]) -> _Found:
        directory = column(members.directory, np.uint32)[indices]

        def told(number: Any) -> npt.NDArray[np.int64]:
            return np.array([-1 if place is None else number(place) for place in places], np.int64)[directory]

        stems = _as_array(members.stems.take(indices.astype(np.uint64)))
        _, of_stem, stem = np.unique(stems, return_index=True, return_inverse=True)
        return cls(
            members,
            indices,
            told(lambda place: FIELDS.index(place.field)),
            told(lambda place: SPLITS.index(place.split)),
            told(lambda place: place.level),
            stem.reshape(-1).astype(np.int64),
            indices[of_stem],
        )

    @property
    def place(self) -> npt.NDArray[np.int64]:
        """One number for split, level and stem, in the order of the records."""
        return (self.split * _LEVELS + self.level) * len(self.of_stem) + self.stem

    def drop_duplicates(self, members: Members) -> list[tuple[int, int]]:
        """Keep the first of the files that have the same place and bytes; return both for each that is dropped."""
        whole = self.field * (len(SPLITS) * _LEVELS * len(self.of_stem)) + self.place
        order = np.argsort(whole, kind="stable")
        again = np.flatnonzero(whole[order][1:] == whole[order][:-1]) + 1
        if not len(again):
            return []
        first = np.searchsorted(whole[order], whole[order][again])
        pairs = zip(self.indices[order[first]].tolist(), self.indices[order[again]].tolist(), strict=True)
        merged: list[tuple[int, int]] = list(pairs)
        nbytes = column(members.nbytes, np.uint64)
        for kept, other in merged:
            if nbytes[kept] != nbytes[other] or members.read(kept) != members.read(other):
                raise DuplicateKeyError(
                    f"two different patches have the same place: {members.path(kept)} and {members.path(other)}; "
                    "remove one of them, or ingest their folders one at a time"
                )
        keep = np.sort(np.delete(order, again))
        for name in ("indices", "field", "split", "level", "stem"):
            setattr(self, name, getattr(self, name)[keep])
        return merged

    def paired(
        self,
        package: str,
        merged: list[tuple[int, int]],
        unusable: tuple[tuple[str, str], ...],
        skipped: tuple[Skipped, ...],
    ) -> PatchSet:
        """Tell which records there are, and which patches each has."""
        places, members = [], []
        for number in range(len(FIELDS)):
            of_field = np.flatnonzero(self.field == number)
            of_field = of_field[np.argsort(self.place[of_field])]
            places.append(self.place[of_field])
            members.append(self.indices[of_field])
        widefield, truth = places
        served = np.concatenate([widefield, self._shared(widefield)])
        records = np.sort(np.concatenate([widefield, truth[~np.isin(truth, served)]]))
        rows = [_find(records, widefield)]
        own, shared = _find(records, truth), _find(self._shared(records), truth)
        rows.append(np.where(own == _NO_PATCH, shared, own))
        stems = self.members.stems.take(self.of_stem[records % len(self.of_stem)].astype(np.uint64))
        split, level = np.divmod(records // len(self.of_stem), _LEVELS)
        return PatchSet(
            self.members,
            package,
            _keys(split, level, stems),
            tuple(map(PatchField, FIELDS, members, rows)),
            PathLabels(split.astype(np.int32), SPLITS),
            level.astype(np.int16),
            stems,
            merged,
            unusable,
            skipped,
        )

    def _shared(self, place: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the places of the same split and stem without a level."""
        count = len(self.of_stem)
        return place // (count * _LEVELS) * (count * _LEVELS) + place % count


def _find(wanted: npt.NDArray[np.int64], ascending: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """Return where each number stands, `_NO_PATCH` if nowhere."""
    if not len(ascending):
        return np.full(len(wanted), _NO_PATCH, np.uint32)
    at = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[at] == wanted, at, _NO_PATCH).astype(np.uint32)


def _as_array(names: Strings) -> npt.NDArray[np.bytes_]:
    """Return names as an array of bytes of one length, which NumPy can sort."""
    data, offsets = column(names.data, np.uint8), column(names.offsets, np.uint64).astype(np.int64)
    lengths = np.diff(offsets)
    width = max(int(lengths.max(initial=0)), 1)
    letters = np.zeros((len(lengths), width), np.uint8)
    letters[np.arange(width) < lengths[:, None]] = data[offsets[0] : offsets[-1]]
    return letters.view(f"S{width}").reshape(-1)


def _keys(split: npt.NDArray[np.int64], level: npt.NDArray[np.int64], stems: Strings) -> Strings:
    """Return the keys: `training/00000001`, `test/level_01/001`."""
    from arraystore import _core

    numbers, kind = np.unique(split * _LEVELS + level, return_inverse=True)
    texts = [_prefix(*divmod(int(number), _LEVELS)) for number in numbers]
    widths = np.array([len(text) for text in texts], np.int64)[kind.reshape(-1)]
    offsets = column(stems.offsets, np.uint64).astype(np.int64)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(widths + np.diff(offsets))])
    joined = np.empty(int(ends[-1]), np.uint8)
    is_stem = np.ones(len(joined), bool)
    for number, text in enumerate(texts):
        place = ends[:-1][kind.reshape(-1) == number][:, None] + np.arange(len(text))
        joined[place] = np.frombuffer(text.encode(), np.uint8)
        is_stem[place] = False
    joined[is_stem] = column(stems.data, np.uint8)[offsets[0] : offsets[-1]]
    return _core.Strings(joined, ends.astype(np.uint64))


def _prefix(split: int, level: int) -> str:
    return f"{SPLITS[split]}/" + (f"level_{level:02d}/" if level else "")


def _is_tiff(members: Members) -> npt.NDArray[np.bool_]:
    is_tiff = np.array([suffix.lower() in _SUFFIXES for suffix in members.suffixes], bool)
    suffix = column(members.suffix, np.uint32)
    return is_tiff[suffix] if len(suffix) else np.zeros(0, bool)


def _should_be_patch(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".") and place_of(folder) is not None


def _chosen_package(places: list[PatchPlace | None], members: Members, wanted: str | None) -> str:
    found = sorted({place.package for place in places if place is not None})
    if wanted is not None:
        # Files at the top of an archive may be of any package.
        return wanted if wanted in found else found[0] if found == [""] else wanted
    if len(found) > 1:
        raise SourceError(
            f"the patches of several packages lie in {', '.join(members.sources)}: {', '.join(found)}: choose one with "
            "--package",
            "several-packages",
        )
    return found[0]
