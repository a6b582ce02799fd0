"""An ingest that is interrupted anywhere is finished by the same command, to the same bytes."""

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import arraystore
from arraystore import _core
from arraystore.errors import SourceChangedError, SourceError, UnfinishedStoreError
from arraystore.format.zarr_writer import ZarrWriter
from arraystore.ingestion import package as package_module
from arraystore.ingestion import run as run_module
from arraystore.ingestion import workdir
from arraystore.testing import make_bioscan5m

OPTIONS = {"shard_nbytes": 65_536}


def files_of(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


class StoppedError(Exception):
    """Not an error of ours, so that nothing can handle it."""


def fail(*_, **__):
    raise StoppedError


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (_core, "read_table"),
        (_core, "pack"),
        (_core, "write_sharded"),
        (run_module, "write_troubles"),
        (package_module, "build_columns"),
        (ZarrWriter, "begin"),
        (_core, "file_crc32c"),
        (ZarrWriter, "commit"),
        (run_module, "remove_workdir"),
    ],
)
def test_ingest_that_fails_in_any_step_is_finished_by_the_same_call(
    package, store, tmp_path, monkeypatch, module, step
):
    path = tmp_path / "s.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(module, step, fail)
        with pytest.raises(StoppedError):
            arraystore.ingest(package.sources(), path, **OPTIONS)
    if step in ("read_table", "build_columns", "begin", "pack"):
        assert not path.exists()
    elif step == "remove_workdir":
        assert len(arraystore.open(path)) == 48
    else:
        with pytest.raises(UnfinishedStoreError, match="run the same ingest command again"):
            arraystore.open(path)
    arraystore.ingest(package.sources(), path, **OPTIONS)
    assert files_of(path) == files_of(store)


def test_root_that_was_never_renamed_is_no_part_of_the_store(package, store, tmp_path, monkeypatch):
    path, replace = tmp_path / "s.zarr", Path.replace
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda self, to: fail() if self.name == "zarr.json.tmp" else replace(self, to))
        with pytest.raises(StoppedError):
            arraystore.ingest(package.sources(), path, **OPTIONS)
    assert (path / "zarr.json.tmp").exists()
    arraystore.ingest(package.sources(), path, **OPTIONS)
    assert files_of(path) == files_of(store)
    assert arraystore.verify(path).ok


@pytest.mark.parametrize("last_call", [1, 2, 3])
def test_fields_that_are_packed_are_not_packed_again(package, store, tmp_path, monkeypatch, last_call):
    path, pack, results = tmp_path / "s.zarr", _core.pack, []

    def interrupted(*arguments, **options):
        if len(results) == last_call:
            raise StoppedError
        results.append(pack(*arguments, **options))
        return results[-1]

    with monkeypatch.context() as patch:
        patch.setattr(_core, "pack", interrupted)
        if last_call < 3:
            with pytest.raises(StoppedError):
                arraystore.ingest(package.sources(), path, **OPTIONS)
        else:
            patch.setattr(ZarrWriter, "commit", fail)
            with pytest.raises(StoppedError):
                arraystore.ingest(package.sources(), path, **OPTIONS)
    written = {file: file.stat().st_mtime_ns for file in path.glob("*/data/c/*")}
    before, results, last_call = results, [], 9
    monkeypatch.setattr(_core, "pack", interrupted)
    arraystore.ingest(package.sources(), path, **OPTIONS)
    for one, other in zip(before, results, strict=False):
        assert (other.shards_written, other.shards_kept) == (0, one.shards_written)
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert files_of(path) == files_of(store)


def test_exception_of_the_progress_stops_and_keeps_what_is_done(package, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "make_progress", lambda _: Stopping())
    with pytest.raises(KeyboardInterrupt):
        arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    monkeypatch.undo()
    assert arraystore.ingest(package.sources(), tmp_path / "s.zarr").state == "resumed"


class Stopping:
    """Ctrl-C, at the first sign of life of the images."""

    def phase(self, label, *, total=None, unit="images"):
        from contextlib import nullcontext

        def advance(records, nbytes):
            if label == "images":
                raise KeyboardInterrupt

        return nullcontext(advance)


def command(package, path):
    code = "import sys, arraystore; arraystore.ingest(sys.argv[1:-1], sys.argv[-1], shard_nbytes=65536)"
    return [sys.executable, "-c", code, *map(str, package.sources()), str(path)]


KILLED = """
import os, signal, sys
import arraystore.ingestion.run as run
from arraystore import _core
from arraystore.format import zarr_writer
places = {"core": _core, "writer": zarr_writer.ZarrWriter, "files": zarr_writer}
place, step, calls = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
original = getattr(places[place], step)
def killed(*arguments, **options):
    global calls
    calls -= 1
    if calls < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **options)
setattr(places[place], step, killed)
run.ingest(sys.argv[1:-1], sys.argv[-1], shard_nbytes=65536)
"""


