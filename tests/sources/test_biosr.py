"""BioSR: pairs of patches, their sets and levels, and what is wrong with some of them."""

import csv
import shutil

import numpy as np
import pytest
import tensorstore
import zarr

import arraystore
from arraystore.errors import InvalidRequestError, MissingImageError
from arraystore.testing.biosr import make_biosr, tiff_bytes

tifffile = pytest.importorskip("tifffile")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_biosr(tmp_path_factory.mktemp("biosr"))


@pytest.fixture(scope="module", params=["b.zarr", "b.h5"])
def path(request, package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / request.param
    report = arraystore.ingest(package.root, path, progress=False)
    assert report.exit_code == 0
    return path


def test_the_maker_writes_tiffs_that_others_read(package):
    path = package.root / "Microtubules/training_wf/00000001.tif"
    assert (tifffile.imread(path) == package.wf["training/00000001"]).all()


def test_every_pair_comes_back_to_the_bit(package, path):
    with arraystore.open(path) as store:
        assert sorted(store.keys) == sorted(package.wf)
        for key in store.keys:
            record = store[key]
            assert list(record) == ["wf", "gt"]
            np.testing.assert_array_equal(record["wf"], package.wf[key])
            np.testing.assert_array_equal(record["gt"], package.gt[key])
            assert record["wf"].dtype == np.float32
    assert arraystore.verify(path).ok


def test_batches_are_in_the_order_asked(package, path):
    with arraystore.open(path) as store:
        keys = [store.keys[row] for row in (5, 1, 20)]
        batch = store[[5, 1, 20]]
        np.testing.assert_array_equal(batch["wf"], np.stack([package.wf[key] for key in keys]))
        out = np.empty((3, 128, 128), np.float32)
        assert store.arrays(keys, field="gt", out=out) is out
        np.testing.assert_array_equal(out, np.stack([package.gt[key] for key in keys]))
        train = store.select(split="train")
        np.testing.assert_array_equal(train[-1]["gt"], package.gt["training/00000012"])


def test_columns_say_set_and_level(path):
    with arraystore.open(path) as store:
        assert len(store.select(split="training")) == len(store.select(split="train")) == 12
        assert list(store.select(split="test", level=3).keys) == ["test/level_03/001", "test/level_03/002"]
        assert store.columns["level"].isna().sum() == 15


def test_widefield_patches_map_as_one_array(package, path):
    with arraystore.open(path) as store:
        mapped = store.memmap("wf")
        assert isinstance(mapped, np.memmap)
        assert mapped.shape == (len(store), 128, 128)
        assert not mapped.flags.writeable
        np.testing.assert_array_equal(mapped, np.stack([package.wf[key] for key in store.keys]))
        with pytest.raises(InvalidRequestError, match="several records share one"):
            store.memmap("gt")
        items, rows = store.memmap("gt", by="item"), store.item_rows("gt")
        assert items.shape == (17, 128, 128)
        np.testing.assert_array_equal(items[rows], np.stack([package.gt[key] for key in store.keys]))


def test_other_libraries_read_the_patches(package, tmp_path):
    arraystore.ingest(package.root, tmp_path / "b.zarr", progress=False)
    group = zarr.open_group(tmp_path / "b.zarr", mode="r")
    keys = group["columns/patch"][:]
    expected = np.stack([package.wf[key] for key in keys])
    np.testing.assert_array_equal(group["wf/data"][:][group["wf/row"][:]], expected)
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(tmp_path / "b.zarr/wf/data")}}
    np.testing.assert_array_equal(tensorstore.open(spec).result().read().result()[group["wf/row"][:]], expected)


@pytest.mark.parametrize("options", [{"codec": "zstd"}, {"codec": "blosc"}, {"shard_nbytes": 300_000}])
def test_codecs_and_shards_change_nothing_but_the_map(package, tmp_path, options):
    arraystore.ingest(package.root, tmp_path / "b.zarr", progress=False, **options)
    group = zarr.open_group(tmp_path / "b.zarr", mode="r")
    with arraystore.open(tmp_path / "b.zarr") as store:
        expected = np.stack([package.wf[key] for key in store.keys])
        np.testing.assert_array_equal(store.arrays(slice(None), field="wf"), expected)
        np.testing.assert_array_equal(group["wf/data"][:][group["wf/row"][:]], expected)
        with pytest.raises(InvalidRequestError, match='compressed|by="shard"'):
            store.memmap("wf")
    assert arraystore.verify(tmp_path / "b.zarr").ok


