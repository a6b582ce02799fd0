"""Synthetic packages are laid out as their publishers do it, and follow from their seed."""

import csv
import hashlib
import io
import zipfile

import pytest
from PIL import Image

from arraystore.testing import BioscanPackage, insect_jpeg, make_bioscan5m, texture_jpeg
from arraystore.testing.insects import ORDERS
from arraystore.testing.packages import COLUMNS, SPLITS

# Section 2.1 of the description of BIOSCAN-5M: characters of the MD5 that name the chunk directory.
CHUNK_LETTERS = {"pretrain": 2, "train": 1, "other_heldout": 1}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> BioscanPackage:
    return make_bioscan5m(tmp_path_factory.mktemp("tree"), 60, distinct=10)


def rows_of(package):
    with package.metadata.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_image_lies_where_its_split_and_chunk_say(tree):
    root = tree.root / "bioscan5m/images/cropped_256"
    assert tree.images == {"cropped_256": root}
    assert len(list(root.rglob("*.jpg"))) == len(set(tree.keys)) == 60
    for key in tree.keys:
        split = tree.splits[key]
        chunk = hashlib.md5(key.encode()).hexdigest()[: CHUNK_LETTERS.get(split, 0)]
        assert (root / split / chunk / f"{key}.jpg").read_bytes() == tree.jpegs["cropped_256"][key]


def test_the_table_has_the_23_columns_and_all_splits(tree):
    rows = rows_of(tree)
    assert tuple(rows[0]) == COLUMNS
    assert len(COLUMNS) == 23
    assert [row["processid"] for row in rows] == list(tree.keys)
    assert {row["split"] for row in rows} == set(SPLITS)
    for row in rows:
        chunk = hashlib.md5(row["processid"].encode()).hexdigest()[: CHUNK_LETTERS.get(row["split"], 0)]
        assert row["chunk"] == chunk
        assert row["dna_barcode"]
        assert row["order"] in ORDERS


def test_a_package_follows_from_its_seed(tmp_path):
    first = make_bioscan5m(tmp_path / "a", 12, seed=3, form="zip-stored")
    again = make_bioscan5m(tmp_path / "b", 12, seed=3, form="zip-stored")
    other = make_bioscan5m(tmp_path / "c", 12, seed=4, form="zip-stored")
    assert first.metadata.read_bytes() == again.metadata.read_bytes() != other.metadata.read_bytes()
    assert first.sources()[0].read_bytes() == again.sources()[0].read_bytes() != other.sources()[0].read_bytes()


@pytest.mark.parametrize("form", ["zip-stored", "zip-deflated"])
def test_archives_hold_the_tree(tree, tmp_path, form):
    package = make_bioscan5m(tmp_path, 60, form=form, distinct=10, by_split=True)
    assert [path.name for path in package.sources()] == [
        f"BIOSCAN_5M_cropped_256_{part}.zip" for part in ("eval", "pretrain", "train")
    ]
    members = {}
    for path in package.sources():
        with zipfile.ZipFile(path) as archive:
            members |= {name: archive.read(name) for name in archive.namelist()}
            kinds = {member.compress_type for member in archive.infolist()}
            assert kinds == {zipfile.ZIP_STORED if form == "zip-stored" else zipfile.ZIP_DEFLATED}
    assert members == {str(path.relative_to(tree.root)): path.read_bytes() for path in tree.root.rglob("*.jpg")}


def test_some_rows_lack_an_image_and_some_images_a_row(tmp_path):
    package = make_bioscan5m(tmp_path, 20, rows_without_image=3, images_without_row=2, distinct=3)
    listed = {row["processid"] for row in rows_of(package)}
    pictured = set(package.jpegs["cropped_256"])
    assert (len(listed), len(pictured)) == (18, 17)
    assert (len(listed - pictured), len(pictured - listed)) == (3, 2)


@pytest.mark.parametrize("package", ["original_256", "cropped", "original_full"])
def test_other_packages_have_the_same_keys(tmp_path, package):
    made = make_bioscan5m(tmp_path, 3, packages=[package, "cropped_256"])
    assert made.jpegs[package].keys() == made.jpegs["cropped_256"].keys()
    assert (made.images[package] / made.splits[made.keys[0]]).is_dir()


def test_an_unknown_package_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cropped_512"):
        make_bioscan5m(tmp_path, 3, packages=["cropped_512"])


@pytest.mark.parametrize("order", ORDERS)
def test_an_insect_is_a_jpeg_as_published(order):
    jpeg = insect_jpeg(5, order=order)
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.mode == "RGB"
        assert image.height == 256
        assert 256 <= image.width <= 380
        assert [component[1:3] for component in image.layer] == [(2, 2), (1, 1), (1, 1)]
        assert "progressive" not in image.info
    assert jpeg.endswith(b"\xff\xd9")
    assert 4_000 < len(jpeg) < 16_000
    assert jpeg == insect_jpeg(5, order=order) != insect_jpeg(6, order=order)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_texture_has_any_size_and_mode(mode):
    with Image.open(io.BytesIO(texture_jpeg(1, height=1, width=17, mode=mode))) as image:
        assert (image.mode, image.size) == (mode, (17, 1))
