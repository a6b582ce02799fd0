"""Fields of arrays: what is read is what was asked, and damage is named by the read that meets it."""

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

import arraystore
from arraystore.errors import ArrayStoreError, DamagedStoreError, InvalidRequestError, UnknownKeyError
from arraystore.testing.biosr import make_biosr

SIDE = 16
CODECS = ("none", "zstd", "blosc")

# Reads a shard with each of its bytes changed; a process of its own, which a fault in a codec would end.
READ_CHANGED = """
import sys
from pathlib import Path
import numpy as np
import arraystore

shard = next(path for path in Path(sys.argv[1], "wf/data").rglob("c/0/0/0"))
whole = shard.read_bytes()
with arraystore.open(sys.argv[1]) as store:
    expected = store.arrays(slice(None), field="wf")
refused = 0
for at in range(0, len(whole), int(sys.argv[2])):
    shard.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
    with arraystore.open(sys.argv[1]) as store:
        for row in range(len(store)):
            try:
                assert (store.arrays([row], field="wf")[0] == expected[row]).all(), at
            except arraystore.errors.DamagedStoreError:
                refused += 1
print(refused)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_biosr(tmp_path_factory.mktemp("biosr"), 5, validate=2, test=1, side=SIDE)


@pytest.fixture(scope="module", params=CODECS)
def built(request, package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / f"{request.param}.zarr"
    arraystore.ingest(package.root, path, codec=request.param, progress=False)
    return path


@pytest.fixture
def copy(built, tmp_path):
    return shutil.copytree(built, tmp_path / built.name)


def shard_of(path, field="wf"):
    return path / field / "data/c/0/0/0"


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("verify", [True, False])
def test_a_batch_does_not_depend_on_threads_or_checks(package, built, threads, verify):
    with arraystore.open(built) as store:
        rows = np.random.default_rng(3).integers(0, len(store), 50)
        batch = store.arrays(rows, threads=threads, verify=verify)
        for field, patches in (("wf", package.wf), ("gt", package.gt)):
            np.testing.assert_array_equal(batch[field], np.stack([patches[store.keys[row]] for row in rows]))


def test_rows_are_told_as_in_numpy(package, built):
    with arraystore.open(built) as store:
        whole = np.stack([package.wf[key] for key in store.keys])
        mask = np.arange(len(store)) % 3 == 0
        for index in (slice(None), slice(-4, None), slice(8, 2, -2), [3, -1, 3], mask, np.array([2], np.uint8)):
            np.testing.assert_array_equal(store[index]["wf"], whole[index])
        assert store[[]]["gt"].shape == (0, SIDE, SIDE)
        with pytest.raises(IndexError, match=f"row {len(store)} .*out of range"):
            store.arrays([len(store)])
        with pytest.raises(UnknownKeyError, match="nowhere/1"):
            store.arrays(["nowhere/1"])


def test_a_selection_has_the_records_it_names(package, built):
    with arraystore.open(built) as store:
        test = store.select(split="test")
        assert len(test) == 9
        np.testing.assert_array_equal(test[2]["wf"], package.wf[test.keys[2]])
        assert len(set(test.item_rows("gt").tolist())) == 1
        twice = test.select(level=[2, 3])
        np.testing.assert_array_equal(twice.arrays([1], field="wf")[0], package.wf["test/level_03/001"])


def test_a_pickle_reads_the_same(built):
    with arraystore.open(built) as store:
        view = pickle.loads(pickle.dumps(store.select(split="val")))
        np.testing.assert_array_equal(view[1]["gt"], store["validate/00000002"]["gt"])


@pytest.mark.parametrize(
    ("out", "problem"),
    [
        (np.empty((2, SIDE, SIDE), np.float64), "expected float32 of shape .* found float64"),
        (np.empty((3, SIDE, SIDE), np.float32), "expected float32 of shape"),
        (np.empty((2, SIDE, SIDE), ">f4"), "expected float32 of shape"),
        (np.empty((2, SIDE, 2 * SIDE), np.float32)[:, :, ::2], "C-contiguous"),
        (np.broadcast_to(np.float32(0), (2, SIDE, SIDE)), "writable"),
        ([0.0], "found list"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_and_left_alone(built, out, problem):
    before = np.array(out)
    with arraystore.open(built) as store, pytest.raises(InvalidRequestError, match=problem):
        store.arrays([0, 1], field="wf", out=out)
    np.testing.assert_array_equal(np.array(out), before)


def test_no_field_is_filled_if_the_array_of_one_does_not_fit(built):
    fits = np.full((2, SIDE, SIDE), 7, np.float32)
    with arraystore.open(built) as store:
        with pytest.raises(InvalidRequestError, match="for gt"):
            store.arrays([0, 1], out={"wf": fits, "gt": fits[:1]})
        with pytest.raises(InvalidRequestError, match="an array for each of wf, gt"):
            store.arrays([0, 1], out={"wf": fits})
    assert (fits == 7).all()


def test_a_map_is_the_file_of_the_store(package, built):
    with arraystore.open(built) as store:
        if built.stem != "none":
            for by in ("record", "item", "shard"):
                with pytest.raises(InvalidRequestError, match=f"compressed \\({built.stem}\\).*store.arrays") as caught:
                    store.memmap("wf", by=by)
                assert caught.value.code == "not-one-map"
            return
        mapped = store.memmap("wf")
        content = np.stack([package.wf[key] for key in store.keys])
        assert shard_of(built).read_bytes()[: mapped.nbytes] == content.tobytes()
        assert (mapped.filename, mapped.offset) == (shard_of(built), 0)
        with pytest.raises(ValueError, match="read-only"):
            mapped[0] = 0
        for split in ("train", "val"):
            view = store.select(split=split)
            for field, patches in (("wf", package.wf), ("gt", package.gt)):
                np.testing.assert_array_equal(view.memmap(field), np.stack([patches[key] for key in view.keys]))
        with pytest.raises(InvalidRequestError, match="in another order"):
            store.select(store.keys[:3][::-1]).memmap("wf")


def test_maps_of_several_shards_are_all_items(package, tmp_path):
    path = tmp_path / "shards.zarr"
    arraystore.ingest(package.root, path, shard_nbytes=5 * SIDE * SIDE * 4, progress=False)
    with arraystore.open(path) as store:
        maps = store.memmap("wf", by="shard")
        assert [len(each) for each in maps] == [5, 5, 5, 1]
        np.testing.assert_array_equal(np.concatenate(maps), store.arrays(slice(None), field="wf"))
        np.testing.assert_array_equal(store.select(split="train").memmap("wf"), maps[0])


def test_a_changed_byte_is_named_and_concerns_no_other_record(package, copy):
    shard = shard_of(copy)
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    with arraystore.open(copy) as store:
        with pytest.raises(DamagedStoreError, match=r"training/00000001.*wf|wf.*training/00000001"):
            store[0]
        np.testing.assert_array_equal(store[1]["wf"], package.wf[store.keys[1]])
    assert not arraystore.verify(copy).ok


@pytest.mark.parametrize("left", [0, 3, 100])
def test_a_shard_that_is_cut_short_is_named(copy, left):
    shard = shard_of(copy)
    shard.write_bytes(shard.read_bytes()[:left])
    with arraystore.open(copy) as store:
        with pytest.raises(DamagedStoreError, match="wf/data/c/0/0/0"):
            store[4]
        if copy.stem == "none":
            with pytest.raises(DamagedStoreError, match="cut short"):
                store.memmap("wf")
    assert not arraystore.verify(copy).ok


def test_a_shard_that_is_not_there_is_named(copy):
    shard_of(copy).unlink()
    with arraystore.open(copy) as store, pytest.raises(OSError, match="wf/data/c/0/0/0"):
        store[0]
    assert not arraystore.verify(copy).ok


def test_no_changed_byte_of_a_shard_is_read_as_sound(copy):
    step = "97" if copy.stem == "none" else "29"
    done = subprocess.run(
        [sys.executable, "-c", READ_CHANGED, copy, step], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


@pytest.mark.parametrize("at", [4, 12])
@pytest.mark.parametrize("change", [-1, 1, 2**31])
def test_a_blosc_header_is_not_believed(package, tmp_path, at, change):
    path = tmp_path / "blosc.zarr"
    arraystore.ingest(package.root, path, codec="blosc", progress=False)
    content = bytearray(shard_of(path).read_bytes())
    claimed = (int.from_bytes(content[at : at + 4], "little") + change) % 2**32
    content[at : at + 4] = claimed.to_bytes(4, "little")
    shard_of(path).write_bytes(content)
    with arraystore.open(path) as store:
        with pytest.raises(DamagedStoreError, match=rf"training/00000001.*Blosc.*{claimed}") as caught:
            store[0]
        assert caught.value.code == "damaged-item"


def test_an_item_that_is_not_there_is_an_error_that_names_the_record(copy):
    (index,) = (copy / "gt/row/c").iterdir()
    content = bytearray(index.read_bytes())
    content[4:8] = (1_000_000).to_bytes(4, "little")
    index.write_bytes(content)
    with arraystore.open(copy) as store, pytest.raises(DamagedStoreError, match=r"1 \(training/00000002\).*1000000"):
        store.arrays([1], field="gt")
    assert not arraystore.verify(copy).ok


@pytest.mark.parametrize(
    "claim",
    [
        {"shape": [2**31, 2**31]},
        {"shape": [0, SIDE]},
        {"shape": [-1, SIDE]},
        {"shape": []},
        {"shape": "16"},
        {"dtype": "object"},
        {"dtype": "float64"},
        {"codec": "lz4"},
    ],
)
def test_a_root_document_that_claims_another_form_is_refused(copy, claim):
    document = json.loads((copy / "zarr.json").read_text())
    document["attributes"]["arraystore"]["fields"][0].update(claim)
    (copy / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(ArrayStoreError), arraystore.open(copy) as store:
        store.arrays([0], field="wf")
