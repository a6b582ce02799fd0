"""Patches: the same box, mirror and turns for all fields of a record, computed again with NumPy."""

import numpy as np
import pytest

import arraystore
from arraystore.errors import DamagedStoreError, InvalidRequestError
from arraystore.testing.biosr import make_biosr

SIDE = 24


@pytest.fixture(scope="module", params=["none", "zstd"])
def store(request, tmp_path_factory):
    """Pairs whose ground truth is twice as large."""
    root = tmp_path_factory.mktemp("biosr")
    package = make_biosr(root, 7, validate=2, test=2, side=SIDE, gt_side=2 * SIDE)
    arraystore.ingest(package.root, root / "biosr.zarr", codec=request.param, progress=False)
    with arraystore.open(root / "biosr.zarr") as opened:
        yield opened


def motions(patch, size):
    """All that can be cut out of a patch: place, mirror and turns, with what it gives."""
    for top in range(patch.shape[0] - size + 1):
        for left in range(patch.shape[1] - size + 1):
            box = patch[top : top + size, left : left + size]
            for flip in (False, True):
                for turns in range(4):
                    yield (top, left, flip, turns), np.rot90(box[:, ::-1] if flip else box, turns)


def motion_of(patch, found):
    (motion,) = [motion for motion, pixels in motions(patch, len(found)) if np.array_equal(pixels, found)]
    return motion


def moved(patch, size, motion):
    top, left, flip, turns = motion
    box = patch[top : top + size, left : left + size]
    return np.rot90(box[:, ::-1] if flip else box, turns)


def test_both_fields_are_cut_mirrored_and_turned_alike(store):
    patches = store.arrays(slice(None))
    seen = set()
    for epoch, loader in enumerate([store.loader(4, size=16, flip=0.5, turn=True, seed=3)] * 4):
        loader.set_epoch(epoch)
        for batch in loader:
            assert batch["wf"].shape[1:] == (16, 16)
            assert batch["gt"].shape[1:] == (32, 32)
            for row, wf, gt in zip(batch["row"], batch["wf"], batch["gt"], strict=True):
                motion = motion_of(patches["wf"][row], wf)
                top, left, *rest = motion
                np.testing.assert_array_equal(gt, moved(patches["gt"][row], 32, (2 * top, 2 * left, *rest)))
                seen.add(motion)
    assert {flip for _, _, flip, _ in seen} == {False, True}
    assert {turns for *_, turns in seen} == {0, 1, 2, 3}
    assert {top for top, *_ in seen} == set(range(SIDE - 16 + 1))


def test_whole_patches_are_those_of_the_store(store):
    for batch in store.loader(5, labels="split", text=store.handle.spec.key):
        expected = store.arrays(batch["row"])
        for name in ("wf", "gt"):
            assert batch[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(batch[name], expected[name])
        assert batch["split"].tolist() == store.labels("split").codes[batch["row"]].tolist()


def test_the_box_is_in_the_middle_if_it_is_to_be(store):
    patches = store.arrays(slice(None))
    for batch in store.loader(5, size=(10, 12), crop="center"):
        np.testing.assert_array_equal(batch["wf"], patches["wf"][batch["row"], 7:17, 6:18])
        np.testing.assert_array_equal(batch["gt"], patches["gt"][batch["row"], 14:34, 12:36])


def test_a_patch_is_the_same_in_any_batch_of_any_view(store):
    options = {"size": 8, "flip": 0.5, "turn": True, "seed": 1}
    expected = {}
    for batch in store.loader(1, threads=1, **options):
        expected[store.keys[int(batch["row"][0])]] = batch["wf"][0].copy()
    view = store.select(range(len(store) - 1, 1, -2))
    for batch in view.loader(3, threads=3, shuffle="window", **options):
        for key, patch in zip(view.keys[batch["row"]], batch["wf"], strict=True):
            np.testing.assert_array_equal(patch, expected[key])


def test_shared_ground_truths_are_cut_for_each_widefield(store):
    test = store.select(split="test")
    assert len(set(test.item_rows("gt").tolist())) < len(test)
    rows = [row for batch in test.loader(4, size=8) for row in batch["row"].tolist()]
    assert sorted(rows) == list(range(len(test)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop": "random_resized"}, "not resized"),
        ({"size": SIDE + 1}, "at most that of wf"),
        ({"views": 2}, "views=2"),
        ({"mean": 0.5}, "mean=0.5"),
        ({"layout": "NCHW"}, "layout"),
        ({"turn": True, "size": (8, 9)}, "squares"),
        ({"flip": -1}, "flip=-1"),
        ({"crop": "middle"}, "middle"),
    ],
)
def test_what_makes_no_sense_for_patches_is_refused(store, arguments, message):
    with pytest.raises(InvalidRequestError, match=message):
        store.loader(4, **arguments)


def test_sizes_that_are_no_multiple_are_refused(tmp_path):
    package = make_biosr(tmp_path, 3, side=16, gt_side=24)
    arraystore.ingest(package.root, tmp_path / "store.zarr", progress=False)
    with arraystore.open(tmp_path / "store.zarr") as opened:
        with pytest.raises(InvalidRequestError, match="whole multiple"):
            opened.loader(2, size=8)
        # Turned as a whole, they need not be.
        assert next(iter(opened.loader(2, turn=True, flip=0.5)))["gt"].shape == (2, 24, 24)


def test_a_codec_that_is_not_ours_is_refused_with_a_way_out(tmp_path):
    package = make_biosr(tmp_path, 3, side=16)
    arraystore.ingest(package.root, tmp_path / "store.zarr", codec="blosc", progress=False)
    with (
        arraystore.open(tmp_path / "store.zarr") as opened,
        pytest.raises(InvalidRequestError, match=r"store\.arrays"),
    ):
        opened.loader(2)


def test_a_damaged_patch_takes_its_twin_out_as_well(tmp_path):
    package = make_biosr(tmp_path, 6, validate=0, test=0, side=16)
    arraystore.ingest(package.root, tmp_path / "store.zarr", progress=False)
    shard = next((tmp_path / "store.zarr/gt/data").rglob("c/0/0/0"))
    payload = bytearray(shard.read_bytes())
    payload[3 * 16 * 16 * 4 + 5] ^= 1
    shard.write_bytes(payload)
    with arraystore.open(tmp_path / "store.zarr") as opened:
        with pytest.raises(DamagedStoreError, match="gt"):
            list(opened.loader(6))
        with pytest.warns(RuntimeWarning, match="left out"):
            (batch,) = opened.loader(6, bad="skip", shuffle=None)
        assert len(batch["wf"]) == len(batch["gt"]) == 5
        with pytest.warns(RuntimeWarning, match="zeros"):
            (batch,) = opened.loader(6, bad="fill", shuffle=None)
        assert not batch["wf"][batch["bad"]].any()
        assert not batch["gt"][batch["bad"]].any()
        assert batch["bad"].sum() == 1
