"""Seek tables change the time of a read, and never a pixel."""

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import arraystore
import arraystore.ingestion.fields as fields_module
import arraystore.ingestion.seek as seek_module
from arraystore.cli import main
from arraystore.errors import DuplicateKeyError, FormatError, InternalError, InvalidRequestError
from arraystore.format.containers import open_layout
from arraystore.format.workspace import workspace
from arraystore.format.zarr_writer import ZarrWriter
from arraystore.ingestion.progress import make_progress
from arraystore.testing.biosr import make_biosr

N = 24


@pytest.fixture
def folder(tmp_path):
    """Images of several kinds: baseline of all samplings, progressive, gray, and one that is cut short."""
    styles = [
        {"quality": 75},
        {"quality": 90, "subsampling": 0},
        {"quality": 60, "subsampling": 1},
        {"quality": 75, "progressive": True},
        {"quality": 75, "optimize": True},
    ]
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number in range(N):
        height, width = (int(size) for size in generator.integers(20, 150, 2))
        smooth = np.add.outer(np.arange(height) * 2, np.arange(width))[..., None] + np.array([0, 40, 90])
        pixels = (smooth + generator.integers(0, 40, (height, width, 3))).astype(np.uint8)
        image = Image.fromarray(pixels).convert("L" if number % 6 == 5 else "RGB")
        file = io.BytesIO()
        image.save(file, "JPEG", **styles[number % len(styles)])
        data = file.getvalue()
        (folder / f"image{number:02}.jpg").write_bytes(data)
    # The index of a folder that is written to at this moment would not be kept.
    for path in [*folder.iterdir(), folder]:
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return folder


@pytest.fixture(params=["store.zarr", "store.h5"])
def store(request, folder, tmp_path):
    path = tmp_path / request.param
    arraystore.ingest(folder, path, progress=False)
    return path


def seek_file(store):
    return store.with_name(store.name + ".image.seek")


def interrupt(*_, **__):
    raise KeyboardInterrupt


def no_second_pass(*_, **__):
    raise AssertionError("tables are made of what was written")


def everything(path):
    """All that is decoded of a store."""
    with arraystore.open(path) as opened:
        whole = opened.read(range(N))
        crops = opened.crops(range(N), size=32, scale=(0.1, 1.0), seed=3)
        boxes = [(row % 3, row % 5, 10 + row % 4, 12) for row in range(N)]
        return [*whole, crops, *opened.read_boxes(range(N), boxes, size=None)]


def assert_same(found, expected):
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_an_ingest_makes_them_and_pixels_are_those_without(store):
    assert seek_file(store).exists()
    assert arraystore.open(store).handle.field("image").has_seek()
    found = everything(store)
    seek_file(store).unlink()
    assert not arraystore.open(store).handle.field("image").has_seek()
    assert_same(found, everything(store))


def test_pixels_are_those_of_pillow(store, folder):
    with arraystore.open(store) as opened:
        for key, found in zip(opened.keys, opened.read(range(N)), strict=True):
            expected = np.asarray(Image.open(folder / f"{key}.jpg").convert("RGB"))
            # Pillow's libjpeg may be of another version; what differs then is a unit of rounding.
            assert np.abs(found.astype(int) - expected).max() <= 1, key


def test_an_ingest_without(folder, tmp_path):
    path = tmp_path / "store.zarr"
    arraystore.ingest(folder, path, progress=False, index=False)
    assert not seek_file(path).exists()
    assert arraystore.open(path).handle.field("image").has_seek() is False
    # The same ingest again, with its default, makes them.
    arraystore.ingest(folder, path, progress=False)
    assert seek_file(path).exists()


def test_the_report_counts(store):
    report = arraystore.index(store, check="pixels", progress=False)
    progressive = sum(number % 5 == 3 for number in range(N))
    assert (report.tables, report.left) == (N - progressive, progressive)
    assert report.paths == (seek_file(store),)
    assert f"{N - progressive} seek tables" in str(report)
    assert arraystore.index(store, progress=False).nbytes == report.nbytes


