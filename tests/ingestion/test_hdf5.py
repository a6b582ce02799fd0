"""An ingest into one HDF5 file: whole or not there, finished by the same command wherever it was interrupted."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys

import h5py
import pytest

import arraystore
from arraystore import _core
from arraystore.errors import FormatError, InvalidRequestError, SourceChangedError, SourceError, UnfinishedStoreError
from arraystore.format import hdf5_plan, hdf5_writer
from arraystore.format.hdf5_writer import Hdf5Writer
from arraystore.ingestion import package as package_module
from arraystore.ingestion import run as run_module
from arraystore.ingestion import workdir

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


@pytest.fixture(scope="module")
def whole(package, tmp_path_factory):
    """The bytes of a store that was made without interruption."""
    path = tmp_path_factory.mktemp("whole") / "s.h5"
    report = arraystore.ingest(package.sources(), path, **OPTIONS)
    assert (report.state, report.records, report.images) == ("new", 48, 45)
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "s.h5",
        "s.h5.image.seek",
        "s.h5.troubles.csv",
    ]
    return path.read_bytes()


@pytest.mark.parametrize(
    ("module", "step", "is_begun"),
    [
        (_core, "read_table", False),
        (package_module, "build_columns", False),
        (hdf5_plan, "write_columns", False),
        (hdf5_writer, "lay_out", False),
        (hdf5_writer, "write_plan", False),
        (_core, "pack", False),
        (Hdf5Writer, "write_index", True),
        (run_module, "write_troubles", True),
        (hdf5_writer, "spec_text", True),
        (hdf5_writer, "open_hdf5", True),
    ],
)
def test_ingest_that_fails_in_any_step_is_finished_by_the_same_call(
    package, whole, tmp_path, monkeypatch, module, step, is_begun
):
    path = tmp_path / "s.h5"
    stop_at(monkeypatch, module, step, package.sources(), path, **OPTIONS)
    assert not path.exists()
    if is_begun:
        with pytest.raises(UnfinishedStoreError, match="run the same ingest command again"):
            arraystore.open(path)
    else:
        assert list(tmp_path.iterdir()) == []
    report = arraystore.ingest(package.sources(), path, **OPTIONS)
    assert report.state == ("resumed" if is_begun else "new")
    assert path.read_bytes() == whole
    assert arraystore.verify(path).ok
    assert not (tmp_path / "s.h5.ingest").exists()


def test_work_directory_that_is_left_beside_a_finished_store_is_removed(package, whole, tmp_path, monkeypatch):
    path = tmp_path / "s.h5"
    stop_at(monkeypatch, run_module, "remove_workdir", package.sources(), path, **OPTIONS)
    assert path.read_bytes() == whole
    assert len(arraystore.open(path)) == 48
    assert arraystore.ingest(package.sources(), path, **OPTIONS).state == "complete"
    assert not (tmp_path / "s.h5.ingest").exists()


@pytest.mark.parametrize("last_call", [1, 2, 3])
def test_fields_that_are_packed_are_not_packed_again(package, whole, tmp_path, monkeypatch, last_call):
    path, pack, results = tmp_path / "s.h5", _core.pack, []

    def interrupted(*arguments, **options):
        if len(results) == last_call:
            raise StoppedError
        results.append(pack(*arguments, **options))
        return results[-1]

    with monkeypatch.context() as patch:
        patch.setattr(_core, "pack", interrupted)
        if last_call == 3:
            patch.setattr(Hdf5Writer, "commit", fail)
        with pytest.raises(StoppedError):
            arraystore.ingest(package.sources(), path, **OPTIONS)
    before, results, last_call = results, [], 9
    monkeypatch.setattr(_core, "pack", interrupted)
    monkeypatch.setattr(hdf5_writer, "lay_out", fail)
    arraystore.ingest(package.sources(), path, **OPTIONS)
    for one, other in zip(before, results, strict=False):
        assert (other.shards_written, other.shards_kept) == (0, one.shards_written)
    assert before[0].shards_written > 2
    assert path.read_bytes() == whole


KILLED = """
import os, signal, sys
import arraystore.ingestion.run as run
from arraystore import _core
from arraystore.format import hdf5_plan, hdf5_writer
places = {"core": _core, "writer": hdf5_writer.Hdf5Writer, "files": hdf5_writer, "plan": hdf5_plan, "run": run}
places["path"] = hdf5_writer.Path
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
    [
        ("plan", "write_columns", 0),
        ("files", "write_plan", 0),
        ("core", "pack", 1),
        ("writer", "_write", 4),
        ("files", "spec_text", 0),
        ("files", "sync_all", 1),
        ("files", "open_hdf5", 0),
        ("run", "remove_workdir", 0),
    ],
)
def test_ingest_that_is_killed_is_finished_by_the_same_command(package, whole, tmp_path, place, step, calls):
    path = tmp_path / "s.h5"
    arguments = [sys.executable, "-c", KILLED, place, step, str(calls), *map(str, package.sources()), str(path)]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    if step != "remove_workdir":
        with pytest.raises(UnfinishedStoreError):
            arraystore.open(path)
    state = "complete" if step == "remove_workdir" else "resumed"
    assert arraystore.ingest(package.sources(), path, **OPTIONS).state == state
    assert path.read_bytes() == whole
    assert not (tmp_path / "s.h5.ingest").exists()


