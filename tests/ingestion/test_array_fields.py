"""Fields of arrays copied and merged: every bit of an item, and who shares it."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

import arraystore
from arraystore.errors import DamagedStoreError, DuplicateKeyError, FormatError, SourceError
from arraystore.format.arrays import NO_ITEM
from arraystore.format.hdf5_writer import Hdf5Writer
from arraystore.format.zarr_writer import ZarrWriter
from arraystore.testing.biosr import make_biosr, tiff_bytes
from arraystore.testing.comparing import files_of

FORMS = {
    "plain.zarr": {},
    "cut.zarr": {"shard_nbytes": 10_000},
    "zstd.zarr": {"codec": "zstd"},
    "blosc.zarr": {"codec": "blosc"},
    "plain.h5": {},
}
WITHOUT_GT, BROKEN_WF, BROKEN_GT = "training/00000002", "training/00000003", "test/level_04/001"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Also a record without a ground truth, one whose widefield is broken, and nine whose ground truth is."""
    made = make_biosr(tmp_path_factory.mktemp("biosr"), 6, validate=2, test=2, side=20, gt_side=40)
    folder = made.root / "Microtubules"
    (folder / f"training_gt/{WITHOUT_GT[-8:]}.tif").unlink()
    (folder / f"training_wf/{BROKEN_WF[-8:]}.tif").write_bytes(b"II*\0 no tiff")
    (folder / f"test_gt/{BROKEN_GT[-3:]}.tif").write_bytes(b"II*\0 no tiff")
    return made


@pytest.fixture(scope="module")
def stores(package, tmp_path_factory):
    """The package in every form; do not change them."""
    root = tmp_path_factory.mktemp("stores")
    for name, options in FORMS.items():
        arraystore.ingest(package.root, root / name, progress=False, **options)
    return root


@pytest.fixture
def sound(tmp_path):
    """A package of which nothing is missing, in a store."""
    made = make_biosr(tmp_path / "sound", 4, validate=1, test=2, side=16)
    arraystore.ingest(made.root, tmp_path / "sound.zarr", progress=False)
    return tmp_path / "sound.zarr"


def codecs_of(store):
    return {field.codec for field in store.handle.spec.fields}


def items_of(store, field):
    """Row, bytes, checksum and status of each item, as zarr-python and h5py read them."""
    path = store.handle.path
    if path.is_file():
        with h5py.File(path) as file:
            return {name: file[f"{field}/{name}"][:] for name in ("row", "data", "crc32c", "status")}
    group = zarr.open_group(path, mode="r")
    return {name: group[f"{field}/{name}"][:] for name in ("row", "data", "crc32c", "status")}


def assert_same(one, other):
    """Two stores or views have the same records, and share the same of their items."""
    assert list(one.keys) == list(other.keys)
    # Categories and types of a view are those of its store.
    pd.testing.assert_frame_equal(
        one.columns.to_pandas(), other.columns.to_pandas(), check_categorical=False, check_dtype=False
    )
    for field in ("wf", "gt"):
        given, made = one.item_rows(field), other.item_rows(field)
        np.testing.assert_array_equal(given < 0, made < 0)
        pairs = set(zip(given[given >= 0].tolist(), made[made >= 0].tolist(), strict=True))
        assert len(pairs) == len(set(made[made >= 0].tolist())) == len(set(given[given >= 0].tolist()))
        stored, copied = items_of(one, field), items_of(other, field)
        for before, after in pairs:
            for name in ("data", "crc32c", "status"):
                assert stored[name][before].tobytes() == copied[name][after].tobytes()


@pytest.mark.parametrize("target", ["t.zarr", "t.h5"])
@pytest.mark.parametrize("source", FORMS)
def test_an_export_has_every_item_in_any_form(stores, tmp_path, source, target):
    report = arraystore.export(stores / source, tmp_path / target, progress=False)
    one, other = arraystore.open(stores / source), arraystore.open(tmp_path / target)
    assert_same(one, other)
    assert codecs_of(other) == (codecs_of(one) if target == "t.zarr" else {None})
    assert one.info().status == other.info().status == report.status
    counts = one.handle.spec.counts
    assert (report.images, report.image_nbytes) == (counts["images"], counts["image_nbytes"])
    assert arraystore.verify(tmp_path / target).ok
    assert arraystore.export(stores / source, tmp_path / target, progress=False).state == "complete"


def test_there_and_back_again_is_the_same_store(stores, tmp_path):
    arraystore.export(stores / "plain.zarr", tmp_path / "t.h5", progress=False)
    arraystore.export(tmp_path / "t.h5", tmp_path / "back.zarr", progress=False)
    before, after = files_of(stores / "plain.zarr"), files_of(tmp_path / "back.zarr")
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} <= {"zarr.json"}


