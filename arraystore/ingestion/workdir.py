"""The work directory of an unfinished store: what is being ingested, and who is at it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from arraystore.errors import FormatError, InvalidRequestError, SourceChangedError, SourceError
from arraystore.format.spec import FORMAT_VERSION
from arraystore.format.zarr import DOCUMENT, WORK_DIRECTORY, open_layout, write_durably

_PLAN = "plan.json"
_LOCK = "lock"

State = Literal["new", "resumed", "complete"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be ingested: equal jobs make equal stores.

    Parameters
    ----------
    sources : tuple of str
        Names of the sources, for messages.
    members : int
        Fingerprint of the files.
    metadata : str or None
        Fingerprint of the table.
    options : mapping
        Options on which the content of the store depends.
    """

    sources: tuple[str, ...]
    members: int
    metadata: str | None
    options: Mapping[str, Any]

    @property
    def fingerprint(self) -> int:
        """A 64-bit number for all of this but the names."""
        facts = [FORMAT_VERSION, self.members, self.metadata, sorted(self.options.items())]
        return int.from_bytes(hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).digest(), "little")

    def to_json(self) -> dict[str, Any]:
        """Return what is kept in the work directory, and as `source` in a finished store."""
        return {
            "fingerprint": f"{self.fingerprint:016x}",
            "paths": list(self.sources),
            "members": f"{self.members:016x}",
            "metadata": self.metadata,
            "options": dict(self.options),
        }


@contextmanager
def work_on(store: Path, job: Job, *, overwrite: bool) -> Iterator[State]:
    """Make the place of a store ready for a job, say what is there, and keep others away meanwhile.

    Parameters
    ----------
    store : Path
        Directory of the store, existing or not.
    job : Job
        What is to be ingested.
    overwrite : bool
        Whether another store that stands there is removed.

    Yields
    ------
    {"new", "resumed", "complete"}

    Raises
    ------
    SourceChangedError
        If an unfinished store stands there, of another job.
    InvalidRequestError
        If a finished store of another job stands there.
    FormatError
        If something stands there that is no store.
    SourceError
        If another process is at it.
    """
    _check_place(store)
    if (store / DOCUMENT).exists() and not overwrite:
        _check_same(store, job)
        remove_workdir(store)
        yield "complete"
        return
    (store / WORK_DIRECTORY).mkdir(parents=True, exist_ok=True)
    with _locked(store):
        if overwrite or not (store / WORK_DIRECTORY / _PLAN).exists():
            _clear(store)
            _begin(store, job)
            yield "new"
        else:
            _check_unchanged(store, job)
            yield "resumed"


def _check_place(store: Path) -> None:
    """Refuse what is neither a store nor empty, before anything is changed."""
    if not store.exists():
        return
    if not store.is_dir():
        raise FormatError(f"{store} exists and is no directory: choose another path")
    if (store / DOCUMENT).exists():
        open_layout(store)
        return
    names = {path.name for path in store.iterdir()}
    is_ours = not names or names == {WORK_DIRECTORY} or (store / WORK_DIRECTORY / _LOCK).exists()
    if not is_ours:
        raise FormatError(f"{store} exists and is no arraystore: choose another path")


def _check_same(store: Path, job: Job) -> None:
    if open_layout(store).spec.source.get("fingerprint") != job.to_json()["fingerprint"]:
        raise InvalidRequestError(
            f"{store} is a finished store, made from other sources or with other options: "
            "choose another path, or replace it with --overwrite",
            "store-exists",
        )


def _check_unchanged(store: Path, job: Job) -> None:
    begun, asked = json.loads((store / WORK_DIRECTORY / _PLAN).read_bytes()), job.to_json()
    if begun["fingerprint"] == asked["fingerprint"]:
        return
    advice = "restore them and run the same command again, or begin anew with --overwrite"
    if begun["options"] != asked["options"]:
        raise SourceChangedError(
            f"{store} was begun with options {begun['options']}, now asked for are {asked['options']}: {advice}"
        )
    raise SourceChangedError(
        f"{store} was begun from {', '.join(begun['paths'])}; the sources asked for now, {', '.join(asked['paths'])}, "
        f"are other ones or have changed since: {advice}"
    )


def _begin(store: Path, job: Job) -> None:
    write_durably(store / WORK_DIRECTORY / _PLAN, json.dumps(job.to_json(), indent=1).encode())


def _clear(store: Path) -> None:
    # Without its root document and its plan first, so that a removal that is cut short is taken up again.
    for path in (store / DOCUMENT, store / WORK_DIRECTORY / _PLAN):
        path.unlink(missing_ok=True)
    for path in [*store.iterdir(), *(store / WORK_DIRECTORY).iterdir()]:
        if path.name not in (WORK_DIRECTORY, _LOCK):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def remove_workdir(store: Path) -> None:
    """Remove the work directory of a finished store, if it still stands there."""
    if (store / WORK_DIRECTORY).exists():
        shutil.rmtree(store / WORK_DIRECTORY)


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    descriptor = os.open(store / WORK_DIRECTORY / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SourceError(f"{store}: another ingest into this store is running", "locked") from None
        yield
    finally:
        os.close(descriptor)
