"""An export holds what the store holds, to the byte, and what is not finished does not look whole."""

import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import arraystore
from arraystore import _core
from arraystore.errors import DamagedStoreError, DuplicateKeyError, FormatError, InvalidRequestError, SourceError
from arraystore.format.spec import Status
from arraystore.format.zarr_writer import ZarrWriter
from arraystore.testing import make_bioscan1m, make_bioscan5m
from arraystore.testing.comparing import assert_same_records, bytes_of, files_of

SMALL = {"shard_nbytes": 65_536}
ODD = {
    "empty": b"",
    "truncated": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "no-jpeg": b"not a JPEG\0\0\0",
    "vendor": None,
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A folder with images of every kind: sound, with bytes behind the end, cut short, empty, none; and its store."""
    root = tmp_path_factory.mktemp("odd")
    package = make_bioscan5m(root / "p", n=3, distinct=3)
    sound = list(package.jpegs["cropped_256"].values())
    folder = root / "photos"
    folder.mkdir()
    contents = {**ODD, "vendor": sound[0] + bytes(range(256)) + b"\0\0", "sound": sound[1], "ä b.jpg": sound[2]}
    for name, content in contents.items():
        (folder / (name if name.endswith(".jpg") else name + ".jpg")).write_bytes(content)
    rows = ["key,label,weight,count,note", 'sound,"a,b",0.1,1,', 'missing,,,,"say ""x"""']
    rows += ['vendor,a,1e-300,,"two\nlines"', "empty,b,-2.5,3,", "truncated,b,,4,", "no-jpeg,a,,5,", "ä b,é,3.0,6,-"]
    table = root / "photos.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    arraystore.ingest(folder, root / "odd.zarr", metadata=table, check="pixels", **SMALL)
    return root / "odd.zarr"


# ---- store to store ----


def test_a_copy_is_a_store_with_the_same_records(store, tmp_path):
    report = arraystore.export(store, tmp_path / "copy.zarr", **SMALL)
    assert (report.records, report.images, report.state) == (48, 45, "new")
    assert_same_records(arraystore.open(store), arraystore.open(tmp_path / "copy.zarr"))
    assert arraystore.verify(tmp_path / "copy.zarr").ok
    one, other = files_of(store), files_of(tmp_path / "copy.zarr")
    assert {name for name in one if one[name] != other.get(name)} == {"zarr.json"}
    assert set(one) == set(other)
    info, copied = arraystore.open(store).info(), arraystore.open(tmp_path / "copy.zarr").info()
    assert (info.status, info.splits, info.nbytes) == (copied.status, copied.splits, copied.nbytes)


def test_what_is_known_of_images_is_carried_over_and_not_judged_again(odd, tmp_path):
    arraystore.export(odd, tmp_path / "copy.zarr")
    one, other = arraystore.open(odd), arraystore.open(tmp_path / "copy.zarr")
    assert_same_records(one, other, fields=())
    assert set(one.info().status) == {"sound", "missing", "empty", "truncated", "not-a-jpeg"}
    assert one.info().status == other.info().status


def test_the_same_export_again_is_complete_and_another_one_is_refused(store, tmp_path):
    arraystore.export(store, tmp_path / "c.zarr", **SMALL)
    assert arraystore.export(store, tmp_path / "c.zarr", **SMALL).state == "complete"
    view = arraystore.open(store).select(slice(5))
    with pytest.raises(InvalidRequestError, match="--overwrite"):
        arraystore.export(view, tmp_path / "c.zarr", **SMALL)
    assert arraystore.export(view, tmp_path / "c.zarr", overwrite=True, **SMALL).records == 5


def test_the_records_of_a_view_are_exported_in_its_order(store, tmp_path):
    opened = arraystore.open(store)
    view = opened.select(split=["train", "val"]).sample(8, seed=4)
    arraystore.export(view, tmp_path / "v.zarr", **SMALL)
    assert_same_records(view, arraystore.open(tmp_path / "v.zarr"), categories=False)
    assert arraystore.verify(tmp_path / "v.zarr").ok
    with pytest.raises(InvalidRequestError, match="is selected twice"):
        arraystore.export(opened.select([3, 3]), tmp_path / "w.zarr")
    arraystore.export(opened.select([]), tmp_path / "none.zarr")
    assert len(arraystore.open(tmp_path / "none.zarr")) == 0


def test_a_damaged_record_stops_the_export_with_its_name(store, tmp_path):
    damaged = tmp_path / "d.zarr"
    arraystore.export(store, damaged, **SMALL)
    opened = arraystore.open(damaged)
    row = int(np.flatnonzero(opened.handle.numbers("image", "nbytes"))[7])
    place = int(np.asarray(opened.handle.field("image").offsets())[row])
    shard = damaged / f"image/data/c/{place // 65_536}"
    content = bytearray(shard.read_bytes())
    content[place % 65_536 + 100] ^= 1
    shard.write_bytes(content)
    for target in ("x.zarr", "x.zip", "x"):
        with pytest.raises(DamagedStoreError, match=f"{row} .{opened.keys[row]}.*arraystore verify"):
            arraystore.export(damaged, tmp_path / target)
        assert not (tmp_path / target).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.zarr", "d.zarr.image.seek"]


@pytest.mark.parametrize("name", ["store", "odd"])
def test_zarr_and_hdf5_go_into_each_other(request, tmp_path, name):
    store = request.getfixturevalue(name)
    fields = ("dna_barcode",) if name == "store" else ()
    one = arraystore.open(store)
    previous = store
    for step, container in enumerate(["a.h5", "b.h5", "c.zarr", "d.zarr"]):
        arraystore.export(previous, tmp_path / container, workers=1 + step % 2, **SMALL)
        previous = tmp_path / container
        assert_same_records(one, arraystore.open(previous), fields=fields)
        assert arraystore.verify(previous).ok
    assert arraystore.export(tmp_path / "c.zarr", tmp_path / "d.zarr", **SMALL).state == "complete"
    arraystore.export(tmp_path / "a.h5", tmp_path / "x.zip")
    arraystore.export(store, tmp_path / "y.zip")
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "y.zip").read_bytes()
    assert (tmp_path / "x.csv").read_bytes() == (tmp_path / "y.csv").read_bytes()