@pytest.mark.parametrize("source", FORMS)
def test_a_selection_has_the_items_of_its_records_alone(stores, tmp_path, source):
    chosen = arraystore.open(stores / source).select(split="test", level=[3, 4])
    arraystore.export(chosen, tmp_path / "t.zarr", progress=False)
    made = arraystore.open(tmp_path / "t.zarr")
    assert_same_as_view(chosen, made)
    assert len(items_of(made, "wf")["data"]) == 4
    # Two levels of two specimens.
    assert len(items_of(made, "gt")["data"]) == 2
    assert arraystore.verify(tmp_path / "t.zarr").ok


def assert_same_as_view(view, made):
    assert list(view.keys) == list(made.keys)
    status = made.info().status
    assert sum(status.values()) == len(view)
    for key in view.keys:
        for field in ("wf", "gt"):
            try:
                expected = view.arrays([key], field=field)
            except arraystore.errors.MissingImageError as error:
                with pytest.raises(arraystore.errors.MissingImageError, match=str(error).rpartition("status ")[2]):
                    made.arrays([key], field=field)
            else:
                np.testing.assert_array_equal(made.arrays([key], field=field), expected)


def test_records_in_another_order_still_map_as_one_array(sound, tmp_path):
    store = arraystore.open(sound)
    chosen = store.select([9, 2, 14, 3])
    arraystore.export(chosen, tmp_path / "t.h5", progress=False)
    made = arraystore.open(tmp_path / "t.h5")
    np.testing.assert_array_equal(made.memmap("wf"), chosen.arrays(slice(None), field="wf"))
    assert made.item_rows("wf").tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("target", ["t.zarr", "t.h5"])
@pytest.mark.parametrize("source", ["plain.zarr", "zstd.zarr", "blosc.zarr"])
@pytest.mark.parametrize("keys", [[], [WITHOUT_GT], [BROKEN_WF, BROKEN_GT]])
def test_few_items_and_none_are_copied_too(stores, tmp_path, source, target, keys):
    chosen = arraystore.open(stores / source).select(keys)
    arraystore.export(chosen, tmp_path / target, progress=False)
    made = arraystore.open(tmp_path / target)
    assert_same_as_view(chosen, made)
    assert arraystore.verify(tmp_path / target).ok
    if keys == [WITHOUT_GT]:
        gt = items_of(made, "gt")
        assert (gt["row"].tolist(), gt["data"].shape) == ([NO_ITEM], (0, 40, 40))


def test_shards_have_the_size_that_is_asked_for(stores, tmp_path):
    arraystore.export(stores / "plain.zarr", tmp_path / "t.zarr", shard_nbytes=10_000, progress=False)
    assert len(arraystore.open(tmp_path / "t.zarr").memmap("wf", by="shard")) > 1
    assert_same(arraystore.open(stores / "cut.zarr"), arraystore.open(tmp_path / "t.zarr"))


@pytest.mark.parametrize("target", ["t.zarr", "t.h5"])
@pytest.mark.parametrize("source", ["zstd.zarr", "blosc.zarr"])
def test_an_interrupted_export_is_finished_by_the_same_call(stores, tmp_path, monkeypatch, source, target):
    def fail(*_, **__):
        raise OSError("stopped")

    for step in ("seal", "write_index", "commit"):
        with monkeypatch.context() as patch:
            patch.setattr(ZarrWriter if target == "t.zarr" else Hdf5Writer, step, fail)
            with pytest.raises(OSError, match="stopped"):
                arraystore.export(stores / source, tmp_path / target, progress=False)
    assert arraystore.export(stores / source, tmp_path / target, progress=False).state == "resumed"
    assert_same(arraystore.open(stores / source), arraystore.open(tmp_path / target))
    assert arraystore.verify(tmp_path / target).ok
    assert [path.name for path in tmp_path.iterdir()] == [target]


