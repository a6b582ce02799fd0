"""Each damage to a store is found, and named."""

import shutil
from pathlib import Path

import pytest

import arraystore
from arraystore.errors import FormatError, UnfinishedStoreError
from arraystore.format.containers import open_layout


@pytest.fixture
def damaged(store, tmp_path):
    """A copy that may be damaged."""
    return Path(shutil.copytree(store, tmp_path / "s.zarr"))


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(content)


def problems_of(path):
    report = arraystore.verify(path)
    assert not report.ok
    assert "damaged" in str(report)
    return {(each.kind, each.place): each.detail for each in report.problems}


def test_sound_store_is_sound(store):
    report = arraystore.verify(store)
    assert report.ok
    assert report.problems == ()
    assert report.records == 48
    files = [file for file in store.rglob("*") if file.is_file()]
    assert report.files == len(files)
    assert "is sound" in str(report)


def test_every_file_but_the_root_is_watched(damaged):
    """One flipped bit in any file is found, by the name of the file or of the record."""
    layout = open_layout(damaged)
    names = [file.relative_to(damaged).as_posix() for file in sorted(damaged.rglob("*")) if file.is_file()]
    for name in names:
        if name == "zarr.json":
            continue
        at = 0 if "/data/c/" not in name else 10
        flip(damaged / name, at)
        found = problems_of(damaged)
        flip(damaged / name, at)
        if name in layout.spec.checksums:
            assert any(name == place for _, place in found), name
        else:
            field = name.split("/")[0]
            assert any(place.startswith(f"{field} row ") for kind, place in found if kind == "record"), name
    assert arraystore.verify(damaged).ok


def test_flipped_byte_names_row_and_key(damaged, package):
    with arraystore.open(damaged) as store:
        key = next(iter(package.jpegs["cropped_256"]))
        jpeg = store.jpeg(key)
        row = [str(each) for each in store.keys].index(key)
    for shard in damaged.glob("image/data/c/*"):
        content = shard.read_bytes()
        if jpeg in content:
            flip(shard, content.index(jpeg) + len(jpeg) // 2)
    ((kind, place), detail) = next(iter(problems_of(damaged).items()))
    assert (kind, place) == ("record", f"image row {row}")
    assert key in detail
    assert "CRC-32C" in detail


def test_missing_shard_is_named(damaged):
    (damaged / "image/data/c/1").unlink()
    found = problems_of(damaged)
    assert ("missing-file", "image/data/c/1") in found


def test_truncated_shard_is_named_with_both_lengths(damaged):
    path = damaged / "image/data/c/1"
    length = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    found = problems_of(damaged)
    assert found["wrong-length", "image/data/c/1"] == f"expected {length:,} bytes, found {length - 100:,}"


def test_damaged_shard_index_is_named(damaged):
    flip(damaged / "image/data/c/0", -10)
    assert ("shard-index", "image/data/c/0") in problems_of(damaged)


@pytest.mark.parametrize("array", ["image/offset", "image/nbytes", "key/data", "key/row", "dna_barcode/crc32c"])
def test_missing_array_is_named(damaged, array):
    shutil.rmtree(damaged / array)
    found = problems_of(damaged)
    assert any(place.startswith(array) for _, place in found)


def test_stray_file_is_named(damaged):
    (damaged / "image/data/c/99").write_bytes(b"")
    (damaged / "notes.txt").write_bytes(b"")
    found = problems_of(damaged)
    assert {("stray-file", "image/data/c/99"), ("stray-file", "notes.txt")} <= set(found)


def test_document_that_differs_from_the_root_is_named(damaged):
    path = damaged / "image/height/zarr.json"
    path.write_text(path.read_text().replace("uint16", "uint32"))
    found = problems_of(damaged)
    assert ("document", "image/height/zarr.json") in found


def test_many_problems_are_all_listed_and_some_are_shown(damaged):
    for shard in damaged.glob("image/data/c/*"):
        shard.unlink()
    report = arraystore.verify(damaged)
    assert len(report.problems) > 40
    assert "more" in str(report).splitlines()[-1]
    assert len(str(report).splitlines()) < 30
    assert len(report.to_json()["problems"]) == len(report.problems)


def test_what_is_no_store_is_an_error_not_a_problem(tmp_path):
    with pytest.raises(FileNotFoundError):
        arraystore.verify(tmp_path / "none.zarr")
    with pytest.raises(FormatError):
        arraystore.verify(tmp_path)
    (tmp_path / "u.zarr/.ingest").mkdir(parents=True)
    with pytest.raises(UnfinishedStoreError):
        arraystore.verify(tmp_path / "u.zarr")
