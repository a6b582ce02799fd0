"""An append adds what a store lacks, and until it is committed nobody sees any of it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import zarr

import arraystore
from arraystore import _core
from arraystore.errors import DamagedStoreError, DuplicateKeyError, FormatError, InvalidRequestError, SourceError
from arraystore.format.containers import open_layout
from arraystore.format.zarr_growth import ZarrGrowth
from arraystore.ingestion import append as append_module
from arraystore.testing import make_bioscan5m
from arraystore.testing.comparing import assert_same_records, bytes_of, files_of

SMALL = {"shard_nbytes": 65_536}
FIRST, THEN = ("pretrain", "train"), ("val", "test", "key_unseen", "val_unseen", "test_unseen", "other_heldout")


@pytest.fixture(scope="module")
def parts(package, tmp_path_factory):
    """The package in two folders, as it is published in several archives, and its table beside both."""
    root = tmp_path_factory.mktemp("parts")
    images, found = package.images["cropped_256"], []
    for number, splits in enumerate((FIRST, THEN)):
        folder = root / str(number) / "bioscan5m/images/cropped_256"
        for split in splits:
            if (images / split).exists():
                shutil.copytree(images / split, folder / split)
        found.append(folder)
    return found, package.metadata


@pytest.fixture(scope="module")
def half(parts, tmp_path_factory):
    (first, _), table = parts
    path = tmp_path_factory.mktemp("half") / "cropped_256.zarr"
    arraystore.ingest(first, path, metadata=table, rows="images", **SMALL)
    return path


@pytest.fixture
def begun(half, tmp_path):
    """A copy of the store of the first part, to add to."""
    return Path(shutil.copytree(half, tmp_path / "s.zarr"))


@pytest.fixture
def grown(begun, parts):
    arraystore.append(begun, parts[0][1], metadata=parts[1])
    return begun


def in_order(store, like):
    return store.select(list(like.keys))


def test_a_store_that_has_grown_is_that_of_all_sources_at_once(grown, store, half):
    one, other = arraystore.open(grown), arraystore.open(half)
    assert list(one.keys[: len(other)]) == list(other.keys)
    whole = arraystore.open(store).select([key for key in arraystore.open(store).keys if key in one])
    assert len(whole) == len(one) == 45
    assert_same_records(in_order(one, whole), whole, categories=False)
    assert arraystore.verify(grown).ok
    assert one.info().splits == {key: n for key, n in whole.info().splits.items() if n}
    assert one.info().status == {"sound": 45}
    assert [one.row(key) for key in one.keys] == list(range(45))
    assert one.labels("split").names == sorted(set(one.columns["split"]))


def test_every_row_of_the_table_is_in_the_store_once(half, parts, store, tmp_path):
    folders, table = parts
    arraystore.ingest(folders[0], tmp_path / "s.zarr", metadata=table, **SMALL)
    report = arraystore.append(tmp_path / "s.zarr", folders[1], metadata=table)
    one, whole = arraystore.open(tmp_path / "s.zarr"), arraystore.open(store)
    assert (report.added, report.records) == (len(one) - 48 + report.added, len(whole))
    assert sorted(one.keys) == sorted(whole.keys)
    assert_same_records(in_order(one, whole), whole, categories=False)
    assert report.filled == report.images - report.added
    assert report.merged == 0


def test_other_readers_find_every_image(grown):
    class Reader:
        def __init__(self, path):
            self.store = zarr.open_group(path, mode="r")
            generation = self.store.attrs["arraystore"].get("generation", 0)
            self.index = self.store[f"generation/{generation}"] if generation else self.store
            self.rows = {key: row for row, key in enumerate(self.index["columns/processid"][:])}

        def jpeg(self, key):
            row, image = self.rows[key], self.index["image"]
            start, nbytes = int(image["offset"][row]), int(image["nbytes"][row])
            return self.store["image/data"][start : start + nbytes].tobytes()

    reader, opened = Reader(grown), arraystore.open(grown)
    assert {key: reader.jpeg(key) for key in reader.rows} == {key: bytes_of(opened, key) for key in opened.keys}
    # Without what the root document says of the nodes, too.
    alone = zarr.open_array(grown / "image/data", mode="r")
    assert alone.shape == reader.store["image/data"].shape


READER = """
import sys, arraystore
store = arraystore.open(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
import hashlib
keys = list(store.keys)
print(len(store), hashlib.md5(b"".join(store.jpeg(slice(None)))).hexdigest(), hash(tuple(keys)) * 0,
      store.columns["family"].value_counts() == arraystore.open(sys.argv[2]).columns["family"].value_counts(),
      store.text(0) == arraystore.open(sys.argv[2]).text(0), flush=True)
"""


def test_a_reader_in_another_process_keeps_reading_what_it_opened(begun, half, parts):
    # Opened before, and nothing but the root document read; all of it is read after.
    command = [sys.executable, "-c", READER, str(begun), str(half)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout.readline() == "open\n"
        arraystore.append(begun, parts[0][1], metadata=parts[1])
        seen, _ = reader.communicate("go\n", timeout=60)
    with subprocess.Popen(
        [*command[:3], str(half), str(half)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        expected, _ = other.communicate("go\n", timeout=60)
    assert seen == expected
    assert seen.split()[-2:] == ["True", "True"]


def test_a_forked_reader_keeps_reading_what_its_parent_opened(begun, half, parts):
    opened, before = arraystore.open(begun), arraystore.open(half)
    arraystore.append(begun, parts[0][1], metadata=parts[1])
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        same = opened.jpeg(slice(None)) == before.jpeg(slice(None)) and len(opened) == len(before)
        same = same and list(opened.columns["order"]) == list(before.columns["order"])
        os.write(write, b"1" if same else b"0")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1) == b"1"
    os.close(read)
    os.close(write)
    assert len(opened.columns["order"]) == len(before) < len(arraystore.open(begun))


def test_the_state_before_stays_until_the_next_append_and_older_ones_go(grown, package, tmp_path):
    names = {path.split("/")[0] for path in files_of(grown)}
    assert {"image", "columns", "key", "generation"} <= names
    assert (grown / "columns/split").exists()
    opened = arraystore.open(grown)
    report = arraystore.append(grown, package.sources(), rows="all")
    assert (report.generation, report.added, report.merged) == (2, 3, 45)
    assert not (grown / "columns").exists()
    assert not (grown / "image/offset").exists()
    assert sorted(path.name for path in (grown / "generation").iterdir()) == ["1", "2", "zarr.json"]
    assert len(opened.jpeg(slice(None))) == 45
    assert arraystore.verify(grown).ok
    assert len(arraystore.open(grown)) == 48


def test_the_same_append_again_adds_nothing(grown, parts):
    before = files_of(grown)
    report = arraystore.append(grown, parts[0][1], metadata=parts[1])
    assert (report.state, report.records, report.exit_code) == ("complete", 45, 0)
    # Also if it is told otherwise: all is in the store.
    report = arraystore.append(grown, parts[0][0], metadata=parts[1], check="pixels")
    assert (report.state, report.added) == ("complete", 0)
    assert files_of(grown) == before


def test_records_without_an_image_get_theirs_and_missing_values_are_filled(parts, package, tmp_path):
    (first, _), table = parts
    # Without the table, nothing is known but what the paths tell.
    bare = tmp_path / "bare"
    shutil.copytree(first, bare / "cropped_256")
    arraystore.ingest(bare / "cropped_256", tmp_path / "s.zarr", **SMALL)
    assert list(arraystore.open(tmp_path / "s.zarr").columns) == ["split", "chunk"]
    report = arraystore.append(tmp_path / "s.zarr", package.sources(), metadata=table, rows="all")
    one = arraystore.open(tmp_path / "s.zarr")
    arraystore.ingest(package.sources(), tmp_path / "whole.zarr", **SMALL)
    whole = arraystore.open(tmp_path / "whole.zarr")
    assert report.merged + report.images == 45
    like = in_order(one, whole)
    assert {key: bytes_of(like, key) for key in like.keys} == {key: bytes_of(whole, key) for key in whole.keys}
    assert like.text(slice(None)) == whole.text(slice(None))
    assert like.columns["species"].to_numpy().tolist() == whole.columns["species"].to_numpy().tolist()
    assert arraystore.verify(tmp_path / "s.zarr").ok


def test_other_bytes_for_a_key_are_refused_with_both_places_before_anything_is_written(begun, parts, tmp_path):
    (first, _), table = parts
    other = tmp_path / "bioscan5m/images/cropped_256"
    shutil.copytree(first, other)
    image = sorted(other.rglob("*.jpg"))[4]
    row = arraystore.open(begun).row(image.stem)
    for content in (image.read_bytes()[:-1] + b"\0", image.read_bytes() + b"\0"):
        image.write_bytes(content)
        before = files_of(begun)
        with pytest.raises(DuplicateKeyError, match=f"{image.stem}.*row {row} of {begun} and {image}"):
            arraystore.append(begun, other, metadata=table)
        assert files_of(begun) == before


def test_what_is_wrong_with_new_images_is_told_by_their_rows_in_the_store(begun, tmp_path):
    folder = tmp_path / "bioscan5m/images/cropped_256/val"
    folder.mkdir(parents=True)
    (folder / "BAD001-20.jpg").write_bytes(b"no jpeg")
    (folder / "BAD002-20.jpg").write_bytes(b"")
    n = len(arraystore.open(begun))
    report = arraystore.append(begun, folder)
    assert (report.exit_code, report.added) == (3, 2)
    assert report.troubles == {"not-a-jpeg": 1, "empty": 1}
    lines = report.troubles_path.read_text().splitlines()
    assert {line.split(",")[2] for line in lines[1:]} == {str(n), str(n + 1)}
    info = arraystore.open(begun).info()
    assert (info.status["not-a-jpeg"], info.status["empty"]) == (1, 1)
    assert arraystore.verify(begun).ok
    assert arraystore.append(begun, folder).state == "complete"
    (folder / "BAD002-20.jpg").write_bytes(b"\xff\xd8")
    assert arraystore.append(begun, folder).filled == 1
    info = arraystore.open(begun).info()
    assert {kind: info.troubles.get(kind) for kind in ("not-a-jpeg", "empty", "truncated")} == {
        "not-a-jpeg": 1,
        "empty": None,
        "truncated": 1,
    }


def test_troubles_are_those_that_are_left(parts, package, tmp_path):
    (first, _), table = parts
    arraystore.ingest(first, tmp_path / "s.zarr", metadata=table, package="cropped_256", **SMALL)
    before = arraystore.open(tmp_path / "s.zarr").info()
    arraystore.append(tmp_path / "s.zarr", package.sources(), metadata=table)
    after = arraystore.open(tmp_path / "s.zarr").info()
    assert before.troubles["row-without-image"] == before.status["missing"] > after.status.get("missing", 0)
    assert after.troubles.get("row-without-image", 0) == after.status.get("missing", 0)


def test_a_source_of_another_package_is_refused(begun, tmp_path):
    package = make_bioscan5m(tmp_path, n=4, distinct=2, packages=("original_256",))
    before = files_of(begun)
    with pytest.raises(
        InvalidRequestError, match="the package of .* is cropped_256, that of the source is original_256"
    ):
        arraystore.append(begun, package.sources("original_256"))
    assert files_of(begun) == before


def test_an_image_that_fits_in_no_shard_is_named(begun, tmp_path):
    folder = tmp_path / "bioscan5m/images/cropped_256/val"
    folder.mkdir(parents=True)
    (folder / "BIG001-20.jpg").write_bytes(b"\xff\xd8" + bytes(70_000))
    with pytest.raises(InvalidRequestError, match=r"BIG001-20.jpg: 70,002 bytes do not fit .* 65,536 bytes"):
        arraystore.append(begun, folder)
    assert not (begun / ".ingest").exists()


def test_a_container_that_does_not_grow_says_what_to_do(begun, parts, tmp_path):
    arraystore.export(begun, tmp_path / "s.h5")
    before = (tmp_path / "s.h5").read_bytes()
    with pytest.raises(FormatError, match="only a store in Zarr.*merge the two, or export"):
        arraystore.append(tmp_path / "s.h5", parts[0][1])
    assert (tmp_path / "s.h5").read_bytes() == before


def test_two_appends_at_once_are_refused(begun, parts):
    from arraystore.format.containers import open_growing
    from arraystore.ingestion.workdir import Job, grow

    with grow(open_growing(begun), Job(("x",), 1, None, {})), pytest.raises(SourceError, match="another process"):
        arraystore.append(begun, parts[0][1], metadata=parts[1])


# ---- interruptions ----


class StoppedError(Exception):
    """Not an error of ours, so that nothing can handle it."""


def fail(*_, **__):
    raise StoppedError


STEPS = [
    (_core, "read_table"),
    (_core, "pack"),
    (_core, "write_sharded"),
    (ZarrGrowth, "begin"),
    (append_module, "write_troubles"),
    (_core, "file_crc32c"),
    (ZarrGrowth, "commit"),
    (ZarrGrowth, "remove_older"),
    (append_module, "remove_workdir"),
]


@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
def test_an_append_that_fails_leaves_the_old_store_and_the_same_call_finishes_it(
    begun, half, parts, grown_files, monkeypatch, owner, step
):
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, fail)
        with pytest.raises(StoppedError):
            arraystore.append(begun, parts[0][1], metadata=parts[1])
    assert arraystore.verify(begun).ok
    if step not in ("remove_older", "remove_workdir"):
        assert_same_records(arraystore.open(begun), arraystore.open(half))
    arraystore.append(begun, parts[0][1], metadata=parts[1])
    assert files_of(begun) == grown_files
    assert arraystore.verify(begun).ok


@pytest.fixture(scope="module")
def grown_files(half, parts, tmp_path_factory):
    path = Path(shutil.copytree(half, tmp_path_factory.mktemp("grown") / "s.zarr"))
    arraystore.append(path, parts[0][1], metadata=parts[1])
    return files_of(path)


KILLED = """
import os, signal, sys
import arraystore
from arraystore import _core
from arraystore.format import zarr_growth, zarr_writer
owner, step, calls = eval(sys.argv[1]), sys.argv[2], int(sys.argv[3])
original = getattr(owner, step)
def killed(*arguments, **options):
    global calls
    calls -= 1
    if calls < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **options)
