"""A merge holds what any of its stores holds, and refuses what contradicts itself."""

import shutil

import numpy as np
import pytest

import arraystore
from arraystore.errors import DamagedStoreError, DuplicateKeyError, InvalidRequestError
from arraystore.reader.column import is_missing
from arraystore.testing import make_bioscan5m
from arraystore.testing.comparing import assert_same_records, bytes_of, files_of

SMALL = {"shard_nbytes": 65_536}


@pytest.fixture(scope="module")
def halves(store, tmp_path_factory):
    """Two stores that share ten records."""
    root, opened = tmp_path_factory.mktemp("halves"), arraystore.open(store)
    found = []
    for name, rows in (("left", slice(0, 30)), ("right", slice(20, None))):
        arraystore.export(opened.select(rows), root / f"{name}.zarr", **SMALL)
        found.append(root / f"{name}.zarr")
    return found


def folder_store(path, files, table=None, **options):
    folder = path.with_suffix("")
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.jpg").write_bytes(content)
    if table is not None:
        path.with_suffix(".csv").write_text(table, encoding="utf-8")
        options["metadata"] = path.with_suffix(".csv")
    arraystore.ingest(folder, path, **options)
    return path


def test_the_parts_of_a_store_merge_into_it(store, halves, tmp_path):
    report = arraystore.merge(halves, tmp_path / "m.zarr", **SMALL)
    assert (report.records, report.merged, report.images) == (48, 10, 45)
    one, other = arraystore.open(store), arraystore.open(tmp_path / "m.zarr")
    assert_same_records(one, other)
    assert one.info().splits == {key: n for key, n in other.info().splits.items() if n}
    assert len(other.select(split="unseen")) == len(one.select(split="unseen"))
    assert arraystore.verify(tmp_path / "m.zarr").ok
    assert arraystore.merge(halves, tmp_path / "m.zarr", **SMALL).state == "complete"


def test_stores_in_zarr_and_in_hdf5_merge_into_either(store, halves, tmp_path):
    arraystore.export(halves[1], tmp_path / "right.h5")
    for target in ("m.h5", "m.zarr"):
        arraystore.merge([halves[0], tmp_path / "right.h5"], tmp_path / target, **SMALL)
        assert_same_records(arraystore.open(store), arraystore.open(tmp_path / target))
        assert arraystore.verify(tmp_path / target).ok


def test_a_merge_does_not_depend_on_which_store_has_a_shared_record(store, halves, tmp_path):
    arraystore.merge(halves[::-1], tmp_path / "m.zarr", **SMALL)
    one, other = arraystore.open(store), arraystore.open(tmp_path / "m.zarr")
    assert_same_records(one, other.select(list(one.keys)), categories=False)


def test_a_merge_that_fails_is_finished_by_the_same_call(halves, tmp_path, monkeypatch):
    from arraystore.format.zarr_writer import ZarrWriter

    arraystore.merge(halves, tmp_path / "whole.zarr", **SMALL)

    def fail(*_, **__):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(ZarrWriter, "commit", fail)
        with pytest.raises(RuntimeError):
            arraystore.merge(halves, tmp_path / "m.zarr", **SMALL)
    assert arraystore.merge(halves, tmp_path / "m.zarr", **SMALL).state == "resumed"
    assert files_of(tmp_path / "m.zarr") == files_of(tmp_path / "whole.zarr")


def test_what_one_store_lacks_is_taken_from_another(tmp_path):
    one = folder_store(tmp_path / "one.zarr", {"a": b"1", "c": b""}, "key,x,y\na,1,\nb,2,u\nc,,\n")
    two = folder_store(tmp_path / "two.zarr", {"b": b"22", "c": b"", "d": b"4"}, "key,y,z\na,v,0.5\nb,u,\nd,w,1.5\n")
    arraystore.merge([one, two], tmp_path / "m.zarr")
    merged = arraystore.open(tmp_path / "m.zarr")
    assert list(merged.keys) == ["a", "b", "c", "d"]
    assert [bytes_of(merged, key) for key in merged.keys] == [b"1", b"22", None, b"4"]
    status = [int(each) for each in merged.handle.numbers("image", "status")]
    assert status[2] == 2
    values = {name: [None if is_missing(value) else value for value in merged.columns[name]] for name in "xyz"}
    assert values == {"x": [1, 2, None, None], "y": ["v", "u", None, "w"], "z": [0.5, None, None, 1.5]}