@pytest.mark.parametrize("source", FORMS)
def test_a_damaged_item_stops_an_export_with_its_record(package, tmp_path, source):
    arraystore.ingest(package.root, tmp_path / source, progress=False, **FORMS[source])
    with arraystore.open(tmp_path / source) as store:
        key = "validate/00000002"
        item = int(store.item_rows("wf")[store.rows([key])[0]])
        stored = store.handle.array_field("wf").stored
        shard, within = divmod(item, stored.shard_items)
        path, offset = Path(stored.files[shard][0]), stored.files[shard][1]
        if stored.codec is None:
            offset += within * 20 * 20 * 4 + 700
        else:
            sizes = np.frombuffer(path.read_bytes()[-16 * stored.shard_items - 4 : -4], "<u8").reshape(-1, 2)
            offset = int(sizes[within].sum()) - 300
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match=rf"{key}.*wf"):
        arraystore.export(tmp_path / source, tmp_path / "t.zarr", progress=False)
    assert not (tmp_path / "t.zarr").exists()
    # Who has no part of it is not concerned.
    others = arraystore.open(tmp_path / source).select(split="test")
    assert arraystore.export(others, tmp_path / "t.zarr", progress=False).records == 18


def test_an_item_that_is_not_there_is_damage_of_its_record(sound, tmp_path):
    path = sound / "gt/row/c/0"
    content = bytearray(path.read_bytes())
    content[4:8] = (99).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match=r"row 1 of .*sound.zarr, gt: its item is 99, but there are 7"):
        arraystore.export(sound, tmp_path / "t.zarr", progress=False)


# ---- merge ----


@pytest.mark.parametrize("target", ["m.zarr", "m.h5"])
@pytest.mark.parametrize("source", ["plain.zarr", "zstd.zarr", "blosc.zarr"])
def test_parts_of_a_store_merge_into_it(stores, tmp_path, source, target):
    store = arraystore.open(stores / source)
    arraystore.export(store.select(slice(0, 15)), tmp_path / "left.zarr", progress=False)
    arraystore.export(store.select(slice(10, None)), tmp_path / "right.h5", progress=False)
    report = arraystore.merge([tmp_path / "left.zarr", tmp_path / "right.h5"], tmp_path / target, progress=False)
    made = arraystore.open(tmp_path / target)
    assert (report.records, report.merged) == (len(store), 5)
    assert_same(store, made)
    assert codecs_of(made) == (codecs_of(store) if target == "m.zarr" else {None})
    assert store.info().status == made.info().status
    assert arraystore.verify(tmp_path / target).ok


def test_a_ground_truth_of_two_stores_is_kept_once(sound, tmp_path):
    store = arraystore.open(sound)
    for level in range(1, 10):
        arraystore.export(store.select(split="test", level=level), tmp_path / f"{level}.zarr", progress=False)
    parts = [tmp_path / f"{level}.zarr" for level in range(1, 10)]
    arraystore.merge(parts, tmp_path / "m.zarr", progress=False)
    made = arraystore.open(tmp_path / "m.zarr")
    assert_same(store.select(split="test"), made)
    assert len(made.memmap("gt", by="item")) == 2


def test_equal_widefields_of_two_stores_stay_one_for_each_record(tmp_path):
    parts = []
    for name, number in (("left", 1), ("right", 2)):
        made = make_biosr(tmp_path / name, 2, validate=0, test=0, side=16)
        folder = made.root / "Microtubules"
        for of in ("wf", "gt"):
            (folder / f"training_{of}/{3 - number:08d}.tif").unlink()
            (folder / f"training_{of}/{number:08d}.tif").write_bytes(tiff_bytes(np.ones((16, 16), np.float32)))
        arraystore.ingest(made.root, tmp_path / f"{name}.zarr", progress=False)
        parts.append(tmp_path / f"{name}.zarr")
    arraystore.merge(parts, tmp_path / "m.zarr", progress=False)
    made = arraystore.open(tmp_path / "m.zarr")
    assert (made.item_rows("wf").tolist(), made.item_rows("gt").tolist()) == ([0, 1], [0, 0])
    assert made.memmap("wf").shape == (2, 16, 16)


def test_what_one_store_lacks_the_other_gives(tmp_path):
    whole = make_biosr(tmp_path / "whole", 4, validate=1, test=1, side=16)
    torn = make_biosr(tmp_path / "torn", 4, validate=1, test=1, side=16)
    folder = torn.root / "Microtubules"
    (folder / "training_gt/00000001.tif").unlink()
    (folder / "training_wf/00000002.tif").write_bytes(b"II*\0 no tiff")
    (folder / "test_gt/001.tif").write_bytes(b"II*\0 no tiff")
    for package in (whole, torn):
        arraystore.ingest(package.root, package.root.with_suffix(".zarr"), progress=False)
    complete = arraystore.open(whole.root.with_suffix(".zarr"))
    for number, order in enumerate([(whole, torn), (torn, whole)]):
        path = tmp_path / f"{number}.zarr"
        arraystore.merge([each.root.with_suffix(".zarr") for each in order], path, progress=False)
        made = arraystore.open(path)
        np.testing.assert_array_equal(
            made.arrays(list(complete.keys), field="wf"), complete.arrays(slice(None), field="wf")
        )
        np.testing.assert_array_equal(
            made.arrays(list(complete.keys), field="gt"), complete.arrays(slice(None), field="gt")
        )
        assert made.info().status == {"sound": len(complete)}
        assert len(made.memmap("gt", by="item")) == len(complete.memmap("gt", by="item"))
        assert arraystore.verify(path).ok


