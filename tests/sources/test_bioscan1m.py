"""What paths of BIOSCAN-1M tell, and that every image finds its row through the name of its file."""

import csv
import logging
import shutil
import zipfile
from pathlib import Path

import pytest

import arraystore
from arraystore.errors import DuplicateKeyError, InvalidRequestError, SourceError
from arraystore.format.containers import open_layout
from arraystore.sources.archive import scan_sources
from arraystore.sources.bioscan1m import COLUMNS, PACKAGES, Bioscan1M, place_of
from arraystore.sources.registry import recognise
from arraystore.testing import make_bioscan1m, make_bioscan5m


@pytest.mark.parametrize(
    ("directory", "place"),
    [
        ("/data/bioscan1m/images/original_full/part113", ("original_full", "113", True, False)),
        ("bioscan/images/cropped/part7", ("cropped_full", "7", True, False)),
        ("bioscan/images/cropped_256", ("cropped_256", None, True, False)),
        ("bioscan/images/BIOSCAN_1M_cropped_256", ("cropped_256", None, True, False)),
        ("bioscan/images/bioscan_images_cropped_full_part12", ("cropped_full", "12", True, False)),
        ("/x/BIOSCAN_1M_original_images/part2", ("original_full", "2", True, False)),
        ("mine/cropped_256/part3", ("cropped_256", "3", True, False)),
        ("mine/part3", (None, "3", False, False)),
        ("mine/cropped_256", ("cropped_256", None, False, False)),
        ("photos", (None, None, False, False)),
        ("bioscan5m/images/cropped_256/train/0", ("cropped_256", None, False, True)),
        ("/bioscan1m/bioscan5m/images/cropped_256", ("cropped_256", None, False, True)),
        ("/bioscan5m/bioscan1m/images/cropped_256", ("cropped_256", None, True, False)),
        ("/bioscan5m/bioscan/images/cropped_256/part1", ("cropped_256", "1", True, False)),
        ("cropped_256/val", ("cropped_256", None, False, True)),
    ],
)
def test_directory_tells_package_part_and_data_set(directory, place):
    found = place_of(directory)
    assert (found.package, found.part, found.is_named, found.is_foreign) == place


def rows_of(metadata: Path) -> list[dict[str, str]]:
    with metadata.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("form", ["tree", "zip-stored", "zip-deflated"])
@pytest.mark.parametrize("with_parts", [True, False])
def test_every_image_is_found_by_its_processid(tmp_path, package, form, with_parts):
    made = make_bioscan1m(tmp_path, 9, package=package, form=form, with_parts=with_parts, distinct=2)
    assert len(made.sources) == (3 if form != "tree" and package.endswith("full") else 1)
    report = arraystore.ingest(made.sources, tmp_path / "s.zarr")
    assert (report.package, report.images, report.troubles) == (package, 9, {})
    assert report.metadata == made.metadata
    assert open_layout(tmp_path / "s.zarr").spec.dataset == "BIOSCAN-1M"
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert list(store.keys) == list(made.files)
        assert {key: store.jpeg(key) for key in store.keys} == {
            key: made.jpegs[file] for key, file in made.files.items()
        }
    assert arraystore.verify(tmp_path / "s.zarr").ok


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_columns_are_those_of_the_table(tmp_path, line_end):
    made = make_bioscan1m(tmp_path, 24, distinct=2, line_end=line_end)
    arraystore.ingest(made.sources, tmp_path / "s.zarr")
    rows = rows_of(made.metadata)
    assert len(COLUMNS) == 28
    assert set(rows[0]) == {each.name for each in COLUMNS}
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert set(store.columns) == set(rows[0]) - {"processid", "nucraw"}
        for name in store.columns:
            expected = [None if row[name] in ("not_classified", "no_data") else row[name] for row in rows]
            found = [store.columns[name][i] for i in range(len(store))]
            assert [value if value is None else str(value) for value in found] == expected, name
        assert [store.text(i) for i in range(len(store))] == [row["nucraw"] for row in rows]
        assert store.columns["chunk_number"][:].dtype == "uint8"
        trained = store.select(large_diptera_family="train", medium_insect_order="train")
        assert list(trained.keys) == [
            row["processid"] for row in rows if row["large_diptera_family"] == row["medium_insect_order"] == "train"
        ]
        assert len(store.select(small_insect_order="no_split")) == 6
        with pytest.raises(arraystore.errors.ArrayStoreError, match="split"):
            store.select(split="train")


