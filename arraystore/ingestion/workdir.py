"""The work directory of an unfinished store: what is being ingested, and who is at it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from arraystore.errors import InvalidRequestError, SourceChangedError, SourceError
from arraystore.format.base import LOCK
from arraystore.format.containers import open_layout
from arraystore.format.durable import write_durably
from arraystore.format.seek import seek_path
from arraystore.format.spec import FORMAT_VERSION
from arraystore.format.writer import GrowingStore, StoreWriter
from arraystore.ingestion.content import Content

_PLAN = "plan.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)

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
def work_on(writer: StoreWriter, job: Job, *, overwrite: bool) -> Iterator[State]:
    """Make the place of a store ready for a job, say what is there, and keep others away meanwhile.

    If the work fails before it has packed anything, nothing of it is left behind.

    Parameters
    ----------
    writer : StoreWriter
        What makes the store.
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
        If an unfinished store stands there, of another job, some of it packed.
    InvalidRequestError
        If a finished store of another job stands there.
    FormatError
        If something stands there that is no store.
    SourceError
        If another process is at it.
    """
    writer.check_place()
    if writer.is_finished() and not overwrite:
        _check_same(writer, job)
        if writer.work_directory.exists():
            # It stays if somebody is at it, or the place is read-only; it does no harm.
            with suppress(SourceError, OSError), _locked(writer):
                remove_workdir(writer)
        yield "complete"
        return
    is_ours = not writer.path.exists()
    with _locked(writer):
        try:
            yield _prepare(writer, job, overwrite=overwrite)
        except BaseException as error:
            with suppress(OSError):
                _leave_nothing(writer, with_directory=is_ours)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise _disk_is_full(error, writer.path) from error
            raise


@contextmanager
def grow(growing: GrowingStore, job: Job) -> Iterator[State]:
    """Make a finished store ready to be added to, and keep others from adding to it meanwhile.

    An append that was interrupted goes on if it is the same; else what it has left is removed, as it is if the work
    fails before it has packed anything. What the store holds is never touched.

    Parameters
    ----------
    growing : GrowingStore
        The store.
    job : Job
        What is to be added.

    Yields
    ------
    {"new", "resumed"}

    Raises
    ------
    SourceError
        If another process is adding to it, or has just done so.
    """
    with _locked(growing):
        if growing.is_finished():
            raise SourceError(f"{growing.path}: another append has just been finished; run this one again", "locked")
        asked = job.to_json() | {"generation": growing.base.spec.generation + 1}
        state: State = "resumed" if _read_plan(growing) == asked else "new"
        if state == "new":
            _clear(growing)
            write_durably(growing.work_directory / _PLAN, json.dumps(asked, indent=1).encode())
        try:
            yield state
        except BaseException as error:
            with suppress(OSError):
                _leave_nothing(growing, with_directory=False)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise _disk_is_full(error, growing.path) from error
            raise


def tidy_up(growing: GrowingStore) -> None:
    """Remove what an append has left that was killed after it had committed; if somebody is at the store, it stays."""
    if growing.work_directory.exists():
        with suppress(SourceError, OSError), _locked(growing):
            growing.remove_older()
            remove_workdir(growing)


def _disk_is_full(error: OSError, store: Path) -> OSError:
    words = f"{os.strerror(error.errno or 0)}: free some space and run the same command again, what is packed is kept"
    # zarr-python names no file.
    return OSError(error.errno, words, error.filename or str(store))


def _prepare(writer: StoreWriter, job: Job, *, overwrite: bool) -> State:
    """Decide, under the lock: what was seen before it was taken may have changed."""
    if writer.is_finished() and not overwrite:
        remove_workdir(writer)
        _check_same(writer, job)
        return "complete"
    begun, asked = _read_plan(writer), job.to_json()
    if begun is not None and not writer.is_finished():
        if begun["fingerprint"] == asked["fingerprint"]:
            return "resumed"
        if _has_packed(writer) and not overwrite:
            raise SourceChangedError(
                f"{writer.path} is unfinished, and was begun otherwise: {'; '.join(_differences(begun, asked))}. "
                "Restore that and run the same command again, or begin anew with --overwrite"
            )
    if writer.is_finished():
        # To be replaced, once it is certain that there is something to replace it with.
        _clear_workdir(writer)
    else:
        _clear(writer)
    write_durably(writer.work_directory / _PLAN, json.dumps(asked, indent=1).encode())
    return "new"


def begin_packing(writer: StoreWriter, content: Content) -> None:
    """Remove the finished store that is to be replaced; called when sources and table have been read and agree.

    So are seek tables that stand there, be it of that store or of one that is gone: once the new one is finished, they
    would be taken for its own. Those of what is packed already are put together anew.

    Parameters
    ----------
    writer : StoreWriter
        What makes the store.
    content : Content
        What it is to hold.
    """
    for each in content.fields:
        seek_path(writer.path, each.spec.name).unlink(missing_ok=True)
    if not writer.is_finished():
        return
    plan = writer.work_directory / _PLAN
    asked = plan.read_bytes()
    # Without a plan, a removal that is cut short is taken up again.
    plan.unlink()
    writer.clear()
    write_durably(plan, asked)


def _has_packed(writer: StoreWriter) -> bool:
    """Tell whether any shard is finished: its journal is written before it gets its name."""
    # Named by the number of the shard; what lies beside them is of shards that may not be finished.
    return any(each.name.isdigit() for each in writer.work_directory.glob("*.journal/*"))


def _check_same(writer: StoreWriter, job: Job) -> None:
    if open_layout(writer.path).spec.source.get("fingerprint") != job.to_json()["fingerprint"]:
        raise InvalidRequestError(
            f"{writer.path} is a finished store, made from other sources or with other options: "
            "choose another path, or replace it with --overwrite",
            "store-exists",
        )


def _read_plan(writer: StoreWriter) -> dict[str, Any] | None:
    try:
        plan: dict[str, Any] = json.loads((writer.work_directory / _PLAN).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return plan


def _differences(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Say what differs between two jobs, as `Job.to_json` gives them."""
    found = []
    if begun["members"] != asked["members"]:
        then, now = ", ".join(begun["paths"]), ", ".join(asked["paths"])
        found.append(f"the images of {now} have changed since" if then == now else f"its images were those of {then}")
    if begun["metadata"] != asked["metadata"]:
        given = [job["metadata"] is not None for job in (begun, asked)]
        found.append(
            "the metadata table has changed since, or is another one"
            if all(given)
            else f"it had {'a' if given[0] else 'no'} metadata table"
        )
    for option, now in asked["options"].items():
        if (then := begun["options"].get(option)) != now:
            found.append(f"its {option} was {then!r}, now {now!r} is asked for")
    return found or ["by another version of arraystore"]