def tables_of(path):
    """Return the table of each record, with its checksum."""
    data = seek_file(path).read_bytes()
    count = int.from_bytes(data[8:16], "little")
    ends = np.frombuffer(data, "<u8", count, 16)
    return [data[16 + 8 * count :][start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def test_tables_are_the_same_whatever_images_are_beside(folder, tmp_path):
    arraystore.ingest(folder, tmp_path / "all.zarr", progress=False)
    expected = tables_of(tmp_path / "all.zarr")
    # A number for each row of MCUs but the first, and the checksum, or the one byte of those that are left.
    assert {len(table) > 10 for number, table in enumerate(expected) if number % 5 != 3} == {True}
    assert {table[4:] for number, table in enumerate(expected) if number % 5 == 3} == {b"\0"}
    for count in range(1, 8):
        some = tmp_path / str(count)
        some.mkdir()
        for path in sorted(folder.iterdir())[:count]:
            (some / path.name).write_bytes(path.read_bytes())
        arraystore.ingest(some, tmp_path / f"{count}.zarr", progress=False)
        assert tables_of(tmp_path / f"{count}.zarr") == expected[:count]


@pytest.mark.parametrize("rows", ["all", "images"])
@pytest.mark.parametrize("name", ["store.zarr", "store.h5"])
@pytest.mark.parametrize("check", ["header", "pixels"])
def test_those_of_an_ingest_are_those_of_a_later_index(folder, tmp_path, name, rows, check):
    # Rows without an image, in an order of their own, and images that are damaged, cut short or empty.
    numbers = [*reversed(range(N + 6)), 99]
    lines = "".join(f"image{number:02},{number}\n" for number in numbers)
    (tmp_path / "table.csv").write_text("key,number\n" + lines)
    data = (folder / "image00.jpg").read_bytes()
    (folder / "image24.jpg").write_bytes(data[: len(data) // 2])
    (folder / "image25.jpg").write_bytes(b"")
    (folder / "image26.jpg").write_bytes(b"no image")
    (folder / "image27.jpg").write_bytes(data[:200] + bytes(300) + data[500:])
    (folder / "extra.jpg").write_bytes(data)
    path = tmp_path / name
    table = tmp_path / "table.csv"
    arraystore.ingest(folder, path, metadata=table, rows=rows, check=check, shard_nbytes=30_000, progress=False)
    made = seek_file(path).read_bytes()
    # The lengths of each, so that they are not all alike.
    assert {min(len(table), 6) for table in tables_of(path)} == {0, 5, 6}
    seek_file(path).unlink()
    arraystore.index(path, check=check, progress=False)
    assert seek_file(path).read_bytes() == made


def test_those_of_an_export_are_those_of_a_later_index(store, tmp_path):
    path = tmp_path / "export.zarr"
    with arraystore.open(store) as opened:
        arraystore.export(opened.select([5, 3, 9]), path, progress=False)
    made = seek_file(path).read_bytes()
    seek_file(path).unlink()
    arraystore.index(path, progress=False)
    assert seek_file(path).read_bytes() == made


def test_what_was_put_together_before_an_interruption_is_not_made_of_images_again(folder, tmp_path, monkeypatch):
    path = tmp_path / "store.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(ZarrWriter, "commit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            arraystore.ingest(folder, path, progress=False)
    made = seek_file(path).read_bytes()
    monkeypatch.setattr(seek_module, "write_tables", no_second_pass)
    assert arraystore.ingest(folder, path, progress=False).state == "resumed"
    assert seek_file(path).read_bytes() == made


@pytest.mark.parametrize("name", ["made.zarr", "made.h5"])
def test_export_and_merge_make_them_while_they_copy(halves, tmp_path, monkeypatch, name):
    stores = [tmp_path / f"{half.name}.zarr" for half in halves]
    for half, path in zip(halves, stores, strict=True):
        arraystore.ingest(half, path, index=False, progress=False)
    for make, source in ((arraystore.export, stores[0]), (arraystore.merge, stores)):
        path = tmp_path / f"{make.__name__}.{name}"
        with monkeypatch.context() as patch:
            patch.setattr(seek_module, "write_tables", no_second_pass)
            make(source, path, progress=False)
        made = seek_file(path).read_bytes()
        seek_file(path).unlink()
        arraystore.index(path, progress=False)
        assert seek_file(path).read_bytes() == made


@pytest.mark.parametrize("is_lost", [False, True])
def test_an_ingest_that_is_taken_up_again_makes_all(folder, tmp_path, monkeypatch, is_lost):
    path, whole = tmp_path / "store.zarr", tmp_path / "whole.zarr"
    arraystore.ingest(folder, whole, progress=False, shard_nbytes=30_000)
    with monkeypatch.context() as patch:
        patch.setattr(fields_module, "gather_tables", interrupt)
        with pytest.raises(KeyboardInterrupt):
            arraystore.ingest(folder, path, progress=False, shard_nbytes=30_000)
    parts = sorted(path.rglob("*.journal/*.seek"))
    assert len(parts) > 1
    if is_lost:
        parts[1].unlink()
    made_later = []
    with monkeypatch.context() as patch:
        write_tables = seek_module.write_tables
        patch.setattr(
            seek_module, "write_tables", lambda *args, **options: made_later.append(write_tables(*args, **options))
        )
        assert arraystore.ingest(folder, path, progress=False, shard_nbytes=30_000).state == "resumed"
    assert len(made_later) == is_lost
    assert seek_file(path).read_bytes() == seek_file(whole).read_bytes()


def test_tables_of_a_store_that_was_replaced_are_not_taken_for_its_own(folder, tmp_path, monkeypatch):
    path = tmp_path / "store.zarr"
    arraystore.ingest(folder, path, progress=False)
    (folder / "image00.jpg").write_bytes((folder / "image01.jpg").read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(fields_module, "gather_tables", lambda *_, **__: False)
        patch.setattr(seek_module, "write_tables", interrupt)
        with pytest.raises(KeyboardInterrupt):
            arraystore.ingest(folder, path, progress=False, overwrite=True)
    assert not seek_file(path).exists()
    assert arraystore.ingest(folder, path, progress=False).state == "complete"
    assert arraystore.index(path, progress=False).tables == sum(number % 5 != 3 for number in range(N))
    assert seek_file(path).exists()


@pytest.mark.parametrize("name", ["store.zarr", "store.h5"])
@pytest.mark.parametrize("is_removed", [False, True])
def test_tables_do_not_outlive_their_store(halves, tmp_path, name, is_removed):
    path, (first, second) = tmp_path / name, halves
    arraystore.ingest(first, path, progress=False)
    if is_removed:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    arraystore.ingest(second, path, overwrite=not is_removed, index=False, progress=False)
    assert not seek_file(path).exists()
    # Nor those of a store that an export replaces.
    arraystore.index(path, progress=False)
    arraystore.export(path, tmp_path / "copy.zarr", progress=False)
    arraystore.ingest(first, path, overwrite=True, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fields_module, "gather_tables", lambda *_, **__: False)
        arraystore.export(tmp_path / "copy.zarr", path, overwrite=True, progress=False)
    assert seek_file(path).read_bytes() == seek_file(tmp_path / "copy.zarr").read_bytes()


def test_an_ingest_that_failed_before_it_packed_leaves_store_and_tables(store, folder, tmp_path):
    made = seek_file(store).read_bytes()
    table = tmp_path / "table.csv"
    table.write_text("key,number\nimage00,1\nimage00,2\n")
    # It fails when the table is joined: the last that is done before.
    with pytest.raises(DuplicateKeyError):
        arraystore.ingest(folder, store, metadata=table, overwrite=True, progress=False)
    assert seek_file(store).read_bytes() == made
    assert arraystore.verify(store, progress=False).ok


SHORTAGES = [OSError(errno.ENOSPC, "No space left on device"), MemoryError(), InternalError("there is no memory")]


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_shortage_costs_only_the_tables(folder, tmp_path, monkeypatch, shortage):
    path = tmp_path / "store.zarr"

    def refuse(*_, **__):
        raise shortage

    words = str(shortage) or "MemoryError"
    with monkeypatch.context() as patch:
        patch.setattr(arraystore._core, "gather_tables", refuse)
        patch.setattr(seek_module, "write_tables", refuse)
        with pytest.warns(UserWarning, match=rf"is finished.*{re.escape(words)}.*arraystore index"):
            arraystore.ingest(folder, path, progress=False)
    assert arraystore.verify(path, progress=False).ok
    assert not seek_file(path).exists()


@pytest.mark.parametrize("shortage", [None, *SHORTAGES])
def test_what_could_not_be_put_together_gives_its_room_back(folder, tmp_path, monkeypatch, shortage):
    path, parts, gather_tables = tmp_path / "store.zarr", [], fields_module.gather_tables

    def gather(part, **_):
        Path(part).write_bytes(b"some of them")
        parts.append(Path(part))
        if shortage is not None:
            raise shortage
        return False

    def tables_of_images(*arguments, **options):
        assert not gather_tables(*arguments, **options)
        assert not parts[-1].exists()
        return False

    with monkeypatch.context() as patch:
        patch.setattr(arraystore._core, "gather_tables", gather)
        patch.setattr(fields_module, "gather_tables", tables_of_images)
        arraystore.ingest(folder, path, progress=False)
    assert len(parts) == 1
    assert arraystore.index(path, progress=False).tables == sum(number % 5 != 3 for number in range(N))


class Overtaken:
    """A field of which somebody else makes the tables while ours are finished, but not yet published."""

    def __init__(self, field, path):
        self.field, self.path = field, path

    def __len__(self):
        return len(self.field)

    def write_seek(self, part, **options):
        found = self.field.write_seek(part, **options)
        made = Path(part).read_bytes()
        arraystore.index(self.path, progress=False)
        assert Path(part).read_bytes() == made
        return found


def test_two_that_make_them_do_not_disturb_each_other(store):
    ((field, path),) = seek_module.jpeg_fields(open_layout(store))
    whole = path.read_bytes()
    options = {"check": "header", "threads": 1, "shown": make_progress(False)}
    seek_module.write_tables(Overtaken(field, store), path, **options)
    assert path.read_bytes() == whole
    assert {each.name for each in store.parent.iterdir()} == {"images", store.name, path.name}


KILLED = """
import os, signal, sys
from arraystore.cli import main
from arraystore.ingestion.seek import Path
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main(["index", sys.argv[1], "--quiet"])
"""


def test_what_a_killed_process_has_made_is_cleared_away(store):
    assert subprocess.run([sys.executable, "-c", KILLED, store], timeout=60, check=False).returncode == -9
    (begun,) = store.parent.glob("*.tmp")
    # A young one may be of a process that lives.
    arraystore.index(store, progress=False)
    assert begun.exists()
    os.utime(begun, (1, 1))
    arraystore.index(store, progress=False)
    assert not begun.exists()
    with workspace(store.parent, seek_file(store).name) as at_work:
        os.utime(at_work, (1, 1))
        arraystore.index(store, progress=False)
        assert at_work.exists()


@pytest.mark.parametrize("name", ["store.zarr", "store.h5"])
def test_tables_alone_are_nothing_packed(folder, tmp_path, monkeypatch, name):
    def full(*_, journal, **__):
        Path(journal).mkdir()
        Path(journal, "0.seek").write_bytes(b"of a shard that was not finished")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(arraystore._core, "pack", full)
        with pytest.raises(OSError, match="No space left"):
            arraystore.ingest(folder, tmp_path / name, progress=False)
    assert [each.name for each in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "shifted", "ends beyond", "of another store"])
def test_damage_costs_only_time(store, folder, tmp_path, damage):
    expected = everything(store)
    file = seek_file(store)
    data = bytearray(file.read_bytes())
    generator = np.random.default_rng(2)
    if damage == "empty":
        data = bytearray()
    elif damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "noise":
        for at in generator.integers(0, len(data), 200):
            data[at] ^= int(generator.integers(1, 256))
    elif damage == "ends beyond":
        data[16 : 16 + 8 * N] = np.linspace(2.0**40, 2.0**63, N).astype("<u8").tobytes()
        data[16 + 8 * 5 : 16 + 8 * 7] = b"\xff" * 16
    elif damage == "shifted":
        data = data[:16] + data[24:] + bytes(8)
    else:
        other = tmp_path / "other"
        other.mkdir()
        for number in range(N):
            (other / f"image{number:02}.jpg").write_bytes((folder / f"image{(number + 1) % N:02}.jpg").read_bytes())
        arraystore.ingest(other, tmp_path / "other.zarr", progress=False)
        data = bytearray(seek_file(tmp_path / "other.zarr").read_bytes())
    file.write_bytes(data)
    assert_same(everything(store), expected)
    arraystore.index(store, progress=False)
    assert_same(everything(store), expected)


def test_a_source_as_it_is(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("ARRAYSTORE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ARRAYSTORE_CACHE", raising=False)
    expected = everything(folder)
    assert not arraystore.open(folder).handle.field("image").has_seek()
    arraystore.index(folder, progress=False)
    assert arraystore.open(folder).handle.field("image").has_seek()
    assert_same(everything(folder), expected)


def test_a_source_without_a_place_for_them(folder, monkeypatch):
    monkeypatch.setenv("ARRAYSTORE_CACHE", "0")
    with pytest.raises(InvalidRequestError, match="not kept in the cache folder"):
        arraystore.index(folder, progress=False)


@pytest.fixture
def halves(folder, tmp_path):
    halves = [tmp_path / "first", tmp_path / "second"]
    for number, path in enumerate(sorted(folder.iterdir())):
        half = halves[number // (N // 2)]
        half.mkdir(exist_ok=True)
        (half / path.name).write_bytes(path.read_bytes())
    return halves


def test_an_append_adds_those_of_new_images(halves, tmp_path):
    first, second = halves
    path = tmp_path / "store.zarr"
    arraystore.ingest(first, path, progress=False)
    before = seek_file(path).read_bytes()
    arraystore.append(path, second, progress=False)
    after = seek_file(path).read_bytes()
    assert len(after) > len(before)
    assert after[16 + 8 * N :].startswith(before[16 + 8 * (N // 2) :])
    found = everything(path)
    seek_file(path).unlink()
    assert_same(found, everything(path))


@pytest.mark.parametrize("check", ["header", "pixels"])
def test_an_append_looks_at_new_images_only(halves, tmp_path, monkeypatch, check):
    first, second = halves
    path, third, packed, pack = tmp_path / "store.zarr", tmp_path / "third", [], arraystore._core.pack
    third.mkdir()
    (third / "extra.jpg").write_bytes((first / "image00.jpg").read_bytes())
    arraystore.ingest(first, path, shard_nbytes=30_000, check=check, progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(seek_module, "write_tables", no_second_pass)
        patch.setattr(arraystore._core, "pack", lambda *args, **to: packed.append(to["seek"]) or pack(*args, **to))
        for each in (second, third):
            arraystore.append(path, each, check=check, progress=False)
    # Whether both decoders were compared; of keys there are no tables.
    assert packed == 2 * [check == "pixels", None]
    made = seek_file(path).read_bytes()
    seek_file(path).unlink()
    arraystore.index(path, check=check, progress=False)
    assert seek_file(path).read_bytes() == made


@pytest.mark.parametrize("before", ["none", "cut", "noise", "of a longer store"])
def test_an_append_makes_all_that_are_missing(halves, folder, tmp_path, before):
    first, second = halves
    path = tmp_path / "store.zarr"
    arraystore.ingest(first, path, progress=False)
    data = seek_file(path).read_bytes()
    seek_file(path).unlink()
    if before == "cut":
        seek_file(path).write_bytes(data[:40])
    elif before == "noise":
        seek_file(path).write_bytes(b"\xff" * len(data))
    elif before == "of a longer store":
        arraystore.ingest(folder, tmp_path / "longer.zarr", progress=False)
        seek_file(path).write_bytes(seek_file(tmp_path / "longer.zarr").read_bytes())
        (second / f"image{N - 1}.jpg").unlink()
    arraystore.append(path, second, progress=False)
    made = seek_file(path).read_bytes()
    seek_file(path).unlink()
    arraystore.index(path, progress=False)
    assert seek_file(path).read_bytes() == made


@pytest.mark.parametrize("again", ["append", "append with another option", "ingest"])
@pytest.mark.parametrize("is_filled", [False, True])
def test_an_append_that_lacks_only_them_makes_them_when_run_again(halves, tmp_path, monkeypatch, is_filled, again):
    first, second = halves
    path, table = tmp_path / "store.zarr", tmp_path / "table.csv"
    table.write_text("key,number\n" + "".join(f"image{number:02},{number}\n" for number in range(N)))
    # Either the second half of the records is added, or they have been there without images.
    options = {"metadata": table, "rows": "all" if is_filled else "images", "progress": False}
    arraystore.ingest(first, path, **options)
    with monkeypatch.context() as patch:
        patch.setattr(fields_module, "gather_tables", lambda *_, **__: False)
        patch.setattr(seek_module, "write_tables", interrupt)
        with pytest.raises(KeyboardInterrupt):
            arraystore.append(path, second, **options)
    if again == "ingest":
        assert arraystore.ingest(first, path, **options).state == "complete"
    else:
        options |= {} if again == "append" else {"check": "pixels"}
        assert arraystore.append(path, second, **options).state == "complete"
    made = seek_file(path).read_bytes()
    seek_file(path).unlink()
    arraystore.index(path, progress=False)
    assert seek_file(path).read_bytes() == made


def test_an_append_of_nothing_makes_no_tables_where_there_are_none(halves, tmp_path, monkeypatch):
    path = tmp_path / "store.zarr"
    arraystore.ingest(halves[0], path, progress=False)
    arraystore.append(path, halves[1], progress=False)
    seek_file(path).unlink()
    monkeypatch.setattr(seek_module, "write_tables", no_second_pass)
    assert arraystore.append(path, halves[1], progress=False).state == "complete"
    assert not seek_file(path).exists()


def test_what_is_not_missing_is_not_made_again(store, folder, monkeypatch):
    monkeypatch.setattr(seek_module, "write_tables", no_second_pass)
    assert arraystore.ingest(folder, store, progress=False).state == "complete"


def test_what_has_no_images(tmp_path):
    make_biosr(tmp_path / "patches")
    arraystore.ingest(tmp_path / "patches", tmp_path / "patches.zarr", progress=False)
    with pytest.raises(FormatError, match="no field of JPEGs"):
        arraystore.index(tmp_path / "patches.zarr", progress=False)


def test_the_command(store, capsys):
    seek_file(store).unlink()
    assert main(["index", str(store), "--quiet", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["paths"] == [str(seek_file(store))]
    assert main(["index", str(store), "--quiet"]) == 0
    assert "seek tables" in capsys.readouterr().out
    assert main(["verify", str(store), "--quiet"]) == 0