@pytest.mark.slow
def test_ingest_that_is_killed_again_and_again_is_finished(package, whole, tmp_path):
    path = tmp_path / "s.h5"
    code = "import sys, arraystore; arraystore.ingest(sys.argv[1:-1], sys.argv[-1], shard_nbytes=65536)"
    patience, limit_s = random.Random(5), 0.2
    for _ in range(60):
        process = subprocess.Popen([sys.executable, "-c", code, *map(str, package.sources()), str(path)])
        try:
            assert process.wait(limit_s + patience.random() * 0.1) == 0
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            limit_s *= 1.05
        else:
            break
    assert path.read_bytes() == whole
    assert arraystore.verify(path).ok


LIMITED = """
import resource, signal, sys
import arraystore
# Without this signal, a file that grows too large is an error of the call that writes it.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
try:
    arraystore.ingest(sys.argv[1:-1], sys.argv[-1], shard_nbytes=65536)
except OSError as error:
    print(error.errno, error.filename)
"""


@pytest.mark.parametrize("limit", [100_000, 300_000, 480_000])
def test_disk_that_refuses_the_file_leaves_nothing(package, whole, tmp_path, limit):
    """HDF5 itself crashes when it closes a file that it could not write."""
    path = tmp_path / "s.h5"
    assert limit < len(whole)
    command = [sys.executable, "-c", LIMITED, str(limit), *map(str, package.sources()), str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(errno.EFBIG), str(tmp_path / "s.h5.ingest/partial.h5")]
    assert list(tmp_path.iterdir()) == []


def test_disk_that_is_full_while_packing_is_an_error_and_the_rest_follows(package, whole, tmp_path, monkeypatch):
    path, pack, calls = tmp_path / "s.h5", _core.pack, []

    def full(*arguments, **options):
        calls.append(options)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", options["file"])
        return pack(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(_core, "pack", full)
        with pytest.raises(OSError, match="free some space and run the same command again"):
            arraystore.ingest(package.sources(), path, **OPTIONS)
    assert arraystore.ingest(package.sources(), path, **OPTIONS).state == "resumed"
    assert path.read_bytes() == whole


# ---- what stands there already ----


def test_finished_store_is_complete_and_another_is_kept(package, whole, tmp_path):
    path = tmp_path / "s.h5"
    path.write_bytes(whole)
    assert arraystore.ingest(package.sources(), path, **OPTIONS).state == "complete"
    with pytest.raises(InvalidRequestError, match="--overwrite"):
        arraystore.ingest(package.sources(), path, rows="images")
    assert path.read_bytes() == whole
    assert not (tmp_path / "s.h5.ingest").exists()
    assert arraystore.ingest(package.sources(), path, rows="images", overwrite=True).records == 45
    assert arraystore.ingest(package.sources(), path, overwrite=True, **OPTIONS).state == "new"
    assert path.read_bytes() == whole


def test_store_that_is_to_be_replaced_stays_until_sources_and_table_are_read(package, whole, tmp_path, monkeypatch):
    path = tmp_path / "s.h5"
    path.write_bytes(whole)
    stop_at(monkeypatch, package_module, "make_plan", package.sources(), path, rows="images", overwrite=True)
    assert path.read_bytes() == whole
    assert [each.name for each in tmp_path.iterdir()] == ["s.h5"]


def test_other_options_are_noticed_and_refused(package, tmp_path, monkeypatch):
    path = tmp_path / "s.h5"
    stop_at(monkeypatch, Hdf5Writer, "commit", package.sources(), path)
    with pytest.raises(SourceChangedError, match="its rows was 'all', now 'images' is asked for.*--overwrite"):
        arraystore.ingest(package.sources(), path, rows="images")
    assert arraystore.ingest(package.sources(), path, rows="images", overwrite=True).records == 45


def test_partial_file_that_was_moved_is_made_anew(package, whole, tmp_path, monkeypatch):
    path, partial = tmp_path / "s.h5", tmp_path / "s.h5.ingest/partial.h5"
    stop_at(monkeypatch, Hdf5Writer, "commit", package.sources(), path, **OPTIONS)
    shutil.copyfile(partial, tmp_path / "copy")
    # Another file of the same name and length, with a hole where the journals say that there are images.
    partial.rename(tmp_path / "original")
    partial.touch()
    os.truncate(partial, (tmp_path / "copy").stat().st_size)
    assert arraystore.ingest(package.sources(), path, **OPTIONS).state == "resumed"
    assert path.read_bytes() == whole


def test_what_is_no_store_is_left_alone(package, tmp_path):
    foreign, folder, text = tmp_path / "foreign.h5", tmp_path / "folder.h5", tmp_path / "text.h5"
    with h5py.File(foreign, "w") as file:
        file["x"] = 1
    folder.mkdir()
    text.write_text("important")
    (tmp_path / "dangling.h5").symlink_to(tmp_path / "nowhere")
    taken = tmp_path / "taken.h5.ingest"
    taken.mkdir()
    (taken / "important").touch()
    before = foreign.read_bytes()
    for name in ("foreign.h5", "folder.h5", "text.h5", "dangling.h5", "taken.h5"):
        for overwrite in (False, True):
            with pytest.raises(FormatError):
                arraystore.ingest(package.sources(), tmp_path / name, overwrite=overwrite)
    assert foreign.read_bytes() == before
    assert text.read_text() == "important"
    assert (taken / "important").exists()


def test_second_ingest_into_the_same_file_is_refused(package, tmp_path):
    path = tmp_path / "s.h5"
    with workdir.work_on(Hdf5Writer(path), workdir.Job(("a",), 1, None, {}), overwrite=False) as state:
        assert state == "new"
        with pytest.raises(SourceError, match="another process is writing"):
            arraystore.ingest(package.sources(), path, overwrite=True)
