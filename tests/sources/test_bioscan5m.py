"""What paths of BIOSCAN-5M tell, and which of all files are images of a package."""

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from arraystore.errors import SourceError
from arraystore.sources.archive import column, scan_sources
from arraystore.sources.bioscan5m import SPLITS, Bioscan5M, Place, expected_chunk, place_of
from arraystore.sources.registry import recognise

PUBLISHED_PATHS = [
    "pretrain/00/AACTA1040-20",
    "pretrain/ff/YGEN686-22",
    "pretrain/fe/YGEN2059-22",
    "train/0/AACTA1026-20",
    "train/f/YGEN986-22",
    "other_heldout/0/ABSSI1639-22",
    "other_heldout/f/YDBB6502-21",
]


@pytest.mark.parametrize(
    ("directory", "place"),
    [
        ("bioscan5m/images/cropped_256/pretrain/00", ("cropped_256", "pretrain", "00")),
        ("/data/bioscan5m/images/original_256/val", ("original_256", "val", None)),
        ("cropped_256/train/f", ("cropped_256", "train", "f")),
        ("cropped_full/test", ("cropped", "test", None)),
        ("/disk/cropped/bioscan5m/images/original_full/key_unseen", ("original_full", "key_unseen", None)),
        ("/mnt/cropped_256/extra", ("cropped_256", None, None)),
        ("train/0", (None, "train", "0")),
        ("val/0", (None, None, None)),
        ("val", (None, "val", None)),
        ("", (None, None, None)),
        ("images/cropped_2560/train/0", (None, "train", "0")),
        ("cropped_256/train/xyz", ("cropped_256", None, None)),
    ],
)
def test_directory_tells_package_split_and_chunk(directory, place):
    assert place_of(directory) == Place(*place)


@pytest.mark.parametrize("path", PUBLISHED_PATHS)
def test_chunk_rule_gives_the_published_directories(path):
    split, chunk, processid = path.split("/")
    assert expected_chunk(processid, split) == chunk


def test_splits_without_chunks_have_none():
    assert [expected_chunk("X", split) for split in ("val", "test", "key_unseen", "val_unseen")] == [None] * 4


def test_meta_splits_are_made_of_splits():
    splits = Bioscan5M.splits
    assert {name for name, parts in splits.items() if parts == (name,)} == set(SPLITS)
    assert set(splits["seen"]) | set(splits["unseen"]) < set(SPLITS)
    assert splits["validation"] == ("val",)


def test_a_layout_is_recognised_by_its_directories(tmp_path):
    for name in ("bioscan5m/images/cropped_256/train/0/A-1.jpg", "b/val/ABOTH966-22.jpg", "photos/A-1.jpg"):
        members = scan_sources([write(tmp_path / str(len(name)), name)])
        assert Bioscan5M().recognises(members) == (not name.startswith("photos"))
        assert recognise(members).dataset == ("folder" if name.startswith("photos") else "BIOSCAN-5M")
        # Only publishers have packages: they say which.
        assert recognise(members, package="cropped_256").dataset == "BIOSCAN-5M"


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def images_of(*paths: Path, package=None):
    images = Bioscan5M().images(scan_sources(paths), package=package)
    return images, images.stems.to_list()


def test_any_level_of_the_tree_may_be_named(tmp_path):
    write(tmp_path, "bioscan5m/images/cropped_256/train/0/A-1.jpg")
    folder = tmp_path
    for part in ["bioscan5m", "images", "cropped_256", "train", "0"]:
        folder = folder / part
        images, keys = images_of(folder)
        assert (images.package, keys) == ("cropped_256", ["A-1"])
        assert [images.labels[name].categories for name in ("split", "chunk")] == [("train",), ("0",)]


def test_junk_is_skipped_and_named(tmp_path):
    root = tmp_path / "cropped_256"
    junk = ["train/0/._A-1.jpg", "train/0/.DS_Store", "train/Thumbs.db", "train/notes.txt", "__MACOSX/train/0/A-1.jpg"]
    write(root, "train/0/A-1.jpg", "val/B-2.JPG", "test/C-3.JPEG", "val/D-4.jpeg", *junk)
    images, keys = images_of(root)
    assert sorted(keys) == ["A-1", "B-2", "C-3", "D-4"]
    assert {Path(path).relative_to(root).as_posix() for _, path in images.skipped_paths()} == set(junk)