@pytest.mark.parametrize(("owner", "step"), [(_core, "pack"), (_core, "write_sharded"), (ZarrWriter, "commit")])
def test_an_export_that_fails_is_finished_by_the_same_call(store, tmp_path, monkeypatch, owner, step):
    whole, path = tmp_path / "whole.zarr", tmp_path / "s.zarr"
    arraystore.export(store, whole, **SMALL)

    def fail(*_, **__):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, fail)
        with pytest.raises(RuntimeError):
            arraystore.export(store, path, **SMALL)
    arraystore.export(store, path, **SMALL)
    assert files_of(path) == files_of(whole)


@pytest.mark.parametrize("target", ["", "image", "image/x.zarr"])
def test_a_store_is_not_exported_into_itself(store, target):
    with pytest.raises(InvalidRequestError, match="are one, or one lies inside"):
        arraystore.export(store, store / target, overwrite=True)


# ---- files ----


@pytest.mark.parametrize("target", ["tree", "x.zip"])
def test_bioscan_5m_goes_into_files_and_back(store, package, tmp_path, target):
    report = arraystore.export(store, tmp_path / target)
    again = {"metadata": report.table} if target == "x.zip" else {}
    arraystore.ingest(tmp_path / target, tmp_path / "again.zarr", **again, **SMALL)
    one, other = arraystore.open(store), arraystore.open(tmp_path / "again.zarr")
    assert_same_records(one, other)
    assert one.info().package == other.info().package == "cropped_256"
    if target == "tree":
        names = {path.removeprefix("bioscan5m/images/") for path in files_of(tmp_path / target)}
        images = package.images["cropped_256"]
        published = {f"cropped_256/{file.relative_to(images).as_posix()}" for file in images.rglob("*.jpg")}
        others = {"bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv", ".arraystore-export.json"}
        assert names - published == others
        assert published <= names
        header = report.table.read_text().splitlines()[0]
        assert header == package.metadata.read_text().splitlines()[0]


