"""An index is made once, shared, and made again when it is stale or damaged, without a word."""

import errno
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import arraystore
from arraystore import _core
from arraystore.testing import insect_jpeg, make_bioscan1m, make_bioscan5m
from arraystore.virtual import index as index_module


def entries(cache):
    return sorted(path.name for path in cache.iterdir())


@pytest.fixture
def builds(monkeypatch):
    """How often an index was made."""
    made, build = [], index_module.build_index

    def counted(request, path):
        made.append(path)
        return build(request, path)

    monkeypatch.setattr(index_module, "build_index", counted)
    return made


def test_the_second_opening_finds_the_index_of_the_first(package, cache, builds):
    with arraystore.open(package.sources()) as source:
        keys = source.keys.to_list()
    (entry,) = entries(cache)
    with arraystore.open(package.sources()) as again:
        assert again.keys.to_list() == keys
    assert len(builds) == 1
    assert entries(cache) == [entry]


def test_other_options_have_an_index_of_their_own(package, cache):
    with arraystore.open(package.sources()), arraystore.open(package.sources(), metadata=package.metadata):
        pass
    assert len(entries(cache)) == 2


def test_troubles_are_told_once(package, cache, caplog):
    package.metadata.write_text("".join(package.metadata.read_text().splitlines(keepends=True)[:-2]))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with arraystore.open(package.sources(), metadata=package.metadata) as source:
                assert source.info().troubles == {"image-without-row": 2}
    assert [record.message.split(": ")[1] for record in caplog.records] == ["2 images without a row in the table"]


def test_a_zip_that_was_replaced_is_indexed_again(package, cache, builds):
    (archive,) = package.sources()
    with arraystore.open(archive) as source:
        before, jpeg = entries(cache), source.jpeg(0)
    content = bytearray(archive.read_bytes())
    archive.write_bytes(content)
    os.utime(archive, ns=(1, 1))
    with arraystore.open(archive) as source:
        assert source.jpeg(0) == jpeg
    assert len(builds) == 2
    assert len(entries(cache)) == 1
    assert entries(cache) != before


def test_a_table_that_was_changed_is_read_again(package, builds):
    with arraystore.open(package.sources(), metadata=package.metadata) as source:
        country = source.columns["country"][0]
    text = package.metadata.read_text()
    package.metadata.write_text(text.replace(country, "Atlantis"))
    with arraystore.open(package.sources(), metadata=package.metadata) as source:
        assert source.columns["country"][0] == "Atlantis"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (make_bioscan5m, "BIOSCAN_5M_Insect_Dataset_metadata.csv"),
        (make_bioscan1m, "BIOSCAN_1M_Insect_Dataset_metadata.tsv"),
    ],
)
def test_a_table_alone_is_read_once_and_again_when_it_is_changed(tmp_path, cache, builds, make, name):
    table = make(tmp_path / "package", 8, distinct=1).metadata.rename(tmp_path / name)
    # Beside images it would be taken for the table before the other of BIOSCAN-1M.
    (tmp_path / "BIOSCAN_Insect_Dataset_metadata.tsv").touch()
    with arraystore.open(table) as source:
        keys = source.keys.to_list()
    with arraystore.open(table) as again, pickle.loads(pickle.dumps(again)) as reopened:
        assert again.keys.to_list() == reopened.keys.to_list() == keys
    assert len(builds) == 1
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    with arraystore.open(table) as changed:
        assert changed.keys.to_list() == keys[:-1]
    assert len(builds) == 2
    assert len(entries(cache)) == 1


def test_a_table_that_comes_to_its_place_is_seen(package, builds):
    text = package.metadata.read_text()
    package.metadata.unlink()
    with arraystore.open(package.sources()) as source:
        assert "country" not in source.columns
    package.metadata.write_text(text)
    with arraystore.open(package.sources()) as source:
        assert "country" in source.columns


