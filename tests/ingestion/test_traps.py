"""The traps of the published packages: odd files, odd archives, odd tables. Nothing is lost, nothing goes unsaid."""

import csv
import io
import zipfile

import pandas as pd
import pytest
import zarr
from anndata.io import read_elem
from PIL import Image

import arraystore
from arraystore import _core
from arraystore.errors import DuplicateKeyError, SourceChangedError, SourceError
from arraystore.format.spec import Status
from arraystore.sources.bioscan5m import COLUMNS, Bioscan5M
from arraystore.sources.tables import TableColumn, TableDialect
from arraystore.testing import insect_jpeg
from arraystore.testing.jpegs import encode_jpeg

JPEG = insect_jpeg(1)


def encoded(mode: str, image_format: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (40, 30), 128 if mode == "L" else None).save(file, image_format)
    return file.getvalue()


def middle_of(jpeg: bytes) -> int:
    return jpeg.index(b"\xff\xda") + (len(jpeg) - jpeg.index(b"\xff\xda")) // 2


# Name: content, status.
IMAGES = {
    "SOUND-1": (JPEG, "sound"),
    "TRAILER-2": (JPEG + b"\x9a\xb6 vendor bytes \x00\x00\xf0\x3f", "sound"),
    "GRAY-3": (encoded("L"), "sound"),
    "CMYK-4": (encoded("CMYK"), None),
    "EMPTY-5": (b"", "empty"),
    "PNG-6": (encoded("RGB", "PNG"), "not-a-jpeg"),
    "ZEROS-7": (bytes(5_000), "not-a-jpeg"),
    "CUT-8": (JPEG[: middle_of(JPEG)], "truncated"),
    "CUT-HEADER-9": (JPEG[:100], "truncated"),
    "ZERO-TAIL-10": (JPEG[: middle_of(JPEG)] + bytes(len(JPEG) - middle_of(JPEG)), None),
    "PROGRESSIVE-11": (encode_jpeg(Image.new("RGB", (50, 40), (9, 99, 199)), progressive=True), "sound"),
}


def write_tree(root, images):
    for key, jpeg in images.items():
        path = root / "cropped_256/val" / f"{key}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg)
    return root / "cropped_256"


