"""`arraystore bench`: every way to read a store is measured, and what bounds the loop is told from the figures."""

import errno
import json
import os
import shutil
import tempfile
import tracemalloc
from dataclasses import replace

import pytest

import arraystore
from arraystore import cli
from arraystore.cli import measuring
from arraystore.cli.figures import Headroom
from arraystore.cli.measuring import Measured, forget_files, measure, memory_bytes_per_s
from arraystore.testing import make_bioscan5m
from arraystore.testing.biosr import make_biosr

FEW = ["--records=12", "--batch-size=4", "--size=32", "--seconds=0", "--threads=3", "--json"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    package = make_bioscan5m(folder / "package", 12, distinct=4)
    arraystore.ingest(package.sources(), folder / "some.zarr", metadata=package.metadata, progress=False)
    return folder / "some.zarr"


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    arraystore.ingest(make_biosr(folder / "package").root, folder / "some.zarr", progress=False)
    return folder / "some.zarr"


def found(path, capsys):
    assert cli.main(["bench", str(path), *FEW]) == 0
    return json.loads(capsys.readouterr().out)


def test_all_ways_to_read_images_are_measured(images, capsys):
    told = found(images, capsys)
    ways = ["whole images", "loader, crops of 32x32", "random crops, 32x32"]
    expected = [("original bytes", 1), *((way, threads) for way in ways for threads in (1, 2, 3))]
    assert [(line["work"], line["threads"]) for line in told["lines"]] == expected
    assert all(line["slowest"] <= line["per_s"] <= line["fastest"] for line in told["lines"])
    assert told["records"] == 12
    assert told["headroom"]["work"] == "random crops, 32x32"
    assert told["headroom"]["warm"]["per_s"] > 0


def test_records_without_an_image_do_not_make_images_smaller(tmp_path, capsys):
    package = make_bioscan5m(tmp_path / "package", 12, distinct=4, rows_without_image=9)
    arraystore.ingest(package.sources(), tmp_path / "some.zarr", metadata=package.metadata, progress=False)
    with arraystore.open(tmp_path / "some.zarr") as store:
        lengths = [len(jpeg) for jpeg in store.jpeg(store.status == 0)]
        assert len(lengths) < len(store)
    (line,) = (each for each in found(tmp_path / "some.zarr", capsys)["lines"] if each["work"] == "original bytes")
    assert line["item_nbytes"] == sum(lengths) / len(lengths)


def test_all_ways_to_read_patches_are_measured(patches, capsys):
    told = found(patches, capsys)
    assert {line["work"] for line in told["lines"]} == {
        "arrays, not compared",
        "arrays, with checksums",
        "loader, mirrored at random",
    }
    # Widefield and ground truth, float32.
    assert {line["item_nbytes"] for line in told["lines"]} == {2 * 128 * 128 * 4}


def test_patches_of_one_field_are_measured(tmp_path, capsys):
    package = make_biosr(tmp_path / "package", 4)
    for folder in package.root.glob("*/*_gt"):
        shutil.rmtree(folder)
    arraystore.ingest(package.root, tmp_path / "some.zarr", progress=False)
    told = found(tmp_path / "some.zarr", capsys)
    assert {line["item_nbytes"] for line in told["lines"]} == {128 * 128 * 4}
    assert told["headroom"]["work"] == "arrays, with checksums"


def test_the_table_has_a_line_for_each_figure(images, capsys):
    assert cli.main(["bench", str(images), *FEW[:-1]]) == 0
    said = capsys.readouterr().out
    assert said.count("loader, crops of 32x32 ") == 3
    for words in ("files on disk", "files in memory", "if reading were free", "bounded by: "):
        assert words in said


@pytest.mark.parametrize(("option", "name"), [("--records=0", "records"), ("--size=-1", "size")])
def test_a_wrong_number_is_one_line(images, capsys, option, name):
    assert cli.main(["bench", str(images), option]) == 1
    assert f"--{name}" in capsys.readouterr().err


def test_a_store_with_nothing_sound_is_one_line(tmp_path, capsys):
    package = make_bioscan5m(tmp_path / "package", 3)
    for path in package.images["cropped_256"].rglob("*.jpg"):
        path.write_bytes(b"no image")
    arraystore.ingest(package.sources(), tmp_path / "some.zarr", metadata=package.metadata, progress=False)
    assert cli.main(["bench", str(tmp_path / "some.zarr")]) == 1
    assert "no record can be read" in capsys.readouterr().err


def test_work_is_repeated_after_a_round_that_is_not_measured():
    rounds = []
    figures = measure(lambda: len(rounds.append(0) or rounds), seconds=0)
    assert len(rounds) == 4
    assert figures.slowest <= figures.per_s <= figures.fastest
    measure(lambda: len(rounds.append(0) or rounds), seconds=9, once=True)
    assert len(rounds) == 5


def test_files_that_are_forgotten_stay_what_they_are(images):
    before = {path: path.read_bytes() for path in images.rglob("*") if path.is_file()}
    forget_files(images)
    assert {path: path.read_bytes() for path in images.rglob("*") if path.is_file()} == before


def test_files_that_cannot_be_forgotten_are_not_measured_on_disk(images, capsys, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    # As a file system does that cannot be written to.
    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(os, "posix_fadvise", refuse)
    assert found(images, capsys)["headroom"]["cold_bound"] is None


def test_more_threads_copy_no_more_memory(monkeypatch):
    monkeypatch.setattr(measuring, "_COPIED_NBYTES", 1 << 20)
    monkeypatch.setattr(measuring, "_THREAD_NBYTES", 1 << 18)
    tracemalloc.start()
    try:
        assert memory_bytes_per_s(32) > 0
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


SPEED = Measured(1000.0, 900.0, 1100.0, 2.0, 2.0, 0.0)


HEADROOM = Headroom("some loop", 2, SPEED, SPEED, SPEED, cold_share=1.0, memory_use=1e9, memory_limit=1e10)
SLOW = replace(SPEED, per_s=500.0)


@pytest.mark.parametrize(
    ("changes", "bound", "cold_bound"),
    [
        ({}, "processors", "processors"),
        ({"cold": SLOW}, "processors", "disk"),
        ({"cold": SLOW, "cold_share": 0.0}, "processors", None),
        ({"memory_use": 7e9}, "memory", "memory"),
        ({"memory_use": 2.4e10}, "processors", "processors"),
        ({"warm": replace(SPEED, busy_cores=1.2)}, "waiting", "waiting"),
    ],
)
def test_what_bounds_a_loop_follows_from_its_figures(changes, bound, cold_bound):
    changed = replace(HEADROOM, **changes)
    assert (changed.bound, changed.cold_bound) == (bound, cold_bound)


def test_what_came_from_no_disk_is_not_told_of_one():
    said = str(replace(HEADROOM, cold=SLOW, cold_share=0.02))
    assert "bounded by: the processors, with the files in memory" in said
    assert "2% of their bytes" in said
    assert "the disk" not in said
    assert "files on disk  " not in said


def test_what_the_caches_hold_is_not_called_a_share_of_memory():
    said = str(replace(HEADROOM, memory_use=2.4e10))
    assert "24.0 GB/s, more than the 10.0 GB/s" in said
    assert "240%" not in said
    assert "10% of the 10.0 GB/s" in str(HEADROOM)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no file system in memory")
def test_a_store_in_memory_is_not_bounded_by_a_disk(images, capsys):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        told = found(shutil.copytree(images, f"{folder}/some.zarr"), capsys)
    assert told["headroom"]["cold_bound"] is None
    assert told["headroom"]["cold_share"] == 0
