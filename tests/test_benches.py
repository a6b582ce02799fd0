"""Benchmarks run once with little to do, so that they cannot rot; they check their own results."""

import subprocess
import sys
from pathlib import Path

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


def test_the_comparison_runs(tmp_path):
    for guest in ("cv2", "matplotlib", "simplejpeg"):
        pytest.importorskip(guest, reason="an extra of the benches")
    plot = tmp_path / "some.png"
    assert "zarr-python" in run("compare.py", "--images", "48", "--rounds", "1", "--plot", str(plot))
    assert plot.stat().st_size > 1000


def test_the_bench_of_hdf5_scans_runs(tmp_path):
    assert "300 members scanned" in run("hdf5_scan.py", "--members", "300", "--folder", str(tmp_path))


def test_the_bench_of_patches_runs():
    assert "tensorstore" in run("patches.py", "--patches", "64", "--rounds", "1")