@pytest.mark.parametrize(
    ("place", "step", "calls"),
    [("core", "pack", 1), ("core", "write_sharded", 4), ("writer", "commit", 0), ("files", "write_durably", 0)],
)
def test_ingest_that_is_killed_is_finished_by_the_same_command(package, store, tmp_path, place, step, calls):
    path = tmp_path / "s.zarr"
    arguments = [sys.executable, "-c", KILLED, place, step, str(calls), *map(str, package.sources()), str(path)]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    with pytest.raises(UnfinishedStoreError):
        arraystore.open(path)
    assert arraystore.ingest(package.sources(), path, **OPTIONS).state == "resumed"
    assert files_of(path) == files_of(store)


@pytest.mark.slow
def test_ingest_that_is_killed_again_and_again_is_finished(package, store, tmp_path):
    path = tmp_path / "s.zarr"
    patience = random.Random(5)
    limit_s = 0.25
    for _ in range(60):
        process = subprocess.Popen(command(package, path), stderr=subprocess.PIPE)
        try:
            _, error = process.communicate(timeout=limit_s + patience.random() * 0.1)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            limit_s *= 1.1
        else:
            assert process.returncode == 0, error.decode()
            break
    assert files_of(path) == files_of(store)
    assert arraystore.verify(path).ok


def test_changed_source_is_noticed_and_refused(tmp_path, monkeypatch):
    package = make_bioscan5m(tmp_path, n=12, distinct=3)
    with monkeypatch.context() as patch:
        patch.setattr(ZarrWriter, "commit", fail)
        with pytest.raises(StoppedError):
            arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    image = next(package.images["cropped_256"].rglob("*.jpg"))
    image.write_bytes(image.read_bytes() + b"\0")
    with pytest.raises(SourceChangedError, match="the images of cropped_256 have changed since.*--overwrite"):
        arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    assert arraystore.ingest(package.sources(), tmp_path / "s.zarr", overwrite=True).images == 12


def test_other_options_are_noticed_and_refused(package, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ZarrWriter, "commit", fail)
        with pytest.raises(StoppedError):
            arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    with pytest.raises(SourceChangedError, match="its rows was 'all', now 'images' is asked for.*--overwrite"):
        arraystore.ingest(package.sources(), tmp_path / "s.zarr", rows="images")


def test_second_ingest_into_the_same_store_is_refused(package, tmp_path):
    path = tmp_path / "s.zarr"
    job = workdir.Job(("a",), 1, None, {})
    with workdir.work_on(ZarrWriter(path), job, overwrite=False) as state:
        assert state == "new"
        with pytest.raises(SourceError, match="another process"):
            arraystore.ingest(package.sources(), path, overwrite=True)


def test_removal_that_is_cut_short_is_taken_up_again(package, tmp_path, monkeypatch):
    path = tmp_path / "s.zarr"
    arraystore.ingest(package.sources(), path)
    with monkeypatch.context() as patch:
        patch.setattr(workdir.shutil, "rmtree", fail)
        with pytest.raises(StoppedError):
            arraystore.ingest(package.sources(), path, rows="images", overwrite=True)
    with pytest.raises(UnfinishedStoreError):
        arraystore.open(path)
    assert arraystore.ingest(package.sources(), path, rows="images").records == 45
    assert arraystore.verify(path).ok


def test_full_disk_is_an_error_and_the_rest_follows(package, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "x")

    with monkeypatch.context() as patch:
        patch.setattr(_core, "write_sharded", full)
        with pytest.raises(OSError, match="No space left"):
            arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    report = arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    assert (report.state, report.images) == ("resumed", 45)


LIMITED = """
import resource, signal, sys
import arraystore
# Without this signal, a file that grows too large is an error of the call that writes it.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    arraystore.ingest(sys.argv[1:-1], sys.argv[-1], shard_nbytes=131_072)
except OSError as error:
    print(error.errno, error.filename)
"""


def test_disk_that_refuses_a_shard_is_an_error_and_the_rest_follows(package, tmp_path):
    path = tmp_path / "s.zarr"
    command = [sys.executable, "-c", LIMITED, *map(str, package.sources()), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    number, name = done.stdout.split()
    assert int(number) == errno.EFBIG
    assert Path(name).parent == path / "image/data/c"
    assert not list(path.rglob("*.partial"))
    assert arraystore.ingest(package.sources(), path, shard_nbytes=131_072).images == 45
    assert arraystore.verify(path).ok


def test_store_that_is_to_be_replaced_stays_until_there_is_something_to_replace_it_with(package, tmp_path):
    path, table = tmp_path / "s.zarr", tmp_path / "table.csv"
    table.write_bytes(package.metadata.read_bytes())
    arraystore.ingest(package.sources(), path, metadata=table, progress=False)
    table.write_text(table.read_text() + "one,cell,too,few\n")
    with pytest.raises(arraystore.errors.SourceError, match="table.csv"):
        arraystore.ingest(package.sources(), path, metadata=table, overwrite=True, progress=False)
    assert not arraystore.verify(path, progress=False).problems
    assert not (path / ".ingest").exists()