def test_sizes_and_types_are_those_of_the_files(tmp_path):
    package = make_biosr(tmp_path, 3, validate=1, test=1, side=20, gt_side=40, dtype="uint16")
    arraystore.ingest(package.root, tmp_path / "b.zarr", progress=False)
    with arraystore.open(tmp_path / "b.zarr") as store:
        record = store["test/level_09/001"]
        assert (record["wf"].shape, record["gt"].shape, record["gt"].dtype) == ((20, 20), (40, 40), np.uint16)
        np.testing.assert_array_equal(record["gt"], package.gt["test/level_09/001"])


@pytest.mark.parametrize("form", [{"byteorder": ">"}, {"tile": (16, 16)}, {"rowsperstrip": 5}, {"compression": "zlib"}])
def test_every_way_to_lay_out_samples_gives_the_same(tmp_path, form):
    package = make_biosr(tmp_path, 3, validate=1, test=1, side=32)
    changed = package.root / "Microtubules/training_wf/00000002.tif"
    tifffile.imwrite(changed, package.wf["training/00000002"], **form)
    assert arraystore.ingest(package.root, tmp_path / "b.zarr", progress=False).exit_code == 0
    with arraystore.open(tmp_path / "b.zarr") as store:
        np.testing.assert_array_equal(store["training/00000002"]["wf"], package.wf["training/00000002"])


def test_wrong_and_unpaired_files_are_listed_and_concern_nobody_else(tmp_path):
    package = make_biosr(tmp_path, 6, validate=1, test=1, side=32)
    folder = package.root / "Microtubules"
    (folder / "training_gt/00000002.tif").unlink()
    (folder / "training_wf/00000003.tif").write_bytes(b"II*\0 no tiff")
    (folder / "training_wf/00000004.tif").write_bytes(tiff_bytes(np.zeros((16, 32), np.float32)))
    tifffile.imwrite(folder / "training_wf/00000005.tif", np.zeros((32, 32, 3), np.uint8))
    content = (folder / "training_wf/00000006.tif").read_bytes()
    (folder / "training_wf/00000006.tif").write_bytes(content[:2_000])
    report = arraystore.ingest(package.root, tmp_path / "b.zarr", progress=False)
    assert report.exit_code == 3
    with report.troubles_path.open(encoding="utf-8", newline="") as file:
        listed = {line["key"] for line in csv.DictReader(file)}
    assert listed >= {f"training/0000000{number}" for number in range(2, 7)}
    with arraystore.open(tmp_path / "b.zarr") as store:
        np.testing.assert_array_equal(store["training/00000001"]["wf"], package.wf["training/00000001"])
        np.testing.assert_array_equal(
            store.arrays(["training/00000002"], field="wf")[0], package.wf["training/00000002"]
        )
        with pytest.raises((MissingImageError, ValueError), match="training/00000002"):
            store["training/00000002"]
        for number in (3, 4, 5, 6):
            with pytest.raises((MissingImageError, ValueError), match=f"training/0000000{number}"):
                store[f"training/0000000{number}"]
    assert arraystore.verify(tmp_path / "b.zarr").ok


def test_image_methods_say_which_fields_there_are(path):
    with arraystore.open(path) as store, pytest.raises(InvalidRequestError, match=r"no images.*wf \(array\)"):
        store.crops([0])


def test_an_interrupted_ingest_is_finished_by_the_same_call(package, tmp_path, monkeypatch):
    from arraystore.format.zarr_writer import ZarrWriter

    def fail(*_, **__):
        raise OSError("stopped")

    arraystore.ingest(package.root, tmp_path / "whole.zarr", progress=False)
    for step in ("seal", "write_index", "commit"):
        with monkeypatch.context() as patch:
            patch.setattr(ZarrWriter, step, fail)
            with pytest.raises(OSError, match="stopped"):
                arraystore.ingest(package.root, tmp_path / "b.zarr", progress=False)
    assert arraystore.ingest(package.root, tmp_path / "b.zarr", progress=False).state == "resumed"
    for file in (tmp_path / "whole.zarr").rglob("c/*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "b.zarr" / file.relative_to(tmp_path / "whole.zarr")).read_bytes()
    shutil.rmtree(tmp_path / "b.zarr")
