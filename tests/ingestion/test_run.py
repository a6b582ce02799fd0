"""What goes in comes out, by the word of readers that know nothing of arraystore."""

import csv
import io
import json
import warnings
from pathlib import Path

import google_crc32c
import numpy as np
import pandas as pd
import pytest
import tensorstore
import zarr
from anndata.io import read_elem
from PIL import Image

import arraystore
from arraystore import _core
from arraystore.errors import FormatError, InvalidRequestError, SourceError
from arraystore.format.containers import open_layout
from arraystore.sources import registry
from arraystore.sources.archive import column
from arraystore.sources.bioscan5m import Bioscan5M
from arraystore.testing import make_bioscan5m


def images_by_key(path: Path) -> dict[str, bytes]:
    """The reader of fifteen lines: zarr-python alone."""
    group = zarr.open_group(path, mode="r")
    keys = group["columns/processid"][:]
    data = group["image/data"][:]
    places = zip(group["image/offset"][:].tolist(), group["image/nbytes"][:].tolist(), strict=True)
    slices = [data[start : start + nbytes].tobytes() for start, nbytes in places]
    return {str(key): jpeg for key, jpeg in zip(keys, slices, strict=True) if jpeg}


def read_frame(path: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_elem(zarr.open_group(path, mode="r")["columns"])


def files_of(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def rows_of(package) -> list[dict[str, str]]:
    with package.metadata.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", ["tree", "zip-stored", "zip-deflated"])
@pytest.mark.parametrize("by_split", [False, True])
def test_bytes_in_are_bytes_out(tmp_path, form, by_split):
    package = make_bioscan5m(tmp_path, n=24, distinct=4, form=form, by_split=by_split)
    report = arraystore.ingest(package.sources(), tmp_path / "s.zarr", shard_nbytes=65_536)
    assert images_by_key(tmp_path / "s.zarr") == package.jpegs["cropped_256"]
    assert (report.exit_code, report.troubles, report.images) == (0, {}, 24)
    assert report.image_nbytes == sum(map(len, package.jpegs["cropped_256"].values()))
    assert not (tmp_path / "s.zarr/.ingest").exists()
    assert not (tmp_path / "s.zarr.troubles.csv").exists()


def test_tensorstore_reads_the_same_bytes(package, store):
    data, offset, nbytes = (
        tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": str(store / "image" / name)}})
        .result()
        .read()
        .result()
        for name in ("data", "offset", "nbytes")
    )
    expected = images_by_key(store)
    keys = zarr.open_group(store)["columns/processid"][:]
    for key, start, length in zip(keys, offset.tolist(), nbytes.tolist(), strict=True):
        assert data[start : start + length].tobytes() == expected.get(str(key), b"")


def test_the_zarrs_pipeline_reads_the_same_bytes(store):
    expected = images_by_key(store)
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        assert images_by_key(store) == expected


def test_records_are_in_the_order_of_the_table_then_of_the_source(package, store):
    keys = zarr.open_group(store)["columns/processid"][:].tolist()
    rows = [row["processid"] for row in rows_of(package)]
    assert keys[: len(rows)] == rows
    assert set(keys[len(rows) :]) == set(package.keys) - set(rows)


def test_all_columns_come_out_as_pandas_reads_them(package, store):
    frame = read_frame(store)
    expected = pd.read_csv(package.metadata, dtype=str, keep_default_na=False, index_col="processid")
    assert list(frame.columns) == [name for name in expected.columns if name != "dna_barcode"]
    for name in frame.columns:
        column = frame[name].iloc[: len(expected)]
        if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype in (object, "string"):
            assert column.astype(object).where(column.notna(), "").tolist() == expected[name].tolist(), name
        else:
            numbers = pd.to_numeric(expected[name].replace("", None))
            assert column.astype("Float64").equals(numbers.astype("Float64").set_axis(column.index)), name


def test_image_without_a_row_has_the_split_of_its_path_and_nothing_else(package, store):
    frame = read_frame(store).iloc[-2:]
    assert frame["split"].tolist() == [package.splits[key] for key in frame.index]
    assert frame.drop(columns=["split", "chunk"]).isna().all(axis=None)


def test_barcodes_are_a_text_field(package, store):
    group = zarr.open_group(store)["dna_barcode"]
    data = group["data"][:].tobytes()
    places = zip(group["offset"][:].tolist(), group["nbytes"][:].tolist(), strict=True)
    found = [data[start : start + length].decode() for start, length in places]
    assert found == [row["dna_barcode"] for row in rows_of(package)] + ["", ""]


def test_sizes_and_checksums_are_those_of_the_image(store):
    group = zarr.open_group(store)
    jpegs = images_by_key(store)
    columns = [group[f"image/{name}"][:].tolist() for name in ("height", "width", "crc32c", "status")]
    for key, height, width, checksum, status in zip(group["columns/processid"][:], *columns, strict=True):
        if jpeg := jpegs.get(str(key)):
            assert Image.open(io.BytesIO(jpeg)).size == (width, height)
            assert google_crc32c.value(jpeg) == checksum
            assert status == 0
        else:
            assert (height, width, checksum, status) == (0, 0, 0, 1)


def test_keys_and_their_index_agree(store):
    group = zarr.open_group(store)
    keys = group["columns/processid"][:].tolist()
    data = group["key/data"][:].tobytes()
    places = zip(group["key/offset"][:].tolist(), group["key/nbytes"][:].tolist(), strict=True)
    assert [data[start : start + length].decode() for start, length in places] == keys
    hashes = group["key/hash"][:]
    assert (np.diff(hashes.astype(object)) >= 0).all()
    assert sorted(group["key/row"][:].tolist()) == list(range(len(keys)))


def test_no_image_straddles_a_shard(store):
    form = open_layout(store).form("image/data")
    group = zarr.open_group(store)["image"]
    offset, nbytes = group["offset"][:].astype(np.int64), group["nbytes"][:].astype(np.int64)
    kept = nbytes > 0
    assert form.shard_count > 2
    assert (offset[kept] // form.shard_nbytes == (offset + nbytes - 1)[kept] // form.shard_nbytes).all()


def test_every_checksum_of_the_root_is_right(store):
    layout = open_layout(store)
    files = {name: content for name, content in files_of(store).items() if "/data/c/" not in name and "/" in name}
    assert {name: google_crc32c.value(content) for name, content in files.items()}.items() <= dict(
        layout.spec.checksums
    ).items()


def test_counts_are_those_of_the_package(package, store):
    counts = open_layout(store).spec.counts
    listed = [row["split"] for row in rows_of(package)]
    extra = [package.splits[key] for key in read_frame(store).index[-2:]]
    assert counts["split"] == pd.Series(listed + extra).value_counts().sort_index().to_dict()
    assert counts["status"] == {"sound": 45, "missing": 3}
    assert counts["images"] == 45


def test_two_ingests_make_the_same_files(tmp_path, package, store):
    arraystore.ingest(package.sources(), tmp_path / "s.zarr", shard_nbytes=65_536, workers=1)
    assert files_of(tmp_path / "s.zarr") == files_of(store)


def test_rows_without_image_and_images_without_row_are_kept_and_counted(package, tmp_path):
    report = arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    assert report.troubles == {"row-without-image": 3, "image-without-row": 2}
    assert (report.exit_code, report.records, report.images) == (3, 48, 45)
    with report.troubles_path.open(newline="") as file:
        listed = list(csv.DictReader(file))
    frame = read_frame(tmp_path / "s.zarr")
    assert [frame.index[int(line["row"])] for line in listed] == [line["key"] for line in listed]
    assert sorted(line["kind"] for line in listed) == ["image-without-row"] * 2 + ["row-without-image"] * 3
    assert all(line["source"].endswith(line["key"] + ".jpg") for line in listed if line["kind"] == "image-without-row")
    assert "3 rows of the table without an image" in str(report)


def test_rows_without_image_may_be_left_out(package, tmp_path):
    report = arraystore.ingest(package.sources(), tmp_path / "s.zarr", rows="images")
    assert (report.records, report.rows_left_out) == (45, 3)
    assert report.troubles == {"image-without-row": 2}
    assert images_by_key(tmp_path / "s.zarr") == package.jpegs["cropped_256"]
    assert "3 rows of the table without an image were left out" in str(report)


def test_summary_advises_when_most_rows_have_no_image(package, tmp_path):
    report = arraystore.ingest(package.images["cropped_256"] / "val", tmp_path / "s.zarr")
    assert 2 * report.images < report.records
    assert "--rows images" in str(report)


def test_package_without_a_table_has_the_columns_of_its_paths(package, tmp_path):
    archive = tmp_path / "cropped_256"
    archive.symlink_to(package.images["cropped_256"])
    report = arraystore.ingest(archive, tmp_path / "s.zarr")
    frame = read_frame(tmp_path / "s.zarr")
    assert list(frame.columns) == ["split", "chunk"]
    assert frame["split"].to_dict() == {key: package.splits[key] for key in package.jpegs["cropped_256"]}
    assert report.exit_code == 0
    assert "no metadata table" in str(report)
    assert [field.name for field in open_layout(tmp_path / "s.zarr").spec.fields] == ["image"]


def test_same_command_again_says_that_it_is_complete(package, tmp_path):
    first = arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    before = files_of(tmp_path / "s.zarr")
    again = arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    assert files_of(tmp_path / "s.zarr") == before
    assert (again.state, again.images, again.troubles) == ("complete", first.images, first.troubles)
    assert "complete already" in str(again)
    assert again.exit_code == first.exit_code


def test_finished_store_of_other_sources_is_not_touched(package, tmp_path):
    arraystore.ingest(package.sources(), tmp_path / "s.zarr")
    before = files_of(tmp_path / "s.zarr")
    with pytest.raises(InvalidRequestError, match="--overwrite"):
        arraystore.ingest(package.images["cropped_256"] / "train", tmp_path / "s.zarr")
    assert files_of(tmp_path / "s.zarr") == before
    report = arraystore.ingest(package.images["cropped_256"] / "train", tmp_path / "s.zarr", overwrite=True)
    assert report.images < 45
    assert arraystore.verify(tmp_path / "s.zarr").ok


@pytest.mark.parametrize("overwrite", [False, True])
def test_directory_that_is_no_store_is_left_alone(package, tmp_path, overwrite):
    (tmp_path / "s.zarr").mkdir()
    (tmp_path / "s.zarr/thesis.tex").write_text("precious")
    with pytest.raises(FormatError, match="no arraystore"):
        arraystore.ingest(package.sources(), tmp_path / "s.zarr", overwrite=overwrite)
    assert list(files_of(tmp_path / "s.zarr")) == ["thesis.tex"]


def test_store_inside_of_its_source_is_refused(package):
    with pytest.raises(SourceError, match="inside of the source"):
        arraystore.ingest(package.sources(), package.images["cropped_256"] / "s.zarr")


@pytest.mark.parametrize("options", [{"check": "none"}, {"rows": "some"}, {"workers": 0}])
def test_wrong_option_is_refused(package, tmp_path, options):
    with pytest.raises(InvalidRequestError, match="expected"):
        arraystore.ingest(package.sources(), tmp_path / "s.zarr", **options)
    assert not (tmp_path / "s.zarr").exists()


def test_store_says_nothing_of_the_machine(package, store):
    assert str(package.root) not in (store / "zarr.json").read_text()
    assert json.loads((store / "zarr.json").read_text())["attributes"]["arraystore"]["source"]["paths"] == [
        "cropped_256"
    ]


def test_names_of_splits_are_those_of_the_publisher(store):
    """A reader knows no data set: what `seen` means stands in the store."""
    splits = json.loads((store / "zarr.json").read_text())["attributes"]["arraystore"]["splits"]
    assert splits["seen"] == ["train", "val", "test"]
    assert splits["validation"] == ["val"]
    assert splits["pretrain"] == ["pretrain"]


class FilesNamedByAColumn(Bioscan5M):
    """As in BIOSCAN-1M: a file is called after another column than the key."""

    def image_keys(self, images, table):
        row = column(_core.match_keys(table.table.strings("sampleid"), images.stems), np.int64)
        keys = table.table.strings("processid")
        stems = images.stems
        return _core.Strings.from_list([keys[int(each)] if each >= 0 else stems[i] for i, each in enumerate(row)])


def test_a_source_may_find_its_keys_in_the_table(tmp_path, monkeypatch):
    folder = tmp_path / "cropped_256/val"
    folder.mkdir(parents=True)
    for name in ("S1", "S2", "stray"):
        (folder / f"{name}.jpg").write_bytes(name.encode())
    (tmp_path / "m.csv").write_text("processid,sampleid\nP2,S2\nP3,S3\nP1,S1\n")
    monkeypatch.setattr(registry, "SOURCES", (FilesNamedByAColumn(),))
    arraystore.ingest(tmp_path / "cropped_256", tmp_path / "s.zarr", metadata=tmp_path / "m.csv")
    with arraystore.open(tmp_path / "s.zarr") as opened:
        assert list(opened.keys) == ["P2", "P3", "P1", "stray"]
        assert [opened.jpeg(key) for key in ("P1", "P2", "stray")] == [b"S1", b"S2", b"stray"]
        assert opened.status[opened.row("P3")] == 1