setattr(owner, step, killed)
arraystore.append(sys.argv[4], sys.argv[5], metadata=sys.argv[6])
"""


@pytest.mark.parametrize(
    ("owner", "step", "calls"),
    [
        ("_core", "pack", 0),
        ("_core", "pack", 1),
        ("_core", "write_sharded", 5),
        ("zarr_growth", "write_durably", 0),
        ("zarr_growth", "write_durably", 1),
        ("zarr_writer", "write_durably", 0),
        ("zarr_growth.ZarrGrowth", "remove_older", 0),
        ("zarr_writer.ZarrWriter", "commit", 0),
    ],
)
def test_an_append_that_is_killed_leaves_the_old_store_and_the_same_command_finishes_it(
    begun, half, parts, grown_files, owner, step, calls
):
    arguments = [owner, step, str(calls), str(begun), str(parts[0][1]), str(parts[1])]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    report = arraystore.verify(begun)
    assert report.ok, report
    if step != "remove_older":
        assert_same_records(arraystore.open(begun), arraystore.open(half))
    arraystore.append(begun, parts[0][1], metadata=parts[1])
    assert files_of(begun) == grown_files


def test_another_append_takes_the_place_of_one_that_was_interrupted(begun, half, parts, package, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ZarrGrowth, "commit", fail)
        with pytest.raises(StoppedError):
            arraystore.append(begun, parts[0][1], metadata=parts[1])
    assert (begun / "generation/1").exists()
    arraystore.append(begun, package.sources(), rows="all")
    assert arraystore.verify(begun).ok
    assert len(arraystore.open(begun)) == 48


def test_what_an_append_has_left_is_stray_once_its_work_directory_is_gone(begun, parts, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ZarrGrowth, "commit", fail)
        with pytest.raises(StoppedError):
            arraystore.append(begun, parts[0][1], metadata=parts[1])
    shutil.rmtree(begun / ".ingest")
    problems = arraystore.verify(begun).problems
    assert {each.kind for each in problems} == {"stray-file"}
    arraystore.append(begun, parts[0][1], metadata=parts[1])
    assert arraystore.verify(begun).ok


@pytest.mark.parametrize(
    "name", ["image/data/c/0", "generation/1/columns/split/codes/c/0", "generation/1/image/crc32c/c/0"]
)
def test_damage_of_a_grown_store_is_found(grown, name):
    content = bytearray((grown / name).read_bytes())
    content[3] ^= 1
    (grown / name).write_bytes(content)
    assert not arraystore.verify(grown).ok


def test_the_length_of_every_shard_is_known(grown):
    shards = sorted((grown / "image/data/c").iterdir(), key=lambda path: int(path.name))
    for shard in shards:
        with shard.open("ab") as file:
            file.write(b"\0")
        problems = arraystore.verify(grown).problems
        assert [(each.kind, each.place) for each in problems] == [("wrong-length", f"image/data/c/{shard.name}")]
        os.truncate(shard, shard.stat().st_size - 1)


# ---- with export and merge ----


def test_a_grown_store_is_compacted_by_an_export(grown, tmp_path):
    arraystore.export(grown, tmp_path / "c.zarr", **SMALL)
    assert_same_records(arraystore.open(grown), arraystore.open(tmp_path / "c.zarr"))
    assert len(files_of(tmp_path / "c.zarr")) < len(files_of(grown))
    assert not (tmp_path / "c.zarr/generation").exists()


def test_an_append_and_a_merge_give_the_same_records(grown, half, parts, tmp_path):
    arraystore.ingest(parts[0][1], tmp_path / "rest.zarr", metadata=parts[1], rows="images", **SMALL)
    arraystore.merge([half, tmp_path / "rest.zarr"], tmp_path / "m.zarr", **SMALL)
    assert_same_records(arraystore.open(grown), arraystore.open(tmp_path / "m.zarr"))


def test_the_golden_store_grows(tmp_path):
    import zipfile

    golden = Path(__file__).parents[1] / "golden/format_1.zip"
    with zipfile.ZipFile(golden) as archive:
        archive.extractall(tmp_path / "golden")
    (path,) = {each.parent for each in (tmp_path / "golden").rglob("zarr.json") if (each.parent / "key").is_dir()}
    before = {key: bytes_of(arraystore.open(path), key) for key in arraystore.open(path).keys}
    package = arraystore.open(path).info().package
    made = make_bioscan5m(tmp_path / "p", n=6, seed=99, distinct=3, packages=(package,))
    report = arraystore.append(path, made.sources(package))
    assert report.generation == 1
    assert arraystore.verify(path).ok
    after = arraystore.open(path)
    assert {key: bytes_of(after, key) for key in before} == before
    assert {key: bytes_of(after, key) for key in made.keys} == {key: made.jpegs[package].get(key) for key in made.keys}


def test_a_store_knows_how_many_rows_were_added(tmp_path):
    whole = make_bioscan5m(tmp_path / "a", 9, distinct=3, rows_without_image=3, seed=1)
    more = make_bioscan5m(tmp_path / "b", 6, distinct=3, images_without_row=2, seed=2)
    arraystore.ingest(whole.sources(), tmp_path / "s.zarr", metadata=whole.metadata)
    report = arraystore.append(tmp_path / "s.zarr", more.sources(), metadata=more.metadata)
    [entry] = open_layout(tmp_path / "s.zarr").spec.source["appended"]
    assert (report.added, entry["added"], entry["added_rows"]) == (6, 6, 4)


def test_a_reader_over_two_appends_is_told_to_open_again(package, parts, tmp_path):
    (first, second), table = parts
    path, more = tmp_path / "s.zarr", make_bioscan5m(tmp_path / "more", 6, distinct=2, seed=77)
    arraystore.ingest(first, path, metadata=table, rows="images", **SMALL)
    with arraystore.open(path) as reader:
        arraystore.append(path, second, metadata=table)
        arraystore.append(path, more.sources(), metadata=more.metadata)
        with pytest.raises(FileNotFoundError, match="open what it is of again") as caught:
            reader[0]
        assert caught.value.filename.startswith(str(path))
        with pytest.raises(DamagedStoreError, match="open the store again, which may have grown since"):
            reader.columns["species"][0]
        with arraystore.open(path) as again:
            assert (again[0] == again[again.keys[0]]).all()