def test_a_file_in_a_folder_that_was_empty_is_seen(tmp_path, builds):
    folder = tmp_path / "photos"
    (folder / "one").mkdir(parents=True)
    (folder / "two" / "deep").mkdir(parents=True)
    (folder / "one" / "a.jpg").write_bytes(insect_jpeg(1))
    with arraystore.open(folder) as source:
        assert source.keys.to_list() == ["a"]
    with arraystore.open(folder):
        pass
    assert len(builds) == 1
    (folder / "two" / "deep" / "b.jpg").write_bytes(insect_jpeg(2))
    with arraystore.open(folder) as source:
        assert source.keys.to_list() == ["a", "b"]
        assert source.jpeg("b") == insect_jpeg(2)


def flip(path):
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "an index array": lambda entry: flip(entry / "image/offset/c/0"),
    "a column": lambda entry: flip(next(path for path in (entry / "columns/split").rglob("c/*"))),
    "a shard that is missing": lambda entry: (entry / "key/data/c/0").unlink(),
    "a shard that is cut short": lambda entry: os.truncate(entry / "dna_barcode/data/c/0", 100),
    "a document that is missing": lambda entry: (entry / "image/nbytes/zarr.json").unlink(),
    "no JSON": lambda entry: (entry / "zarr.json").write_text("{"),
    "no root document": lambda entry: (entry / "zarr.json").unlink(),
    "odd types": lambda entry: (entry / "zarr.json").write_text(
        (entry / "zarr.json").read_text().replace('"watched": [', '"watched": [7, ')
    ),
    "no source": lambda entry: (entry / "zarr.json").write_text(
        (entry / "zarr.json").read_text().replace('"watched"', '"unwatched"')
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_made_again_without_a_word(package, cache, builds, caplog, damage):
    with arraystore.open(package.sources()) as source:
        expected = source.jpeg(range(24)), source.text(range(24)), list(source.columns["split"])
    (entry,) = cache.iterdir()
    DAMAGES[damage](entry)
    with caplog.at_level(logging.WARNING), arraystore.open(package.sources()) as source:
        assert (source.jpeg(range(24)), source.text(range(24)), list(source.columns["split"])) == expected
    assert len(builds) == 2
    assert caplog.records == []
    assert entries(cache) == [entry.name]


@pytest.mark.parametrize("switch", ["argument", "environment"])
def test_without_a_cache_nothing_is_left_behind(package, cache, tmp_path, monkeypatch, switch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    if switch == "environment":
        monkeypatch.setenv("ARRAYSTORE_CACHE", "0")
    source = arraystore.open(package.sources(), cache=switch == "environment")
    assert len(list((tmp_path / "temporary").iterdir())) == 1
    pixels = source[3]
    source.close()
    source.close()
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not cache.exists()
    assert pixels.shape[2] == 3


EXIT = """
import os, sys, arraystore
source = arraystore.open(sys.argv[1], cache=False)
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
assert source.jpeg(0) and os.listdir(os.environ["TMPDIR"]) != []
print("read")
"""


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)"])
def test_a_temporary_index_goes_with_its_process_and_not_with_a_child(package, tmp_path, end):
    folder = tmp_path / "temporary"
    folder.mkdir()
    (archive,) = package.sources()
    run = subprocess.run(
        [sys.executable, "-c", EXIT + end, archive],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "read\n"), run.stderr
    assert list(folder.iterdir()) == []


def test_a_cache_folder_that_cannot_be_used_is_told_and_done_without(package, cache):
    cache.write_text("a file, and no folder")
    with (
        pytest.warns(UserWarning, match=r"cache folder .* cannot be used.*ARRAYSTORE_CACHE_DIR"),
        arraystore.open(package.sources()) as source,
    ):
        assert source.jpeg(0).startswith(b"\xff\xd8")


def test_a_full_cache_folder_is_told_and_done_without(package, cache, monkeypatch):
    write = _core.write_sharded

    def full(*arguments, directory, **options):
        if Path(directory).is_relative_to(cache):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(*arguments, directory=directory, **options)

    monkeypatch.setattr(_core, "write_sharded", full)
    with pytest.warns(UserWarning, match="No space left"), arraystore.open(package.sources()) as source:
        assert source.jpeg(0).startswith(b"\xff\xd8")
    assert entries(cache) == []


def test_a_source_that_cannot_be_read_is_no_matter_of_the_cache(package, cache):
    package.metadata.unlink()
    package.metadata.mkdir()
    with pytest.raises(IsADirectoryError):
        arraystore.open(package.sources(), metadata=package.metadata)
    assert entries(cache) == []


OPEN = "import sys, arraystore; print(arraystore.open(sys.argv[1]).jpeg(5).hex())"


def test_processes_that_open_at_once_agree(package, cache):
    (archive,) = package.sources()
    running = [
        subprocess.Popen([sys.executable, "-c", OPEN, archive], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = {process.communicate(timeout=120)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert said == {arraystore.open(archive).jpeg(5).hex() + "\n"}
    assert len(entries(cache)) == 1


def test_an_index_that_another_process_has_put_there_is_taken(package, cache, monkeypatch):
    build = index_module.build_index

    def meanwhile(request, path):
        monkeypatch.setattr(index_module, "build_index", build)
        with arraystore.open(package.sources()):
            return build(request, path)

    monkeypatch.setattr(index_module, "build_index", meanwhile)
    with arraystore.open(package.sources()) as source:
        assert source.jpeg(0).startswith(b"\xff\xd8")
    assert len(entries(cache)) == 1


KILLED = """
import os, signal, sys, arraystore
from arraystore import _core
_core.pack = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
arraystore.open(sys.argv[1])
"""


def test_what_a_killed_process_has_begun_is_cleared_away(package, cache):
    (archive,) = package.sources()
    run = subprocess.run([sys.executable, "-c", KILLED, archive], timeout=60, check=False)
    assert run.returncode == -9
    (begun,) = cache.iterdir()
    assert begun.suffix == ".tmp"
    # A young one may be of a process that lives.
    with arraystore.open(archive):
        assert begun.exists()
    os.utime(begun, (1, 1))
    archive.touch()
    with arraystore.open(archive):
        assert not begun.exists()
    assert len(entries(cache)) == 1


def test_seek_tables_go_with_their_index(package, cache):
    (archive,) = package.sources()
    (tables,) = arraystore.index(archive, progress=False).paths
    begun = tables.with_name(f"{tables.name}.killed.tmp")
    begun.mkdir()
    os.utime(begun, (1, 1))
    archive.touch()
    with arraystore.open(archive):
        assert not tables.exists()
        assert not begun.exists()
    assert len(list(cache.iterdir())) == 1


def test_a_folder_that_is_written_to_while_it_is_scanned_is_not_kept(tree, cache, monkeypatch):
    find = index_module.find_package

    def meanwhile(paths, **options):
        found = find(paths, **options)
        (paths[0] / "late.txt").write_text("")
        return found

    monkeypatch.setattr(index_module, "find_package", meanwhile)
    with arraystore.open(tree.sources()) as source:
        assert source.jpeg(0).startswith(b"\xff\xd8")
    assert entries(cache) == []


def test_reading_an_index_that_is_made_loads_nothing_that_makes_one(package):
    (archive,) = package.sources()
    with arraystore.open(archive):
        pass
    code = (
        "import sys, arraystore; arraystore.open(sys.argv[1]).jpeg(0);"
        "print([name for name in sys.modules if name.startswith('arraystore.ingestion') or name in ('zarr', 'h5py')])"
    )
    run = subprocess.run([sys.executable, "-c", code, archive], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "[]\n"


def test_further_tables_are_joined(package, tmp_path):
    further = tmp_path / "further.csv"
    with arraystore.open(package.sources()) as source:
        keys = list(source.keys)
    further.write_text("processid,colour\n" + "".join(f"{key},green{row}\n" for row, key in enumerate(keys)))
    for _ in range(2):
        with arraystore.open(package.sources(), metadata=[package.metadata, further]) as source:
            assert source.columns["colour"][5] == "green5"
            assert "species" in source.columns
    further.write_text(further.read_text().replace("green5", "a longer red"))
    with arraystore.open(package.sources(), metadata=[package.metadata, further]) as source:
        assert source.columns["colour"][5] == "a longer red"
