"""Benchmarks run once with little to do, so that they cannot rot; they check their own results."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHES = Path(__file__).parents[1] / "benches"


def run(name, *arguments):
    done = subprocess.run(
        [sys.executable, BENCHES / name, *arguments], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_bench_of_large_stores_runs():
    assert "1,000 rows" in run("large.py", "--rows", "1000")


def test_the_bench_of_ingest_runs(tmp_path):
    assert "zip-deflated" in run("ingest.py", "--images", "40", "--folder", str(tmp_path))


def test_the_bench_of_a_whole_package_runs(tmp_path):
    assert "2,000 records" in run("scale.py", str(tmp_path), "--rows", "2000")
    assert list(tmp_path.iterdir()) == []


def test_the_bench_of_sources_as_they_are_runs(tmp_path):
    said = run("virtual.py", str(tmp_path), "--images", "32", "--rounds", "1", "--members", "500")
    assert "zip-stored" in said
    assert "500 members" in said
    assert list(tmp_path.iterdir()) == []


def test_the_bench_of_hdf5_runs(tmp_path):
    assert "h5py, the same file" in run(
        "hdf5.py", "--images=40", "--rounds=1", "--ingests=1", "--folder", str(tmp_path)
    )


def test_the_bench_of_growth_runs(tmp_path):
    assert "append of the second half" in run("growth.py", "--images", "60", "--folder", str(tmp_path))


def test_the_bench_of_hdf5_scans_runs(tmp_path):
    assert "300 members scanned" in run("hdf5_scan.py", "--members", "300", "--folder", str(tmp_path))


# Peers that the tests need anyway. Of the others, each is left out that is not installed.
ONCE = ("--rounds=1", "--starts=1")


def lines_of(said, peer):
    """The lines of the tables about one peer, which say how what it read agrees."""
    return [line for line in said.splitlines() if line.startswith(f"| {peer} (")]


def test_the_contest_of_decoders_runs(tmp_path):
    told = tmp_path / "some.json"
    said = run("decode.py", "--images=24", *ONCE, "--only=Pillow", "--json", str(told))
    whole, crops = lines_of(said, "Pillow")
    assert whole.endswith("equal |")
    assert crops.endswith("equal |")
    results = json.loads(told.read_text())["results"]
    assert {each["contender"]: each["state"] for each in results if each["work"].startswith("crops")} == {
        "arraystore": "within 1 of 255",
        "Pillow": "equal",
    }
    assert all(each["median"] > 0 and each["cpu_s_per_1000"] > 0 and each["first_s"] > 0 for each in results)


def test_the_contest_of_containers_runs_and_is_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="an extra of the benches")
    plot = tmp_path / "some.png"
    said = run("access.py", "--images=24", *ONCE, "--only=zip", "--only=h5py", "--plot", str(plot))
    assert all(
        line.endswith("equal |") for line in lines_of(said, "zipfile") + lines_of(said, "h5py, one flat data set")
    )
    assert plot.stat().st_size > 1000


def test_the_contest_of_loaders_runs():
    said = run("loaders.py", "--images=24", *ONCE, "--only=arraystore")
    assert [("each row once" in line) for line in lines_of(said, "arraystore, store.loader")] == [True, True]


def test_the_contest_of_patches_runs():
    said = run("patches.py", "--patches=64", *ONCE, "--only=memmap", "--only=tensorstore")
    assert [line.endswith("equal |") for line in lines_of(said, "tensorstore")] == [True, True]


@pytest.fixture
def corpus(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHES))
    return importlib.import_module("corpus")


def test_a_peer_that_reads_something_else_is_refused(corpus, tmp_path):
    items = [b"abc", b"defg"]
    (tmp_path / "pack.bin").write_bytes(b"".join(items))
    np.save(tmp_path / "pack.npy", np.cumsum([0, *map(len, items)]))
    task = corpus.Task(tmp_path, "some", 2, batch_rows=2, threads=1)
    peer = corpus.Peer(("some",), "some peer", open=None)
    np.savez(tmp_path / "right.npz", *(np.frombuffer(item, np.uint8) for item in items))
    np.savez(tmp_path / "wrong.npz", *(np.frombuffer(item, np.uint8) for item in items[::-1]))
    assert corpus.check_bytes(peer, task, tmp_path / "right.npz") == "equal"
    with pytest.raises(ValueError, match="some peer reads other bytes of row 0"):
        corpus.check_bytes(peer, task, tmp_path / "wrong.npz")


def test_memory_and_processor_time_are_those_of_all_processes(corpus):
    processes = importlib.import_module("processes")
    # A child that takes 64 MB and half a second in a child of its own.
    work = "import time; kept = bytearray(b'x' * (64 << 20)); until = time.process_time() + 0.5\n"
    work += "while time.process_time() < until: pass\nprint('done', flush=True); input()"
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"done\n"
        assert processes.memory_bytes(process.pid) > 64 << 20
        assert processes.cpu_s(process.pid) > 0.5
        process.communicate(b"\n")