def _clear(writer: StoreWriter) -> None:
    # As above.
    (writer.work_directory / _PLAN).unlink(missing_ok=True)
    writer.clear()
    _clear_workdir(writer)


def _clear_workdir(writer: StoreWriter) -> None:
    (writer.work_directory / _PLAN).unlink(missing_ok=True)
    _remove_all(path for path in writer.work_directory.iterdir() if path.name != LOCK)


def _leave_nothing(writer: StoreWriter, *, with_directory: bool) -> None:
    """Remove what a failed work has left, if nothing of it is worth to be taken up again."""
    if writer.is_finished():
        remove_workdir(writer)
        return
    if _has_packed(writer):
        return
    _clear(writer)
    remove_workdir(writer)
    # A store that is a file was never there; it gets its name when it is finished.
    if with_directory and writer.path.is_dir():
        writer.path.rmdir()


def remove_workdir(writer: StoreWriter) -> None:
    """Remove the work directory of a finished store, if it still stands there; the caller has locked it."""
    directory = writer.work_directory
    if not directory.exists():
        return
    # The lock last: who waits for it finds that it is gone, and looks at the store again.
    _remove_all(path for path in directory.iterdir() if path.name != LOCK)
    (directory / LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        # Another process may have made its lock there already: then the directory is its own.
        directory.rmdir()


def _remove_all(paths: Iterable[Path]) -> None:
    for path in list(paths):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@contextmanager
def _locked(writer: StoreWriter) -> Iterator[None]:
    descriptor = None
    while descriptor is None:
        descriptor = _take_lock(writer)
    try:
        yield
    finally:
        os.close(descriptor)


def _take_lock(writer: StoreWriter) -> int | None:
    """Lock the work directory, made if need be; return None if it was removed by its owner meanwhile."""
    path = writer.work_directory / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except FileNotFoundError:
        pass
    except BlockingIOError:
        os.close(descriptor)
        raise SourceError(f"{writer.path}: another process is writing this store", "locked") from None
    os.close(descriptor)
    return None