def test_what_a_closer_look_has_found_out_counts(package, tmp_path):
    jpeg = next(iter(package.jpegs["cropped_256"].values()))
    damaged = jpeg[:-900] + bytes(898) + jpeg[-2:]
    one = folder_store(tmp_path / "one.zarr", {"a": damaged, "b": jpeg})
    two = folder_store(tmp_path / "two.zarr", {"a": damaged, "b": jpeg}, check="pixels")
    assert arraystore.open(two).info().status["sound"] == 1
    for stores in ([one, two], [two, one]):
        arraystore.merge(stores, tmp_path / "m.zarr", overwrite=True)
        assert arraystore.open(tmp_path / "m.zarr").info().status == arraystore.open(two).info().status


@pytest.mark.parametrize("other", [b"2", b"22"])
def test_two_images_of_one_key_are_refused_with_both_places(tmp_path, other):
    one = folder_store(tmp_path / "one.zarr", {"a": b"1", "b": b"x"})
    two = folder_store(tmp_path / "two.zarr", {"b": b"x", "a": other})
    with pytest.raises(DuplicateKeyError, match=f"'a': row 0 of {one} and row [01] of {two}"):
        arraystore.merge([one, two], tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()


def test_two_values_of_one_record_are_refused(tmp_path):
    one = folder_store(tmp_path / "one.zarr", {"a": b"1"}, "key,x\na,1\n")
    two = folder_store(tmp_path / "two.zarr", {"a": b"1"}, "key,x\na,2\n")
    with pytest.raises(DuplicateKeyError, match=f"'x' has different values for 'a' in {one} and in {two}"):
        arraystore.merge([one, two], tmp_path / "m.zarr")
    three = folder_store(tmp_path / "three.zarr", {"b": b"1"}, "key,x\nb,text\n")
    with pytest.raises(InvalidRequestError, match=f"'x' holds numbers in {one} and text in {three}"):
        arraystore.merge([one, three], tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()


def test_two_texts_of_one_record_are_refused(store, tmp_path):
    package = make_bioscan5m(tmp_path / "p", n=6, distinct=2)
    arraystore.ingest(package.sources(), tmp_path / "one.zarr")
    table = package.metadata.read_text()
    barcode = arraystore.open(tmp_path / "one.zarr").text(2)
    package.metadata.write_text(table.replace(barcode, barcode[:-1] + ("A" if barcode[-1] != "A" else "C")))
    arraystore.ingest(package.sources(), tmp_path / "two.zarr")
    with pytest.raises(DuplicateKeyError, match="two different texts .dna_barcode."):
        arraystore.merge([tmp_path / "one.zarr", tmp_path / "two.zarr"], tmp_path / "m.zarr")


def test_stores_that_do_not_belong_together_are_refused(store, tmp_path):
    other = make_bioscan5m(tmp_path / "p", n=4, distinct=2, packages=("original_256",))
    arraystore.ingest(other.sources("original_256"), tmp_path / "o.zarr")
    with pytest.raises(
        InvalidRequestError, match=r"the package of .* is 'cropped_256', that of .*o.zarr is 'original_256'"
    ):
        arraystore.merge([store, tmp_path / "o.zarr"], tmp_path / "m.zarr")
    folder = folder_store(tmp_path / "f.zarr", {"a": b"1"})
    with pytest.raises(InvalidRequestError, match="the key of|the data set of"):
        arraystore.merge([store, folder], tmp_path / "m.zarr")
    for stores in ([store], str(store), [store, store]):
        with pytest.raises(InvalidRequestError, match="at least two|named twice"):
            arraystore.merge(stores, tmp_path / "m.zarr")
    with pytest.raises(InvalidRequestError, match="are one"):
        arraystore.merge([store, tmp_path / "o.zarr"], store, overwrite=True)


def test_damage_is_noticed_where_records_are_compared_and_where_they_are_copied(halves, tmp_path):
    right = tmp_path / "right.zarr"
    shutil.copytree(halves[1], right)
    opened = arraystore.open(right)
    nbytes = opened.handle.numbers("image", "nbytes")
    offsets = np.asarray(opened.handle.field("image").offsets())
    for row in (2, len(opened) - 1):
        assert nbytes[row]
        shard = right / f"image/data/c/{offsets[row] // 65_536}"
        content = bytearray(shard.read_bytes())
        content[int(offsets[row]) % 65_536 + 50] ^= 1
        shard.write_bytes(content)
        with pytest.raises(DamagedStoreError, match=opened.keys[row]):
            arraystore.merge([halves[0], right], tmp_path / "m.zarr")
        content[int(offsets[row]) % 65_536 + 50] ^= 1
        shard.write_bytes(content)
