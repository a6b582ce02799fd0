"""What users get wrong, and what breaks under them: each error names the file, what was found, and what to do."""

import csv
import subprocess
import zipfile

import pytest

import arraystore
from arraystore.errors import SourceError
from arraystore.testing import insect_jpeg
from arraystore.testing.packages import make_bioscan5m

JPEG = insect_jpeg(1)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_bioscan5m(tmp_path_factory.mktemp("package"), 24, distinct=4)


def test_table_of_another_package_is_refused(package, tmp_path):
    other = make_bioscan5m(tmp_path, 24, seed=7, distinct=4)
    with pytest.raises(SourceError, match=r"none of the 24 images has a row.*first processid.*--metadata") as caught:
        arraystore.ingest(package.sources(), tmp_path / "s.zarr", metadata=other.metadata)
    assert caught.value.code == "no-key-matches"
    assert not (tmp_path / "s.zarr").exists()


def test_unknown_split_is_kept_and_listed(package, tmp_path):
    table = tmp_path / "m.csv"
    table.write_text(package.metadata.read_text().replace(",train,", ",training,"))
    report = arraystore.ingest(package.sources(), tmp_path / "s.zarr", metadata=table)
    with arraystore.open(tmp_path / "s.zarr") as store:
        unknown = store.select(split="training")
        assert report.troubles["unknown-split"] == len(unknown) > 0
        listed = list(csv.DictReader(report.troubles_path.read_text().splitlines()))
        assert [line["key"] for line in listed if line["kind"] == "unknown-split"] == unknown.keys[:]
    assert "a split that" in str(report)
    assert report.exit_code == 3


def test_encrypted_archive_is_said_to_be(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cropped_256/val/A-1.jpg", JPEG)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    # The flag of encryption, in the local header and in the directory.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.zip.*1 were skipped: .*encrypted"):
        arraystore.ingest(tmp_path / "a.zip", tmp_path / "s.zarr")


def test_text_that_is_not_utf8_names_its_line_and_the_way_out(package, tmp_path):
    table = tmp_path / "m.csv"
    table.write_bytes(
        package.metadata.read_bytes().replace(b",Canada,", "Québec".encode("latin-1").join([b","] * 2), 1)
    )
    with pytest.raises(SourceError, match=r"m\.csv.*line \d+: column country: expected UTF-8 \(convert"):
        arraystore.ingest(package.sources(), tmp_path / "s.zarr", metadata=table)
    table.write_bytes(package.metadata.read_bytes().replace(b"country", b"count\xe9", 1))
    with pytest.raises(SourceError, match=r"m\.csv: its header is no UTF-8"):
        arraystore.ingest(package.sources(), tmp_path / "s.zarr", metadata=table)


@pytest.fixture
def mounted(tmp_path):
    """A file system of its own, which root may mount in most containers."""
    folder = tmp_path / "mount"
    folder.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            failed = subprocess.run(command, capture_output=True, check=False).returncode
        except FileNotFoundError:
            failed = True
        if failed:
            pytest.skip("no file system can be mounted here")
        return folder

    yield mount
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def test_disk_that_is_full_keeps_what_is_packed(package, mounted):
    folder = mounted("size=4m")
    path, ballast = folder / "s.zarr", folder / "ballast"
    ballast.write_bytes(bytes(3_900_000))
    failures, report = [], None
    while report is None:
        try:
            report = arraystore.ingest(package.sources(), path, shard_nbytes=65_536)
        except OSError as error:
            failures.append(error)
            with ballast.open("r+b") as file:
                file.truncate(3_900_000 - len(failures) * 40_000)
    assert len(failures) > 3
    assert all("free some space and run the same command again" in str(error) for error in failures)
    assert all(str(folder) in str(error.filename) for error in failures)
    assert report.state == "resumed"
    assert arraystore.verify(path).ok


def test_read_only_place_is_named(package, mounted):
    folder = mounted("ro")
    with pytest.raises(OSError, match="Read-only file system") as caught:
        arraystore.ingest(package.sources(), folder / "s.zarr")
    assert str(folder) in str(caught.value)