def test_an_archive_is_stored_and_whole_for_others(store, tmp_path):
    arraystore.export(store, tmp_path / "x.zip")
    opened = arraystore.open(store)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.testzip() is None
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        assert len(archive.infolist()) == 45
        for member in archive.infolist():
            assert archive.read(member) == opened.jpeg(Path(member.filename).stem)
    arraystore.export(store, tmp_path / "y.zip", workers=3)
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "y.zip").read_bytes()


def test_bioscan_1m_goes_into_files_and_back(tmp_path):
    package = make_bioscan1m(tmp_path / "p", n=30, distinct=4)
    arraystore.ingest(package.sources, tmp_path / "one.zarr", **SMALL)
    for target in ("tree", "x.zip"):
        report = arraystore.export(tmp_path / "one.zarr", tmp_path / target)
        again = tmp_path / f"{target}.zarr"
        arraystore.ingest(tmp_path / target, again, metadata=report.table if target == "x.zip" else None, **SMALL)
        assert_same_records(arraystore.open(tmp_path / "one.zarr"), arraystore.open(again), fields=("nucraw",))
    assert any("/part" in name for name in files_of(tmp_path / "tree"))


@pytest.mark.parametrize("target", ["tree", "x.zip"])
def test_any_folder_goes_into_files_and_back(odd, tmp_path, target):
    report = arraystore.export(odd, tmp_path / target)
    source = tmp_path / target if target == "x.zip" else tmp_path / target / "photos"
    assert f"arraystore ingest {source} --metadata {report.table} --key key" in str(report)
    arraystore.ingest(source, tmp_path / "again.zarr", metadata=report.table, key="key", check="pixels")
    one, other = arraystore.open(odd), arraystore.open(tmp_path / "again.zarr")
    assert_same_records(one, other, fields=())
    assert bytes_of(other, "vendor").endswith(b"\xff\0\0")


