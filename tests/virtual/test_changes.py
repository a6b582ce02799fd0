"""A source that changes, or is damaged, is told with what to do; never read as if it were what it was."""

import os
import pickle
import shutil
import zipfile

import pytest

import arraystore
from arraystore.errors import DamagedStoreError, InvalidRequestError, SourceChangedError, SourceError
from arraystore.testing import insect_jpeg


def zip_of(path, jpegs, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in jpegs.items():
            archive.writestr(f"{name}.jpg", content)
    return path


@pytest.fixture
def jpegs():
    return {f"insect-{number}": insect_jpeg(number) for number in range(6)}


@pytest.fixture
def archive(tmp_path, jpegs):
    return zip_of(tmp_path / "some.zip", jpegs)


def test_a_zip_that_is_replaced_stays_what_it_was_where_it_is_mapped(archive, tmp_path, jpegs):
    source = arraystore.open(archive)
    assert source.jpeg(0) == jpegs["insect-0"]
    zip_of(tmp_path / "other.zip", {"another": insect_jpeg(99)}).replace(archive)
    assert source.jpeg(list(jpegs)) == list(jpegs.values())
    assert arraystore.open(archive).keys.to_list() == ["another"]


def test_a_zip_that_is_replaced_before_it_is_mapped_is_told(archive, tmp_path):
    source = arraystore.open(archive)
    zip_of(tmp_path / "other.zip", {"another": insect_jpeg(99)}).replace(archive)
    for read in (lambda: source[0], lambda: source.jpeg([1, 0]), lambda: source.crops([2], 32), source.sizes):
        with pytest.raises(SourceChangedError, match=r"some\.zip has changed since it was opened.*open it again"):
            read()


def test_a_zip_of_the_same_length_and_another_time_is_another(archive):
    source = arraystore.open(archive)
    os.utime(archive, ns=(1, 1))
    with pytest.raises(SourceChangedError, match="it was written to"):
        source.jpeg(0)


def test_a_zip_that_is_cut_short_while_it_is_open_is_told(archive):
    source = arraystore.open(archive)
    assert source.jpeg(0)
    os.truncate(archive, archive.stat().st_size // 2)
    for row in (0, 5):
        with pytest.raises(SourceChangedError, match=r"expected .* bytes, found"):
            source.jpeg(row)


def test_a_zip_that_is_gone_is_told(archive):
    source = arraystore.open(archive)
    archive.unlink()
    with pytest.raises(SourceChangedError, match="it is gone"):
        source.jpeg(0)


def test_files_of_a_folder_that_change_are_told(tmp_path, jpegs):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in jpegs.items():
        (folder / f"{name}.jpg").write_bytes(content)
    source = arraystore.open(folder)
    (folder / "insect-1.jpg").write_bytes(jpegs["insect-1"] + b"more")
    (folder / "insect-2.jpg").write_bytes(b"")
    (folder / "insect-3.jpg").unlink()
    for name, problem in {"insect-1": "expected", "insect-2": "found 0", "insect-3": "it is gone"}.items():
        for read in (source.jpeg, source.__getitem__, lambda name: source.sizes([name])):
            with pytest.raises(SourceChangedError, match=f"{name}.jpg has changed.*{problem}"):
                read(name)
    assert source.jpeg("insect-4") == jpegs["insect-4"]


def test_a_pickle_is_not_read_with_the_rows_of_another_source(archive, tmp_path):
    source = arraystore.open(archive)
    pickled = pickle.dumps(source.select([3]))
    assert pickle.loads(pickled).keys[0] == "insect-3"
    zip_of(tmp_path / "other.zip", {"another": insect_jpeg(99)}).replace(archive)
    with pytest.raises(SourceChangedError, match="in another process"):
        pickle.loads(pickled)


def test_a_pickle_outlives_its_index(archive, cache, jpegs):
    pickled = pickle.dumps(arraystore.open(archive))
    shutil.rmtree(cache)
    assert pickle.loads(pickled).jpeg(2) == jpegs["insect-2"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_crc_is_found_by_reading_and_by_verify(tmp_path, jpegs, method):
    archive = zip_of(tmp_path / "some.zip", jpegs, method)
    content = bytearray(archive.read_bytes())
    # The checksum of the second entry of the directory.
    first = content.index(b"PK\x01\x02")
    content[content.index(b"PK\x01\x02", first + 4) + 16] ^= 0xFF
    archive.write_bytes(content)
    with arraystore.open(archive) as source:
        for read in (source.jpeg, source.__getitem__, lambda row: source.crops([row], 32)):
            with pytest.raises(DamagedStoreError, match=r"insect-1.*CRC-32 is .*some\.zip"):
                read(1)
        assert source.jpeg(1, verify=False) == jpegs["insect-1"]
        assert source.jpeg(0) == jpegs["insect-0"]
    report = arraystore.verify(archive)
    assert not report.ok
    assert [problem.place for problem in report.problems] == ["image row 1"]


def test_a_local_header_that_leads_astray_concerns_its_record_alone(archive, jpegs):
    content = bytearray(archive.read_bytes())
    at = content.rindex(b"PK\x03\x04")
    # A long name: the bytes would lie behind the end.
    content[at + 26 : at + 28] = b"\xff\xff"
    # No header at all.
    content[content.index(b"PK\x03\x04", 4) + 1] = 0
    archive.write_bytes(content)
    with arraystore.open(archive) as source:
        with pytest.raises(SourceError, match="insect-5.*behind the end of the file"):
            source.jpeg(5)
        with pytest.raises(SourceError, match="no zip local header"):
            source.jpeg(1)
        assert source.jpeg([0, 2]) == [jpegs["insect-0"], jpegs["insect-2"]]
        assert (source.sizes()[[1, 5]] == 0).all()
        assert (source.sizes()[[0, 2, 3, 4]] > 0).all()
    assert len(arraystore.verify(archive).problems) == 2


def test_deflated_members_that_lie_about_their_length_are_told(tmp_path):
    archive = zip_of(tmp_path / "some.zip", {"a": insect_jpeg(1), "b": insect_jpeg(2)}, zipfile.ZIP_DEFLATED)
    content = bytearray(archive.read_bytes())
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 4)
    for at, difference in ((first, 1), (second, -1)):
        promised = int.from_bytes(content[at + 24 : at + 28], "little") + difference
        content[at + 24 : at + 28] = promised.to_bytes(4, "little")
    archive.write_bytes(content)
    with arraystore.open(archive) as source:
        for row, problem in ((0, r"the member inflates to \d+\Z"), (1, r"the member inflates to \d+ or more\Z")):
            for _ in range(2):
                with pytest.raises(SourceError, match=problem):
                    source.jpeg(row)


def test_a_truncated_zip_is_told(archive):
    os.truncate(archive, archive.stat().st_size - 30)
    with pytest.raises(SourceError, match=r"some\.zip.*cut short"):
        arraystore.open(archive)


def test_encrypted_members_are_counted(archive, caplog):
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    archive.write_bytes(content)
    with arraystore.open(archive) as source:
        assert len(source) == 5
        assert source.info().troubles == {"unusable-file": 1}
    assert "1 file that cannot be read from the source" in caplog.text


def test_a_source_is_verified_as_far_as_it_can_be(archive, tmp_path, jpegs, tree):
    report = arraystore.verify(archive)
    assert report.ok
    assert "6 images compared with the CRC-32 that the archive has" in str(report)
    report = arraystore.verify(tree.sources())
    assert report.ok
    assert "24 images read, and nothing to compare them with" in str(report)
    assert report.to_json()["notes"][0].startswith("it is a source and no store")


def test_verify_makes_a_damaged_index_again(tree, cache):
    with arraystore.open(tree.sources()) as source:
        texts = source.text(range(24))
    (entry,) = cache.iterdir()
    shard = entry / "dna_barcode/data/c/0"
    content = bytearray(shard.read_bytes())
    content[5] ^= 1
    shard.write_bytes(content)
    assert arraystore.verify(tree.sources()).ok
    with arraystore.open(tree.sources()) as source:
        assert source.text(range(24)) == texts


def test_an_index_that_is_opened_as_a_store_has_all_but_the_images(archive, cache):
    with arraystore.open(archive) as source:
        keys = source.keys.to_list()
    (entry,) = cache.iterdir()
    with arraystore.open(entry) as index:
        assert index.keys.to_list() == keys
        with pytest.raises(InvalidRequestError, match=r"the store has no images: its fields are image \(place\)"):
            index.jpeg(0)


def test_a_file_that_is_written_over_is_read_without_its_seek_table(tmp_path):
    jpegs = [insect_jpeg(number) for number in range(12)]
    nbytes = max(map(len, jpegs))
    # What is behind the end marker is nobody's.
    jpegs = [jpeg + bytes(nbytes - len(jpeg)) for jpeg in jpegs]
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / f"{number:02}.jpg" for number in range(6)]
    for path, jpeg in zip(paths, jpegs[:6], strict=True):
        path.write_bytes(jpeg)
    assert arraystore.index(folder).tables == 6
    for path, jpeg in zip(paths, jpegs[6:], strict=True):
        before = path.stat()
        with path.open("r+b") as file:
            file.write(jpeg)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with arraystore.open(folder) as source:
        boxes = [(40 + 4 * row, 16, 64, 60) for row in range(6)]
        found = source.read_boxes(range(6), boxes)
        for row, (top, left, height, width) in enumerate(boxes):
            assert (found[row] == source[row][top : top + height, left : left + width]).all()


def test_options_do_not_hide_that_there_is_nothing(tmp_path, archive):
    with pytest.raises(FileNotFoundError, match="No such store"):
        arraystore.open(tmp_path / "typo.zip", metadata="m.csv")
    arraystore.ingest(archive, tmp_path / "s.zarr")
    with pytest.raises(InvalidRequestError, match="is no source but a store"):
        arraystore.open(tmp_path / "s.zarr", metadata="m.csv")