def test_zip_members_are_recognised_below_any_prefix(tmp_path):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("bioscan5m/images/cropped_256/train/0/A-1.jpg", b"1")
        file.writestr("./bioscan5m\\images\\cropped_256\\pretrain\\00\\B-2.jpg", b"2")
        file.writestr("__MACOSX/bioscan5m/images/cropped_256/train/0/._A-1.jpg", b"3")
        file.writestr("../cropped_256/train/0/E-5.jpg", b"4")
        file.mkdir("cropped_256/train/1")
    images, keys = images_of(archive)
    assert keys == ["A-1", "B-2"]
    split, chunk = images.labels["split"], images.labels["chunk"]
    assert [split.categories[code] for code in split.codes] == ["train", "pretrain"]
    assert [chunk.categories[code] for code in chunk.codes] == ["0", "00"]
    # One that would leave the archive is refused, and is a trouble; what macOS adds is not.
    assert [Path(path).name for path, _ in images.unusable] == ["E-5.jpg"]


def test_several_packages_are_refused_with_their_counts(tmp_path):
    write(tmp_path, "cropped_256/train/0/A-1.jpg", "cropped_256/val/B-1.jpg", "original_256/val/B-1.jpg")
    with pytest.raises(SourceError, match=r"cropped_256 \(2 images\), original_256 \(1 images\).*--package"):
        images_of(tmp_path)
    images, keys = images_of(tmp_path, package="original_256")
    assert keys == ["B-1"]
    assert [(group.reason, len(group.indices)) for group in images.skipped if len(group.indices)] == [
        ("other-package", 2)
    ]


def test_package_that_is_named_takes_directories_that_name_none(tmp_path):
    write(tmp_path, "mine/train/0/A-1.jpg", "mine/B-2.jpg")
    with pytest.raises(SourceError, match="--package"):
        images_of(tmp_path)
    images, keys = images_of(tmp_path, package="cropped_full")
    assert (images.package, sorted(keys)) == ("cropped", ["A-1", "B-2"])
    assert sorted(images.labels["split"].codes.tolist()) == [-1, 0]


@pytest.mark.parametrize("package", [None, "cropped_256"])
def test_no_image_is_an_error_that_names_the_source(tmp_path, package):
    write(tmp_path / "src", "cropped_256/readme.txt")
    with pytest.raises(SourceError, match="no images of .*src"):
        images_of(tmp_path / "src", package=package)


def test_zips_in_a_folder_are_pointed_out(tmp_path):
    write(tmp_path, "BIOSCAN_5M_cropped_256.zip")
    with pytest.raises(SourceError, match="zip archives in the folder"):
        images_of(tmp_path)


def test_unknown_package_is_refused(tmp_path):
    with pytest.raises(SourceError, match="cropped_512.*expected one of original_full"):
        images_of(write(tmp_path, "a.jpg"), package="cropped_512")


def test_wrong_chunks_are_a_warning_only(tmp_path, caplog):
    write(tmp_path, "cropped_256/pretrain/00/AACTA1040-20.jpg", "cropped_256/pretrain/01/YGEN686-22.jpg")
    _, keys = images_of(tmp_path)
    assert len(keys) == 2
    assert "1 of 2 sampled images" in caplog.text


def test_nothing_to_scan_is_an_error():
    with pytest.raises(SourceError, match="no source"):
        scan_sources([])


def test_columns_of_the_core_are_arrays(tmp_path):
    members = scan_sources([write(tmp_path, "cropped_256/val/A-1.jpg")])
    nbytes = column(members.nbytes, np.uint64)
    assert nbytes.tolist() == [len("cropped_256/val/A-1.jpg")]
    assert not nbytes.flags.writeable
    assert column(scan_sources([tmp_path / "cropped_256/val"]).nbytes, np.uint64).dtype == np.uint64


def test_table_is_found_from_any_level(tmp_path):
    table = tmp_path / "bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv"
    table.parent.mkdir(parents=True)
    with table.open("w") as file:
        csv.writer(file).writerow(["processid"])
    (tmp_path / "bioscan5m/images/cropped_256/train").mkdir(parents=True)
    source = Bioscan5M()
    for place in ["", "bioscan5m", "bioscan5m/images/cropped_256/train", "BIOSCAN_5M_cropped_256.zip"]:
        assert source.find_table([tmp_path / place]) == table
    assert source.find_table([tmp_path.parent / "elsewhere"]) is None