def test_missing_rows_and_missing_images_are_told(tmp_path):
    made = make_bioscan1m(tmp_path, 12, distinct=2, rows_without_image=2, images_without_row=3)
    report = arraystore.ingest(made.sources, tmp_path / "s.zarr")
    assert report.troubles == {"row-without-image": 2, "image-without-row": 3}
    with arraystore.open(tmp_path / "s.zarr") as store:
        keys, stems = list(made.files), [Path(file).stem for file in made.files.values()]
        assert list(store.keys)[:9] == keys[:9]
        assert sorted(store.keys[9:]) == sorted(stems[9:])
        assert store.jpeg(stems[10]) == made.jpegs[made.files[keys[10]]]


def test_without_its_table_images_keep_the_names_of_their_files(tmp_path, caplog):
    made = make_bioscan1m(tmp_path, 6, distinct=2, form="zip-stored")
    made.metadata.unlink()
    with caplog.at_level(logging.WARNING):
        arraystore.ingest(made.sources, tmp_path / "s.zarr")
    assert "not by their processid" in caplog.text
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert {f"{key}.jpg" for key in store.keys} == set(made.jpegs)
        assert sorted({store.columns["chunk_number"][i] for i in range(6)}) == ["1", "2", "3"]


@pytest.mark.parametrize("level", ["bioscan1m", "bioscan1m/images", "bioscan1m/images/cropped_256/part2"])
def test_any_level_of_the_tree_may_be_named(tmp_path, level):
    made = make_bioscan1m(tmp_path, 6, distinct=2)
    images = Bioscan1M().images(scan_sources([tmp_path / level]))
    assert (recognise(images.members).dataset, images.package) == ("BIOSCAN-1M", "cropped_256")
    assert len(images) == (2 if level.endswith("part2") else 6)
    assert Bioscan1M().find_table([tmp_path / level]) == made.metadata


@pytest.mark.parametrize("name", ["BIOSCAN_Insect_Dataset_metadata.tsv", "BIOSCAN_1M_Insect_Dataset_metadata.tsv"])
@pytest.mark.parametrize("place", ["", "bioscan1m"])
def test_table_is_found_in_its_published_places(tmp_path, name, place):
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / name).write_text("processid\n")
    assert Bioscan1M().find_table([tmp_path / "bioscan/images/cropped_256"]) == tmp_path / place / name
    assert Bioscan1M().find_table([tmp_path / "a.zip"]) == tmp_path / place / name
    assert Bioscan1M().find_table([tmp_path.parent / "elsewhere"]) is None


def test_parts_are_recognised_below_any_prefix(tmp_path):
    made = make_bioscan1m(tmp_path, 6, distinct=2, package="cropped_full")
    paths = [tmp_path / f"bioscan_images_cropped_full_part{part}.zip" for part in (1, 2, 3)]
    for part, path in enumerate(paths, 1):
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted((made.sources[0] / f"part{part}").iterdir()):
                archive.write(file, f"part{part}/{file.name}")
    report = arraystore.ingest(paths, tmp_path / "s.zarr")
    assert (report.package, report.images, report.troubles) == ("cropped_full", 6, {})
    shutil.move(tmp_path / "bioscan1m/images/cropped_full", tmp_path / "mine")
    with pytest.raises(SourceError, match="--package"):
        arraystore.ingest(tmp_path / "mine", tmp_path / "t.zarr")
    report = arraystore.ingest(tmp_path / "mine", tmp_path / "t.zarr", package="cropped")
    assert (report.package, report.images, report.troubles) == ("cropped_full", 6, {})


