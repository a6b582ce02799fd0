"""Damage to a store is met by the read that touches it, and named."""

import contextlib
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import arraystore
from arraystore.errors import ArrayStoreError, DamagedStoreError, FormatError
from arraystore.testing.strategies import damaged_jpegs


@pytest.fixture
def copy(store_path, tmp_path):
    return shutil.copytree(store_path, tmp_path / "damaged.zarr")


def shard_of(path):
    (shard,) = (path / "image/data/c").iterdir()
    return shard


def test_a_flipped_byte_is_named_by_the_read(copy, store, sound):
    row = int(sound[7])
    shard = shard_of(copy)
    payload = bytearray(shard.read_bytes())
    payload[payload.index(store.jpeg(row)) + 700] ^= 1
    shard.write_bytes(payload)
    with arraystore.open(copy) as damaged:
        for read in (lambda: damaged[row], lambda: damaged.jpeg(row), lambda: damaged.crops([row], 32)):
            with pytest.raises(DamagedStoreError, match=store.keys[row]):
                read()
        assert damaged.jpeg(row, verify=False) != store.jpeg(row)
        others = [int(other) for other in sound if other != row]
        assert damaged.jpeg(others) == store.jpeg(others)


def test_a_truncated_shard_is_named_by_the_read(copy, store):
    shard = shard_of(copy)
    with shard.open("r+b") as file:
        file.truncate(100)
    with arraystore.open(copy) as damaged, pytest.raises(DamagedStoreError, match="image"):
        damaged.read(store.select(store.status == 0).store_rows)


def test_a_missing_shard_is_named_by_the_read(copy, sound):
    shard_of(copy).unlink()
    with arraystore.open(copy) as damaged, pytest.raises(OSError, match="image/data"):
        damaged.read(sound)


def test_text_that_is_no_utf8_is_named(copy, store):
    (shard,) = (copy / "dna_barcode/data/c").iterdir()
    payload = bytearray(shard.read_bytes())
    payload[payload.index(store.text(3).encode())] = 0xFF
    shard.write_bytes(payload)
    with arraystore.open(copy) as damaged:
        with pytest.raises(DamagedStoreError, match=store.keys[3]):
            damaged.text(3)
        with pytest.raises(FormatError, match="dna_barcode of row 3 is not UTF-8"):
            damaged.text([2, 3], verify=False)


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        (
            "columns/split/codes/c/0",
            "remove",
            "columns/split/codes/c/0: the file is missing: open the store again.* restore .* arraystore verify",
        ),
        ("columns/split/categories/c/0", "remove", "the file is missing"),
        ("columns/split/codes/c/0", "flip", "columns/split/codes/c/0: expected CRC-32C"),
        ("columns/split/zarr.json", "empty", "columns/split/zarr.json: expected CRC-32C"),
        ("columns/split/codes/zarr.json", "remove", "the file is missing"),
        ("columns/split", "remove", "columns/split/.*the file is missing"),
        ("columns", "remove", "columns/split/.*the file is missing"),
    ],
)
def test_a_damaged_column_is_named_and_never_read(copy, path, change, message):
    """Zarr reads a chunk that is missing as zeros, and code 0 is the first category."""
    target = copy / path
    if change == "remove":
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    elif change == "empty":
        target.write_bytes(b"")
    else:
        payload = bytearray(target.read_bytes())
        payload[-1] ^= 1
        target.write_bytes(payload)
    with arraystore.open(copy) as damaged:
        for read in (
            lambda: damaged.columns["split"],
            lambda: damaged.select(split="train"),
            damaged.info,
            lambda: damaged.columns.to_pandas(["split"]),
        ):
            with pytest.raises(DamagedStoreError, match=message):
                read()
        if path != "columns":
            assert len(damaged.columns["order"]) == len(damaged)


def test_a_column_without_checksums_is_refused(copy):
    document = json.loads((copy / "zarr.json").read_bytes())
    checksums = document["attributes"]["arraystore"]["checksums"]
    document["attributes"]["arraystore"]["checksums"] = {
        path: checksum for path, checksum in checksums.items() if not path.startswith("columns/split/")
    }
    (copy / "zarr.json").write_text(json.dumps(document))
    with arraystore.open(copy) as damaged, pytest.raises(FormatError, match="no checksums"):
        damaged.select(split="train")


@pytest.mark.parametrize("array", ["image/crc32c", "image/status", "image/height", "dna_barcode/crc32c", "image/data"])
def test_a_root_without_an_array_is_refused(copy, array):
    """Without its checksums a field would be read unchecked, in silence."""
    document = json.loads((copy / "zarr.json").read_bytes())
    del document["consolidated_metadata"]["metadata"][array]
    (copy / "zarr.json").write_text(json.dumps(document))
    with arraystore.open(copy) as damaged, pytest.raises(FormatError, match=f"no array {array}"):
        damaged.text(0) if array.startswith("dna") else damaged[0]


@pytest.mark.parametrize("array", ["image/offset", "image/nbytes", "key/hash", "key/offset"])
@pytest.mark.parametrize("fill", [0x00, 0xFF, 0x5A])
def test_wild_index_arrays_give_errors(copy, array, fill, store):
    (shard,) = (copy / array / "c").iterdir()
    shard.write_bytes(bytes([fill]) * shard.stat().st_size)
    with arraystore.open(copy) as damaged:
        for read in (
            lambda: damaged.read(range(len(damaged))),
            lambda: damaged.jpeg(range(len(damaged))),
            lambda: damaged.rows(store.keys[:]),
            lambda: damaged.keys[:],
        ):
            with contextlib.suppress(ArrayStoreError, OSError):
                read()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(jpegs=st.lists(damaged_jpegs(largest=64), min_size=1, max_size=6))
def test_any_damaged_jpeg_gives_an_error_or_pixels(tmp_path_factory, jpegs):
    root = tmp_path_factory.mktemp("hostile")
    folder = root / "bioscan5m/images/cropped_256/val"
    folder.mkdir(parents=True)
    for number, jpeg in enumerate(jpegs):
        (folder / f"HOSTI{number:03d}-20.jpg").write_bytes(jpeg)
    arraystore.ingest([root / "bioscan5m/images/cropped_256"], root / "store.zarr")
    with arraystore.open(root / "store.zarr") as store:
        assert len(store) == len(jpegs)
        for number, jpeg in enumerate(jpegs):
            key = f"HOSTI{number:03d}-20"
            for read in (lambda key: store[key], lambda key: store.crops([key], 16)[0]):
                try:
                    pixels = read(key)
                except (ArrayStoreError, OSError):
                    continue
                assert isinstance(pixels, np.ndarray)
                assert pixels.shape[2] == 3
            if jpeg:
                assert store.jpeg(key) == jpeg