@pytest.mark.parametrize("codec", ["none", "zstd", "blosc"])
def test_different_samples_of_one_key_are_refused_with_both_places(sound, tmp_path, codec):
    changed = make_biosr(tmp_path / "changed", 4, validate=1, test=2, side=16)
    patch = changed.gt["test/level_01/002"].copy()
    patch[3, 3] += 1
    (changed.root / "Microtubules/test_gt/002.tif").write_bytes(tiff_bytes(patch))
    arraystore.ingest(changed.root, tmp_path / "changed.zarr", progress=False, codec=codec)
    row = arraystore.open(sound).rows(["test/level_01/002"])[0]
    places = rf"\(gt\).*'test/level_01/002'.*row {row} of .*sound.zarr and row {row} of .*changed.zarr"
    with pytest.raises(DuplicateKeyError, match=places):
        arraystore.merge([sound, tmp_path / "changed.zarr"], tmp_path / "m.zarr", progress=False)
    assert not (tmp_path / "m.zarr").exists()


def test_a_merge_finds_damage_in_what_it_compares(sound, tmp_path):
    arraystore.export(sound, tmp_path / "copy.h5", progress=False)
    with arraystore.open(sound) as store:
        item = int(store.item_rows("gt")[-1])
        path = Path(store.handle.array_field("gt").stored.files[0][0])
    content = bytearray(path.read_bytes())
    content[item * 16 * 16 * 4 + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match=r"test/level_01/002\), gt"):
        arraystore.merge([tmp_path / "copy.h5", sound], tmp_path / "m.zarr", progress=False)
    assert not (tmp_path / "m.zarr").exists()


@pytest.mark.parametrize("form", [{"side": 20}, {"side": 16, "dtype": "uint16"}])
def test_arrays_of_another_form_do_not_merge(sound, tmp_path, form):
    other = make_biosr(tmp_path / "other", 1, validate=0, test=1, **form)
    arraystore.ingest(other.root, tmp_path / "other.zarr", progress=False)
    with pytest.raises(FormatError, match=r"field wf is of float32 arrays of 16x16 in .*other.zarr: they cannot"):
        arraystore.merge([sound, tmp_path / "other.zarr"], tmp_path / "m.zarr", progress=False)


def test_a_field_that_one_store_has_alone_is_kept(sound, tmp_path):
    other = make_biosr(tmp_path / "other", 6, validate=0, test=0, side=16, seed=1)
    for number in range(1, 5):
        (other.root / f"Microtubules/training_wf/{number:08d}.tif").unlink()
    for path in (other.root / "Microtubules/training_gt").iterdir():
        path.unlink()
    arraystore.ingest(other.root, tmp_path / "other.zarr", progress=False)
    for order in ([sound, tmp_path / "other.zarr"], [tmp_path / "other.zarr", sound]):
        path = tmp_path / f"{order[0].stem}-first.zarr"
        arraystore.merge(order, path, progress=False)
        made = arraystore.open(path)
        np.testing.assert_array_equal(
            made["training/00000004"]["gt"], arraystore.open(sound)["training/00000004"]["gt"]
        )
        np.testing.assert_array_equal(made.arrays(["training/00000006"], field="wf")[0], other.wf["training/00000006"])
        assert (made.item_rows("gt") < 0).sum() == 2
        assert arraystore.verify(path).ok


# ---- what is refused ----


def test_an_append_is_refused_with_the_way_out(package, stores):
    before = files_of(stores / "plain.zarr")
    with pytest.raises(FormatError, match="fields of arrays.*arraystore ingest SOURCE.*arraystore merge") as caught:
        arraystore.append(stores / "plain.zarr", package.root, progress=False)
    assert caught.value.code == "cannot-grow"
    assert files_of(stores / "plain.zarr") == before


@pytest.mark.parametrize("target", ["files", "files.zip"])
def test_an_export_to_files_is_refused_with_the_way_out(stores, tmp_path, target):
    with pytest.raises(SourceError, match=r"no JPEGs but wf \(array\), gt \(array\).*\.zarr or \.h5.*store.arrays"):
        arraystore.export(stores / "plain.zarr", tmp_path / target, progress=False)
    assert not any(tmp_path.iterdir())
