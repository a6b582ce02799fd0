"""The place of an unfinished store: who may have it, what is kept of it, and what is left behind."""

import os
import signal
import subprocess
import sys

import pytest

import arraystore
from arraystore import _core
from arraystore.errors import InvalidRequestError, SourceChangedError, SourceError
from arraystore.format.zarr_writer import ZarrWriter
from arraystore.ingestion import package as package_module
from arraystore.ingestion import run as run_module
from arraystore.ingestion import workdir
from arraystore.testing import make_bioscan5m

OPTIONS = {"shard_nbytes": 65_536}


class StoppedError(Exception):
    """Not an error of ours, so that nothing can handle it."""


def fail(*_, **__):
    raise StoppedError


def stop_at(monkeypatch, module, step, *arguments, **options):
    with monkeypatch.context() as patch:
        patch.setattr(module, step, fail)
        with pytest.raises(StoppedError):
            arraystore.ingest(*arguments, **options)


def before_lock(monkeypatch, module, name, work):
    """Do some work of another process right before the first of these calls for the lock."""
    original = getattr(module, name)

    def patched(first, *others):
        if isinstance(first, int) or str(first).endswith(".ingest/lock"):
            monkeypatch.setattr(module, name, original)
            work()
        return original(first, *others)

    monkeypatch.setattr(module, name, patched)


@pytest.fixture
def small(tmp_path):
    return make_bioscan5m(tmp_path / "package", n=12, distinct=3)


@pytest.mark.parametrize(("module", "name"), [(os, "open"), (workdir.fcntl, "flock")])
def test_store_that_is_finished_while_the_lock_is_taken_is_complete(package, tmp_path, monkeypatch, module, name):
    path, inodes = tmp_path / "s.zarr", {}

    def another():
        assert arraystore.ingest(package.sources(), path, **OPTIONS).state == "new"
        inodes.update({file: file.stat().st_ino for file in path.rglob("*")})

    before_lock(monkeypatch, module, name, another)
    assert arraystore.ingest(package.sources(), path, **OPTIONS).state == "complete"
    assert {file: file.stat().st_ino for file in path.rglob("*")} == inodes
    assert arraystore.verify(path).ok


@pytest.mark.parametrize(("module", "name"), [(os, "open"), (workdir.fcntl, "flock")])
def test_other_store_that_is_finished_while_the_lock_is_taken_is_kept(package, tmp_path, monkeypatch, module, name):
    path = tmp_path / "s.zarr"
    before_lock(monkeypatch, module, name, lambda: arraystore.ingest(package.sources(), path, rows="images"))
    with pytest.raises(InvalidRequestError, match="--overwrite"):
        arraystore.ingest(package.sources(), path)
    assert len(arraystore.open(path)) == 45
    assert arraystore.verify(path).ok


def test_lock_that_was_removed_while_it_was_taken_is_none(package, tmp_path, monkeypatch):
    path, build = tmp_path / "s.zarr", package_module.build_columns
    # Another ingest fails, and leaves nothing: not the lock either that we have opened.
    before_lock(
        monkeypatch,
        workdir.fcntl,
        "flock",
        lambda: stop_at(monkeypatch, package_module, "make_plan", package.sources(), path),
    )

    def with_a_third(*arguments, **options):
        monkeypatch.setattr(package_module, "build_columns", build)
        with pytest.raises(SourceError, match="another process is writing this store"):
            arraystore.ingest(package.sources(), path)
        return build(*arguments, **options)

    monkeypatch.setattr(package_module, "build_columns", with_a_third)
    assert arraystore.ingest(package.sources(), path).state == "new"
    assert package_module.build_columns is build
    assert arraystore.verify(path).ok


def test_work_directory_of_a_finished_store_stays_while_somebody_is_at_it(package, tmp_path, monkeypatch):
    path = tmp_path / "s.zarr"
    stop_at(monkeypatch, run_module, "remove_workdir", package.sources(), path)
    with workdir._locked(ZarrWriter(path)):
        assert arraystore.ingest(package.sources(), path).state == "complete"
        assert (path / ".ingest/lock").exists()
    assert arraystore.ingest(package.sources(), path).state == "complete"
    assert not (path / ".ingest").exists()


def test_removal_gives_way_to_a_lock_that_was_made_meanwhile(package, tmp_path, monkeypatch):
    path = tmp_path / "s.zarr"
    original = workdir.Path.rmdir

    def another(self):
        (path / ".ingest/lock").touch()
        original(self)

    monkeypatch.setattr(workdir.Path, "rmdir", another)
    assert arraystore.ingest(package.sources(), path).state == "new"
    assert arraystore.verify(path).ok