def test_what_stands_there_is_not_replaced_unasked_and_a_foreign_folder_never(store, tmp_path):
    for target in ("tree", "x.zip"):
        arraystore.export(store, tmp_path / target)
        before = files_of(tmp_path)
        with pytest.raises(InvalidRequestError, match="exists.*--overwrite"):
            arraystore.export(store, tmp_path / target)
        assert files_of(tmp_path) == before
        arraystore.export(arraystore.open(store).select(slice(3)), tmp_path / target, overwrite=True)
        assert files_of(tmp_path) != before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("x")
    with pytest.raises(FormatError, match="is no export"):
        arraystore.export(store, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine/letter.txt").exists()


def test_an_export_never_replaces_what_it_did_not_write(store, package, tmp_path):
    # The publisher's own tree has the table where an export would write it.
    root = tmp_path / "data"
    shutil.copytree(package.root, root / "bioscan5m")
    (root / "notes.txt").write_text("x")
    before = files_of(root)
    with pytest.raises(FormatError, match="is no export, which has .arraystore-export.json"):
        arraystore.export(store, root, overwrite=True)
    assert files_of(root) == before
    arraystore.export(store, tmp_path / "tree")
    (tmp_path / "tree/bioscan5m/notes.txt").write_text("x")
    before = files_of(tmp_path / "tree")
    with pytest.raises(FormatError, match="holds 47 files, the export that made it wrote 46"):
        arraystore.export(store, tmp_path / "tree", overwrite=True)
    assert files_of(tmp_path / "tree") == before


@pytest.mark.parametrize("target", ["tree", "x.zip"])
def test_columns_of_further_tables_keep_their_types(store, tmp_path, target):
    opened = arraystore.open(store)
    boxes, flags = tmp_path / "boxes.csv", tmp_path / "flags.csv"
    keys = opened.keys[:]
    boxes.write_text("processid,x0,y1\n" + "".join(f"{key},{row - 3},{2 * row}\n" for row, key in enumerate(keys)))
    flags.write_text(
        "processid,is_good,level\n" + "".join(f"{key},{row % 3 == 0},{row}\n" for row, key in enumerate(keys))
    )
    arraystore.export(store, tmp_path / "source")
    table = next((tmp_path / "source").rglob("*.csv"))
    arraystore.ingest(tmp_path / "source", tmp_path / "one.zarr", metadata=[table, boxes, flags], **SMALL)
    report = arraystore.export(tmp_path / "one.zarr", tmp_path / target)
    arraystore.ingest(tmp_path / target, tmp_path / "two.zarr", metadata=report.table, **SMALL)
    one, two = arraystore.open(tmp_path / "one.zarr"), arraystore.open(tmp_path / "two.zarr")
    for name in ("x0", "y1", "is_good"):
        assert one.columns[name].to_numpy().dtype == two.columns[name].to_numpy().dtype
        assert (one.columns[name].to_numpy() == two.columns[name].to_numpy()).all()
    assert len(two.select(is_good=True)) == -(-len(keys) // 3)


@pytest.mark.parametrize("key", ["../up", "a/b", ".hidden", "x" * 300, "nul\0"])
def test_a_key_that_is_no_name_of_a_file_is_named(tmp_path, key):
    with pytest.raises(InvalidRequestError, match="cannot be the name of a file") as caught:
        _core.file_paths(_core.Strings.from_list(["good", key]), np.zeros(2, np.uint64), ["d"])
    assert repr(key)[1:4] in str(caught.value)


def test_two_keys_that_would_be_one_file_are_named(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"1")
    (folder / "a.jpg.jpg").write_bytes(b"2")
    arraystore.ingest(folder, tmp_path / "s.zarr")
    with pytest.raises(DuplicateKeyError, match="would be the same file, f/a.jpg"):
        arraystore.export(tmp_path / "s.zarr", tmp_path / "out")
    assert not (tmp_path / "out").exists()


KILLED = """
import os, signal, sys
import arraystore
from arraystore.ingestion import files
setattr(*eval(sys.argv[3]), lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
arraystore.export(sys.argv[1], sys.argv[2])
"""


@pytest.mark.parametrize("step", ["files._core, 'write_zip'", "files._core, 'write_tree'", "files, '_sync_tree'"])
def test_an_export_of_files_that_is_killed_begins_anew(store, tmp_path, step):
    target = tmp_path / ("x.zip" if "zip" in step else "tree")
    command = [sys.executable, "-c", KILLED, str(store), str(target), step]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not target.exists()
    assert any(path.name.endswith(".partial") for path in tmp_path.iterdir())
    arraystore.export(store, target)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]
    arraystore.export(store, tmp_path / "other" / target.name)
    for path in (tmp_path / "other").iterdir():
        one, other = (each if each.is_dir() else each.parent for each in (tmp_path / path.name, path))
        here = files_of(one)
        assert {name: here[name] for name in files_of(other)} == files_of(other)


def test_two_exports_to_one_place_are_refused(store, tmp_path):
    from arraystore.ingestion.files import _partial

    with (
        _partial(tmp_path / "t", as_folder=True),
        pytest.raises(SourceError, match="another export to this place is running"),
    ):
        arraystore.export(store, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_a_source_that_is_opened_as_it_is_is_ingested_instead(package):
    with arraystore.open(package.sources()[0]) as opened, pytest.raises(InvalidRequestError, match="arraystore ingest"):
        arraystore.export(opened, "x.zarr")


def test_status_numbers_that_have_no_bytes_survive(store, tmp_path):
    view = arraystore.open(store)
    assert (view.handle.numbers("image", "status") == Status.MISSING).sum() == 3
    arraystore.export(store, tmp_path / "c.zarr")
    assert arraystore.open(tmp_path / "c.zarr").info().status == view.info().status
