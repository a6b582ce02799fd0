"""Five million records: opening, keys and selections stay quick and small."""

import time
from pathlib import Path

import numpy as np
import pytest

import arraystore
from arraystore import _core
from arraystore.format import arrays, columns, layout, zarr
from arraystore.format.spec import FieldSpec, StoreSpec
from arraystore.testing import insect_jpeg

N = 5_000_000
KEY_NBYTES = 14
SPLITS = ["pretrain", "test", "train"]


def write_array(root, path, form, values):
    directory = root / path
    (directory / "c").mkdir(parents=True)
    zarr.write_document(directory, form.document())
    payload = memoryview(np.ascontiguousarray(values)).cast("B")
    for shard, name in enumerate(form.shard_names()):
        part = payload[shard * form.shard_nbytes : (shard + 1) * form.shard_nbytes]
        padding = bytes(form.chunk_count(shard) * form.chunk_nbytes - len(part))
        (directory / name).write_bytes(b"".join([part, padding, form.footer(shard)]))


def write_field(root, name, data, arrays_by_name):
    zarr.write_document(root / name, arrays.group_document())
    write_array(root, f"{name}/data", arrays.ArrayForm.data(len(data), layout.DEFAULT_SHARD_NBYTES), data)
    for array, values in arrays_by_name.items():
        write_array(root, f"{name}/{array}", arrays.ArrayForm.index(values.dtype.name, N), values)


def key_bytes():
    """Keys like `ABCD0001234-20`, one after another."""
    row = np.arange(N)
    keys = np.empty((N, KEY_NBYTES), np.uint8)
    keys[:, :4], keys[:, 11:] = list(b"ABCD"), list(b"-20")
    for digit in range(7):
        keys[:, 10 - digit] = ord("0") + row // 10**digit % 10
    return keys.reshape(-1)


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """Five million rows over sixteen images."""
    root = tmp_path_factory.mktemp("large") / "large.zarr"
    root.mkdir()
    keys, row = key_bytes(), np.arange(N, dtype=np.uint64)
    strings = _core.Strings(keys, np.arange(N + 1, dtype=np.uint64) * KEY_NBYTES)
    hashes, rows, _ = _core.index_keys(strings)
    key_arrays = {"offset": row * np.uint64(KEY_NBYTES), "nbytes": np.full(N, KEY_NBYTES, np.uint32)}
    key_arrays |= {"crc32c": np.zeros(N, np.uint32), "hash": np.asarray(hashes), "row": np.asarray(rows)}
    write_field(root, "key", keys, key_arrays)
    jpegs = [insect_jpeg(seed, width=300) for seed in range(16)]
    ends = np.cumsum([0, *map(len, jpegs)])
    which = (row % 16).astype(np.int64)
    image_arrays = {"offset": ends[which].astype(np.uint64), "nbytes": np.diff(ends)[which].astype(np.uint32)}
    # The checksums are not those of the images: these tests are about rows.
    image_arrays |= {"crc32c": np.zeros(N, np.uint32), "status": np.zeros(N, np.uint8)}
    image_arrays |= {"height": np.full(N, 256, np.uint16), "width": np.full(N, 300, np.uint16)}
    write_field(root, "image", np.frombuffer(b"".join(jpegs), np.uint8), image_arrays)
    split = columns.categorical(row.astype(np.int64) % 3, SPLITS)
    columns.write_columns(root, "processid", strings, {"split": split, "index": columns.NumericColumn(row)})
    zarr.commit(root, StoreSpec(n=N, fields=(FieldSpec("image", "jpeg"),)), sync=False)
    return root


def private_nbytes():
    """Memory of this process that is its own: without mapped files."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


@pytest.mark.slow
def test_opening_costs_nothing(large):
    before, begun = private_nbytes(), time.perf_counter()
    with arraystore.open(large) as store:
        assert store.keys[N - 1] == "ABCD4999999-20"
        assert store.row("ABCD0000005-20") == 5
        assert store.read([N - 1], verify=False)[0].shape == (256, 300, 3)
        elapsed = time.perf_counter() - begun
    assert elapsed < 0.5, "50 ms on an idle machine"
    assert private_nbytes() - before < 60_000_000


@pytest.mark.slow
def test_keys_are_found_and_named(large):
    rows = np.random.default_rng(0).integers(0, N, 100_000)
    with arraystore.open(large) as store:
        keys = store.keys[rows]
        assert keys[:3] == [f"ABCD{row:07d}-20" for row in rows[:3]]
        begun = time.perf_counter()
        np.testing.assert_array_equal(store.rows(keys), rows)
        assert time.perf_counter() - begun < 20e-6 * len(rows), "2 us a key on an idle machine"
        assert "ABCD5000000-20" not in store


@pytest.mark.slow
def test_selections_are_views(large):
    with arraystore.open(large) as store:
        view = store.select(split="train")
        np.testing.assert_array_equal(view.store_rows, np.arange(2, N, 3))
        assert view.keys[-1] == f"ABCD{view.store_rows[-1]:07d}-20"
        assert view.row("ABCD0000005-20") == 1
        assert "ABCD0000004-20" not in view
        assert view.select(index=[5, 6, 8]).store_rows.tolist() == [5, 8]
        assert store.info().splits == {"pretrain": 1_666_667, "test": 1_666_667, "train": 1_666_666}