def write_zip(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def troubles_of(report):
    with report.troubles_path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", ["tree", "stored", "deflated"])
def test_bad_images_are_kept_as_they_are_with_a_status(tmp_path, form):
    images = {key: jpeg for key, (jpeg, _) in IMAGES.items()}
    if form == "tree":
        source = write_tree(tmp_path, images)
    else:
        compression = zipfile.ZIP_STORED if form == "stored" else zipfile.ZIP_DEFLATED
        members = {f"cropped_256/val/{key}.jpg": jpeg for key, jpeg in images.items()}
        source = write_zip(tmp_path / "a.zip", members, compression)
    report = arraystore.ingest(source, tmp_path / "s.zarr")
    assert report.exit_code == 3
    with arraystore.open(tmp_path / "s.zarr") as store:
        for key, (jpeg, status) in IMAGES.items():
            found = Status(int(store.status[[str(each) for each in store.keys].index(key)])).label
            assert status is None or found == status, key
            if jpeg:
                assert store.jpeg(key) == jpeg, key
    listed = {line["key"]: line for line in troubles_of(report)}
    for key, (_, status) in IMAGES.items():
        if status not in (None, "sound"):
            assert listed[key]["kind"] == status
            assert listed[key]["source"].endswith(f"{key}.jpg")
    assert sum(report.status.values()) == len(IMAGES)


def test_pixels_are_decoded_on_request(tmp_path):
    # The scan is broken in the middle, with every marker in place.
    middle = middle_of(JPEG)
    broken = JPEG[:middle] + bytes(200) + JPEG[middle + 200 :]
    source = write_tree(tmp_path, {"A-1": JPEG, "B-2": broken})
    assert arraystore.ingest(source, tmp_path / "header.zarr").status == {"sound": 2}
    report = arraystore.ingest(source, tmp_path / "pixels.zarr", check="pixels")
    assert report.status == {"sound": 1, "corrupt": 1}
    with arraystore.open(tmp_path / "pixels.zarr") as store:
        assert store.jpeg("B-2") == broken


def test_junk_beside_the_images_is_listed_but_no_trouble(tmp_path):
    source = write_tree(tmp_path, {"A-1": JPEG})
    for name in [".DS_Store", "._A-1.jpg", "Thumbs.db", "readme.txt"]:
        (source / "val" / name).write_bytes(b"junk")
    report = arraystore.ingest(source, tmp_path / "s.zarr")
    assert (report.exit_code, report.records, report.troubles) == (0, 1, {"skipped-file": 4})
    assert {line["kind"] for line in troubles_of(report)} == {"skipped-file"}
    assert "4 files that are no images" in str(report)


def test_upper_case_suffixes_are_images(tmp_path):
    members = {"cropped_256/val/A-1.JPG": JPEG, "cropped_256/val/B-2.JPEG": JPEG, "cropped_256/val/C-3.jpeg": JPEG}
    report = arraystore.ingest(write_zip(tmp_path / "a.zip", members), tmp_path / "s.zarr")
    assert report.images == 3


def test_archive_with_odd_names_keeps_what_is_inside(tmp_path):
    members = {
        "cropped_256\\val\\A-1.jpg": JPEG,
        "./cropped_256/val/B-2.jpg": JPEG,
        "../cropped_256/val/C-3.jpg": JPEG,
        "/cropped_256/val/D-4.jpg": JPEG,
        "__MACOSX/cropped_256/val/._A-1.jpg": b"resource fork",
    }
    report = arraystore.ingest(write_zip(tmp_path / "a.zip", members), tmp_path / "s.zarr")
    listed = troubles_of(report)
    assert report.exit_code == 3
    outside = [line["source"] for line in listed if line["kind"] == "unusable-file"]
    assert any(path.endswith("C-3.jpg") for path in outside)
    assert report.images + len(outside) == 4
    assert report.troubles["skipped-file"] == 1


def test_zip64_archive_of_many_members(tmp_path):
    members = {f"cropped_256/val/K-{index}.jpg": b"" for index in range(66_000)}
    members["cropped_256/val/LAST.jpg"] = JPEG
    report = arraystore.ingest(write_zip(tmp_path / "a.zip", members), tmp_path / "s.zarr")
    assert report.status == {"sound": 1, "empty": 66_000}
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert store.jpeg("LAST") == JPEG
        assert len(store) == 66_001


def test_zip64_sizes_in_the_extra_field(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w") as archive,
        archive.open("cropped_256/val/A-1.jpg", "w", force_zip64=True) as member,
    ):
        member.write(JPEG)
    arraystore.ingest(tmp_path / "a.zip", tmp_path / "s.zarr")
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert store.jpeg("A-1") == JPEG


def test_member_that_disagrees_with_its_archive_is_source_corrupt(tmp_path):
    source = write_zip(tmp_path / "a.zip", {"cropped_256/val/A-1.jpg": JPEG, "cropped_256/val/B-2.jpg": JPEG[:-1]})
    content = bytearray(source.read_bytes())
    content[content.index(JPEG) + middle_of(JPEG)] ^= 1
    source.write_bytes(content)
    report = arraystore.ingest(source, tmp_path / "s.zarr")
    assert report.status.get("source-corrupt") == 1
    assert [line["key"] for line in troubles_of(report) if line["kind"] == "source-corrupt"] == ["A-1"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("place", "damage", "status"),
    [
        (26, b"\xff\xff", "unreadable"),  # a name that ends behind the end of the archive
        (28, b"\xff\xff", "unreadable"),  # the extra field as well
        (0, b"XX", "unreadable"),
        (26, b"\x00\x00", None),  # another name: found by its checksum, or by what does not inflate
    ],
)
def test_member_with_a_damaged_local_header_concerns_nobody_else(tmp_path, compression, place, damage, status):
    members = {f"cropped_256/val/{key}.jpg": JPEG for key in ("A-1", "B-2", "C-3")}
    source = write_zip(tmp_path / "a.zip", members, compression)
    content = bytearray(source.read_bytes())
    with zipfile.ZipFile(source) as archive:
        header = archive.getinfo("cropped_256/val/C-3.jpg").header_offset
    content[header + place : header + place + 2] = damage
    source.write_bytes(content)
    report = arraystore.ingest(source, tmp_path / "s.zarr")
    if status is None:
        status = "source-corrupt" if compression == zipfile.ZIP_STORED else "unreadable"
    assert report.status == {"sound": 2, status: 1}
    assert [line["key"] for line in troubles_of(report)] == ["C-3"]
    assert arraystore.verify(tmp_path / "s.zarr").ok


def test_archive_that_is_cut_short_after_the_scan_has_changed(tmp_path, monkeypatch):
    source = write_zip(tmp_path / "a.zip", {f"cropped_256/val/{key}.jpg": JPEG for key in ("A-1", "B-2")})
    pack = _core.pack

    def cut(*arguments, **options):
        source.write_bytes(source.read_bytes()[: len(JPEG)])
        return pack(*arguments, **options)

    monkeypatch.setattr(_core, "pack", cut)
    with pytest.raises(SourceChangedError, match=r"a\.zip"):
        arraystore.ingest(source, tmp_path / "s.zarr")


def test_column_called_data_has_its_checksum(tmp_path, monkeypatch):
    columns = (*COLUMNS, TableColumn("data", "float"))
    monkeypatch.setattr(Bioscan5M, "table", TableDialect(columns))
    source = write_tree(tmp_path, {"A-1": JPEG})
    (tmp_path / "m.csv").write_text("processid,data\nA-1,2.5\n")
    arraystore.ingest(source, tmp_path / "s.zarr", metadata=tmp_path / "m.csv")
    assert arraystore.verify(tmp_path / "s.zarr").ok
    (chunk,) = (tmp_path / "s.zarr/columns/data/c").iterdir()
    chunk.write_bytes(bytes(chunk.stat().st_size))
    (problem,) = arraystore.verify(tmp_path / "s.zarr").problems
    assert (problem.kind, problem.place) == ("checksum", "columns/data/c/0")


def test_truncated_archive_is_an_error_that_names_it(tmp_path):
    source = write_zip(tmp_path / "a.zip", {"cropped_256/val/A-1.jpg": JPEG})
    source.write_bytes(source.read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"a\.zip.*cut short"):
        arraystore.ingest(source, tmp_path / "s.zarr")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_table_with_text_that_looks_missing(tmp_path, line_end, mark):
    names = ["processid", "sampleid", "genus", "species", "country", "split", "chunk", "dna_barcode"]
    rows = [
        ["A-1", "NA", "None", "null", "NaN", "pretrain", "00", "ACGT"],
        ["B-2", "n/a", "", "", "Namibia", "train", "0", ""],
        ["C-3", "S", "NA", "sp. A?_1", 'A "B", C', "val", "", "N"],
    ]
    with (tmp_path / "m.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(mark)
        csv.writer(file, lineterminator=line_end).writerows([names, *rows])
    source = write_tree(tmp_path, {"C-3": JPEG})
    arraystore.ingest(source, tmp_path / "s.zarr", metadata=tmp_path / "m.csv")
    frame = read_elem(zarr.open_group(tmp_path / "s.zarr", mode="r")["columns"])
    expected = pd.DataFrame(rows, columns=names).set_index("processid").drop(columns="dna_barcode")
    found = frame.astype(object).where(frame.notna(), "")
    assert found.to_numpy().tolist() == expected.to_numpy().tolist()
    assert frame.isna().to_numpy().tolist() == (expected == "").to_numpy().tolist()


def test_split_that_disagrees_with_the_directory_is_the_tables(tmp_path):
    source = write_tree(tmp_path, {"A-1": JPEG, "B-2": JPEG})
    (tmp_path / "m.csv").write_text("processid,split\nA-1,train\nB-2,val\n")
    report = arraystore.ingest(source, tmp_path / "s.zarr", metadata=tmp_path / "m.csv")
    assert (report.troubles, report.exit_code) == ({"split-mismatch": 1}, 3)
    (line,) = troubles_of(report)
    assert (line["key"], line["kind"]) == ("A-1", "split-mismatch")
    assert line["source"].endswith("val/A-1.jpg")
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert list(store.columns["split"]) == ["train", "val"]


def test_identical_duplicates_are_merged_and_different_ones_refused(tmp_path):
    one = write_zip(tmp_path / "1.zip", {"cropped_256/val/A-1.jpg": JPEG})
    same = write_zip(tmp_path / "2.zip", {"cropped_256/val/A-1.jpg": JPEG}, zipfile.ZIP_DEFLATED)
    other = write_zip(tmp_path / "3.zip", {"cropped_256/val/A-1.jpg": JPEG + b"\0"})
    report = arraystore.ingest([one, same], tmp_path / "s.zarr")
    assert (report.images, report.troubles, report.exit_code) == (1, {"merged-duplicate": 1}, 0)
    with pytest.raises(DuplicateKeyError, match=r"1\.zip.*3\.zip"):
        arraystore.ingest([one, other], tmp_path / "t.zarr")


def test_failed_plan_can_be_mended_and_run_again(tmp_path):
    source = write_tree(tmp_path, {"A-1": JPEG})
    table = tmp_path / "m.csv"
    table.write_text("processid\nA-1\nA-1\n")
    with pytest.raises(DuplicateKeyError):
        arraystore.ingest(source, tmp_path / "s.zarr", metadata=table)
    assert not (tmp_path / "s.zarr").exists()
    table.write_text("processid\nA-1\n")
    assert arraystore.ingest(source, tmp_path / "s.zarr", metadata=table).state == "new"


def test_other_packages_are_left_out_on_request_and_counted(tmp_path):
    members = {"cropped_256/val/A-1.jpg": JPEG, "original_256/val/A-1.jpg": JPEG, "original_256/val/B-2.jpg": JPEG}
    report = arraystore.ingest(write_zip(tmp_path / "a.zip", members), tmp_path / "s.zarr", package="cropped_256")
    assert (report.images, report.images_left_out, report.exit_code) == (1, 2, 0)
    assert "2 images of other packages were left out" in str(report)


@pytest.mark.parametrize("jpeg", [JPEG, b""])
def test_fields_without_any_byte_are_sound(tmp_path, jpeg):
    (tmp_path / "m.csv").write_text("processid,dna_barcode\nA-1,\nB-2,\n")
    source = write_tree(tmp_path, {"A-1": jpeg})
    arraystore.ingest(source, tmp_path / "s.zarr", metadata=tmp_path / "m.csv")
    assert arraystore.verify(tmp_path / "s.zarr").ok
    assert zarr.open_group(tmp_path / "s.zarr")["dna_barcode/data"].shape == (0,)
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert len(store) == 2