def test_the_two_data_sets_are_not_confused(tmp_path):
    one, five = make_bioscan1m(tmp_path / "a", 6, distinct=2), make_bioscan5m(tmp_path / "a", 8, distinct=2)
    for form in ("zip-stored", "tree"):
        zips = make_bioscan1m(tmp_path / form, 6, distinct=2, form=form, with_parts=False)
        assert recognise(scan_sources(zips.sources)).dataset == "BIOSCAN-1M"
        zips = make_bioscan5m(tmp_path / form, 8, distinct=2, form=form, by_split=True)
        assert recognise(scan_sources(zips.sources())).dataset == "BIOSCAN-5M"
    assert recognise(scan_sources(one.sources)).dataset == "BIOSCAN-1M"
    assert recognise(scan_sources(five.sources())).dataset == "BIOSCAN-5M"
    with pytest.raises(SourceError, match=r"BIOSCAN-1M and of BIOSCAN-5M.*one data set at a time"):
        arraystore.ingest(tmp_path / "a", tmp_path / "s.zarr")


def test_several_or_unknown_packages_are_refused(tmp_path):
    for package in ("cropped_256", "original_256"):
        make_bioscan1m(tmp_path, 6, distinct=2, package=package)
    source = tmp_path / "bioscan1m"
    with pytest.raises(SourceError, match=r"cropped_256 \(6 images\), original_256 \(6 images\).*--package"):
        arraystore.ingest(source, tmp_path / "s.zarr")
    with pytest.raises(SourceError, match=r"cropped_512.*expected one of original_full"):
        arraystore.ingest(source, tmp_path / "s.zarr", package="cropped_512")
    with pytest.raises(SourceError, match=r"no images of cropped_full.*there are images of cropped_256, original_256"):
        arraystore.ingest(source, tmp_path / "s.zarr", package="cropped_full")
    report = arraystore.ingest(source, tmp_path / "s.zarr", package="original_256")
    assert (report.images, report.images_left_out) == (6, 6)


@pytest.mark.parametrize("change", ["delimiter", "no image_file", "same image_file"])
def test_a_wrong_table_is_refused_with_advice(tmp_path, change):
    made = make_bioscan1m(tmp_path, 6, distinct=2)
    rows = rows_of(made.metadata)
    message = {
        "delimiter": r"m\.tsv: no column 'processid'.*separated by commas, where tabs are expected",
        "no image_file": r"m\.tsv: no column 'image_file'",
        "same image_file": r"m\.tsv: image_file .* stands on line 2 and on line 5",
    }[change]
    rows[3]["image_file"] = rows[0]["image_file"] if change == "same image_file" else ""
    rows[4]["image_file"] = ""
    names = [name for name in rows[0] if change != "no image_file" or name != "image_file"]
    with (tmp_path / "m.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, delimiter="," if change == "delimiter" else "\t", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(DuplicateKeyError if change == "same image_file" else SourceError, match=message):
        arraystore.ingest(made.sources, tmp_path / "s.zarr", metadata=tmp_path / "m.tsv")
    assert not (tmp_path / "s.zarr").exists()


def test_another_key_is_refused(tmp_path):
    made = make_bioscan1m(tmp_path, 3, distinct=2)
    with pytest.raises(InvalidRequestError, match="known by their processid"):
        arraystore.ingest(made.sources, tmp_path / "s.zarr", key="sampleid")


@pytest.mark.parametrize("options", [{"form": "tar"}, {"package": "cropped"}])
def test_unknown_synthetic_packages_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match="unknown form"):
        make_bioscan1m(tmp_path, 3, **options)


def test_an_append_without_the_table_is_refused_where_keys_come_from_it(tmp_path):
    whole, more = (make_bioscan1m(tmp_path / name, 6, distinct=3, seed=seed) for seed, name in enumerate(("a", "b")))
    arraystore.ingest(whole.sources, tmp_path / "s.zarr", metadata=whole.metadata)
    bare = shutil.copytree(more.sources[0], tmp_path / "bare/cropped_256")
    with pytest.raises(InvalidRequestError, match="names of their files: name the table with --metadata"):
        arraystore.append(tmp_path / "s.zarr", bare)
    assert arraystore.append(tmp_path / "s.zarr", bare, metadata=more.metadata).added == 6