def test_interrupted_overwrite_goes_on_and_keeps_what_is_packed(package, store, tmp_path, monkeypatch):
    path, results, pack = tmp_path / "s.zarr", [], _core.pack
    arraystore.ingest(package.sources(), path, rows="images")
    stop_at(monkeypatch, ZarrWriter, "commit", package.sources(), path, overwrite=True, **OPTIONS)
    monkeypatch.setattr(_core, "pack", lambda *a, **k: results.append(pack(*a, **k)) or results[-1])
    report = arraystore.ingest(package.sources(), path, overwrite=True, **OPTIONS)
    assert (report.state, report.records) == ("resumed", 48)
    assert [result.shards_written for result in results] == [0, 0, 0]
    assert results[0].shards_kept > 1
    assert arraystore.ingest(package.sources(), path, overwrite=True, **OPTIONS).state == "new"


def test_overwrite_begins_anew_where_another_job_was_interrupted(package, tmp_path, monkeypatch):
    path = tmp_path / "s.zarr"
    stop_at(monkeypatch, ZarrWriter, "commit", package.sources(), path, rows="images")
    report = arraystore.ingest(package.sources(), path, overwrite=True)
    assert (report.state, report.records) == ("new", 48)
    assert arraystore.verify(path).ok


def test_error_before_anything_is_packed_leaves_nothing(small, tmp_path):
    path = tmp_path / "s.zarr"
    small.metadata.write_text("processid,coord-lat\nA-1,north\n")
    with pytest.raises(SourceError, match="north"):
        arraystore.ingest(small.sources(), path)
    assert not path.exists()
    small.metadata.write_text(f"processid,coord-lat\n{small.keys[0]},90\n")
    assert arraystore.ingest(small.sources(), path).state == "new"


def test_directory_that_was_there_is_left_empty(small, tmp_path):
    path = tmp_path / "s.zarr"
    path.mkdir()
    small.metadata.write_text("processid\nA-1\nA-1\n")
    with pytest.raises(SourceError):
        arraystore.ingest(small.sources(), path)
    assert list(path.iterdir()) == []


KILLED = """
import os, signal, sys
import arraystore
from arraystore import _core
_core.pack = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
arraystore.ingest(sys.argv[1:-1], sys.argv[-1])
"""


def test_other_job_begins_anew_while_nothing_is_packed(small, tmp_path):
    path = tmp_path / "s.zarr"
    arguments = [sys.executable, "-c", KILLED, *map(str, small.sources()), str(path)]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    small.metadata.write_text(f"processid\n{small.keys[0]}\n")
    assert arraystore.ingest(small.sources(), path).state == "new"
    assert arraystore.verify(path).ok


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("table", "begun otherwise: the metadata table has changed since, or is another one. Restore"),
        ("no table", "begun otherwise: it had a metadata table. Restore"),
        ("images", "begun otherwise: the images of cropped_256 have changed since. Restore"),
        ("options", "begun otherwise: its rows was 'all', now 'images' is asked for. Restore"),
    ],
)
def test_message_names_what_differs_once_something_is_packed(small, tmp_path, monkeypatch, change, message):
    path, options = tmp_path / "s.zarr", {}
    stop_at(monkeypatch, ZarrWriter, "commit", small.sources(), path)
    if change == "table":
        small.metadata.write_text(small.metadata.read_text() + "\n")
    elif change == "no table":
        small.metadata.unlink()
    elif change == "images":
        image = next(small.images["cropped_256"].rglob("*.jpg"))
        image.write_bytes(image.read_bytes() + b"\0")
    else:
        options = {"rows": "images"}
    with pytest.raises(SourceChangedError, match=message):
        arraystore.ingest(small.sources(), path, **options)


def test_files_that_are_no_images_change_nothing(small, tmp_path, monkeypatch):
    path = tmp_path / "s.zarr"
    stop_at(monkeypatch, ZarrWriter, "commit", small.sources(), path)
    (small.images["cropped_256"] / "readme.txt").write_text("added")
    assert arraystore.ingest(small.sources(), path).state == "resumed"
    (small.images["cropped_256"] / ".DS_Store").write_bytes(b"touched")
    assert arraystore.ingest(small.sources(), path).state == "complete"
