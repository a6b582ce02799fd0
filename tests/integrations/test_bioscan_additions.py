"""What `BIOSCAN5M` and `BIOSCAN1M` have besides the items of bioscan_dataset: stores, batches, orders, errors."""

import linecache
import pickle
import shutil
import subprocess
import sys
import warnings
from functools import partial
from importlib import metadata

import numpy as np
import pytest
from PIL import Image

import arraystore
from arraystore.errors import DatasetNotFoundError, InvalidRequestError, MissingFileError, UnknownKeyError
from arraystore.integrations.bioscan import BIOSCAN1M, BIOSCAN5M
from arraystore.testing.packages import make_bioscan1m, make_bioscan5m

N = 60


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """BIOSCAN-5M with two rows that have no image, and two images that have no row."""
    return make_bioscan5m(
        tmp_path_factory.mktemp("5m"), N, distinct=8, rows_without_image=2, images_without_row=2, seed=3
    )


@pytest.fixture(scope="module")
def store(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "cropped_256.zarr"
    arraystore.ingest(package.sources(), path, metadata=package.metadata, progress=False)
    with arraystore.open(path) as opened:
        yield opened


@pytest.fixture(scope="module", params=[BIOSCAN5M, BIOSCAN1M])
def repeating(request, tmp_path_factory):
    """A class, and a store of its data set, of which each barcode is that of three rows."""
    folder = tmp_path_factory.mktemp("repeating")
    if request.param is BIOSCAN5M:
        made, barcode, delimiter = make_bioscan5m(folder, N, distinct=1), "dna_barcode", ","
    else:
        made, barcode, delimiter = make_bioscan1m(folder, N, distinct=1), "nucraw", "\t"
    names, *rows = (line.split(delimiter) for line in made.metadata.read_text(encoding="utf-8").splitlines())
    column = names.index(barcode)
    for number, row in enumerate(rows):
        row[column] = rows[number // 3 * 3][column]
    made.metadata.write_text("\n".join(map(delimiter.join, [names, *rows])), encoding="utf-8")
    with arraystore.open(folder, metadata=made.metadata) as opened:
        yield request.param, opened


@pytest.mark.parametrize("reduced", [False, True])
def test_a_view_filters_the_items_and_nothing_else(repeating, reduced):
    kind, store = repeating
    make = partial(kind, split="all", modality=(), target_type="family", reduce_repeated_barcodes=reduced)
    view = store.select(np.flatnonzero(store.columns["order"] == "Diptera")[::-1])
    whole, part = make(store), make(view)
    number_of = dict(zip(whole.view.keys, whole.targets(), strict=True))
    assert len(number_of) == (N // 3 if reduced else N)
    assert list(part.view.keys) == [key for key in view.keys if key in number_of]
    assert part.targets().tolist() == [number_of[key] for key in part.view.keys]
    assert part.label2index(whole.index2label([0, 1, 2])).tolist() == [0, 1, 2]


def same_items(left, right):
    for mine, other in zip(left, right, strict=True):
        assert mine[0].tobytes() == other[0].tobytes()
        assert mine[1:] == other[1:]


@pytest.mark.parametrize("form", ["zip-stored", "zip-deflated"])
@pytest.mark.parametrize("by_split", [False, True])
def test_root_may_hold_zips(package, tmp_path, form, by_split):
    zips = make_bioscan5m(
        tmp_path, N, distinct=8, rows_without_image=2, images_without_row=2, seed=3, form=form, by_split=by_split
    )
    expected = BIOSCAN5M(package.root)
    same_items(BIOSCAN5M(tmp_path), expected)
    same_items(BIOSCAN5M(zips.sources()), expected)


def test_a_package_whose_name_begins_another_is_not_mistaken_for_it(tmp_path):
    make_bioscan5m(tmp_path, 16, distinct=1, packages=("cropped", "cropped_256"), form="zip-stored")
    sizes = {name: BIOSCAN5M(tmp_path, "all", image_package=name)[0][0].height for name in ("cropped", "cropped_256")}
    assert sizes == {"cropped": 400, "cropped_256": 256}


@pytest.mark.parametrize("form", ["tree", "zip-stored", "hdf5"])
@pytest.mark.parametrize("image_package", ["cropped_256", "cropped"])
def test_root_of_bioscan1m_may_hold_folders_and_archives(tmp_path, form, image_package):
    name = "cropped_full" if image_package == "cropped" else image_package
    made = make_bioscan1m(tmp_path, 12, distinct=2, form=form, package=name)
    dataset = BIOSCAN1M(tmp_path, "all", modality=["image", "image_file"], image_package=image_package)
    assert len(dataset) == 12
    for image, file, _ in dataset:
        assert image.tobytes() == Image.open(_file(made.jpegs[file])).tobytes()


def test_root_may_be_an_open_store_its_path_or_a_view(store):
    expected = BIOSCAN5M(store)
    same_items(BIOSCAN5M(str(store.path)), expected)
    few = BIOSCAN5M(store.select(order="Diptera"), target_type="order", target_format="text")
    assert len(few) == len(store.select(order="Diptera", split="train")) > 0
    assert {target for *_, target in few} == {"Diptera"}
    # The numbers of labels are those of the whole store.
    assert (
        BIOSCAN5M(store.select(order="Diptera"))[0][2] == expected[list(expected.view.keys).index(few.view.keys[0])][2]
    )


def test_images_without_a_row_are_no_items_and_rows_without_an_image_are(package, store):
    dataset = BIOSCAN5M(store, "all", modality=["processid", "image"])
    assert list(dataset.view.keys) == list(package.keys[: N - 2])
    with pytest.raises(MissingFileError, match=package.keys[0]):
        dataset[0]
    with pytest.raises(FileNotFoundError):
        dataset[1]
    assert dataset[2][0] == package.keys[2]


def test_a_batch_has_the_items_one_by_one(store):
    dataset = BIOSCAN5M(store, target_type=["species", "size"], transform=np.asarray, dna_transform=len)
    rows = [5, 0, -1, 5]
    for item, row in zip(dataset.__getitems__(rows), rows, strict=True):
        np.testing.assert_array_equal(item[0], dataset[row][0])
        np.testing.assert_equal(item[1:], dataset[row][1:])


def test_positions_are_checked(store):
    dataset = BIOSCAN5M(store)
    for wrong in (len(dataset), -len(dataset) - 1):
        with pytest.raises(IndexError, match=f"index {wrong} is out of bounds"):
            dataset[wrong]
    with pytest.raises(TypeError):
        dataset["ABOTH966-22"]


def test_size_and_geolocation_are_targets_and_modalities(store):
    dataset = BIOSCAN5M(
        store, "all", ["geolocation", "size"], target_type=["geolocation", "size", "coord-lat", "order"]
    )
    columns = dataset.view.columns
    place = np.stack([columns["coord-lat"].to_numpy(), columns["coord-lon"].to_numpy()], axis=1)
    size = columns["image_measurement_value"].to_numpy()
    assert np.isnan(place).any() or np.isnan(size).any()
    np.testing.assert_array_equal(dataset.targets("geolocation"), place)
    np.testing.assert_array_equal(dataset.targets("size"), size)
    for number, (where, pixels, target) in enumerate(dataset):
        np.testing.assert_array_equal(where, place[number])
        np.testing.assert_array_equal(target[0], place[number])
        assert where.dtype == np.float64
        np.testing.assert_equal([pixels, *target[1:3]], [size[number], size[number], place[number][0]])
        assert target[3] == dataset.label2index(columns["order"][number], "order")


def test_numbers_have_no_index_in_the_dict_form(store):
    dataset = BIOSCAN5M(store, modality="dna", target_type=["size", "order"], output_format="dict")
    assert list(dataset[0]) == ["dna", "size", "order", "order_index", "target"]


def test_columns_that_bioscan_dataset_does_not_load_are_modalities(store):
    dataset = BIOSCAN5M(store, modality=["sampleid", "taxon", "inferred_ranks"])
    columns = dataset.view.columns
    assert dataset[3][:3] == (columns["sampleid"][3], columns["taxon"][3], columns["inferred_ranks"][3])


def test_crops_are_those_of_the_store(store):
    dataset = BIOSCAN5M(store)
    rows = [3, 0, -1]
    keys = [dataset.view.keys[row] for row in rows]
    np.testing.assert_array_equal(dataset.crops(rows, 64, seed=1), store.crops(keys, 64, seed=1))
    assert dataset.crops(slice(2), dtype="float32", layout="NCHW").shape == (2, 3, 224, 224)


def test_targets_are_those_of_the_items(store):
    dataset = BIOSCAN5M(store, "all", modality=(), target_type=["species", "uri"])
    assert [(*item,) for (item,) in dataset] == list(
        zip(dataset.targets("species"), dataset.targets("uri"), strict=True)
    )
    with pytest.raises(ValueError, match="column must be specified"):
        dataset.targets()
    with pytest.raises(KeyError, match="no column 'colour'"):
        dataset.targets("colour")


def test_labels_and_indices_are_translated(store):
    dataset = BIOSCAN5M(store, target_type="order")
    names = sorted(set(store.columns["order"]) - {None})
    assert dataset.label2index(names[1]) == 1
    assert dataset.index2label(np.int8(1)) == names[1]
    assert dataset.index2label(-1) == dataset.index2label(np.array(-1)) == ""
    assert dataset.index2label(np.array(1)) == names[1]
    assert dataset.label2index("") == dataset.label2index(None) == dataset.label2index(float("nan")) == -1
    # bioscan_dataset 1.3.0 fails with a list, though it documents one.
    assert dataset.label2index([names[2], "", None, names[0]]).tolist() == [2, -1, -1, 0]
    assert dataset.index2label([2, -1, 0]).tolist() == [names[2], "", names[0]]
    assert dataset.index2label([]).tolist() == []
    assert dataset.index2label(0, "uri") == dataset.index2label(0, "dna_bin")
    with pytest.raises(UnknownKeyError, match="'order' has no label 'Dragon'"):
        dataset.label2index(["Diptera", "Dragon"])
    with pytest.raises(IndexError):
        dataset.index2label([len(names)])
    with pytest.raises(TypeError, match="index2label"):
        dataset.label2index(3)
    with pytest.raises(TypeError, match="label2index"):
        dataset.index2label("Diptera")
    with pytest.raises(ValueError, match="has no categories"):
        dataset.index2label(1, "coord-lat")


def test_a_tensor_without_dimensions_is_one_index(store):
    torch = pytest.importorskip("torch", reason="is not installed")
    dataset = BIOSCAN5M(store, target_type="order")
    targets = torch.tensor([1, -1])
    assert [dataset.index2label(target) for target in targets] == dataset.index2label(targets).tolist()
    assert isinstance(dataset.index2label(targets[0]), str)


def test_a_dataset_is_pickled_as_its_place(store):
    dataset = BIOSCAN5M(store, reduce_repeated_barcodes=True)
    pytest.importorskip("pandas", reason="the data frame must not be pickled")
    assert len(dataset.metadata) == len(dataset)
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 6_000
    same_items(pickle.loads(pickled), dataset)


def test_labels_are_numbered_as_the_installed_pandas_does(tmp_path):
    """Before version 3 it did so in blocks of rows."""
    pandas = pytest.importorskip("pandas", reason="is the oracle")
    package = make_bioscan5m(tmp_path, 8, distinct=1)
    header, *lines = package.metadata.read_text(encoding="utf-8").splitlines()
    names = header.split(",")
    rows = [dict.fromkeys(names, "")] * 70_000
    filler = [
        {**row, "processid": f"FILL{i}-20", "phylum": "Arthropoda", "species": f"s{(i * 7919) % 40_001:05d}"}
        for i, row in enumerate(rows)
    ]
    text = "\n".join([header, *(",".join(row[name] for name in names) for row in filler), *lines])
    package.metadata.write_text(text, encoding="utf-8")
    expected = pandas.read_csv(package.metadata, dtype="category", usecols=["species"])["species"].cat
    orders = {}
    for order in (None, "sorted", "pandas<3"):
        dataset = BIOSCAN5M(package.root, "all", modality=(), category_order=order)
        orders[order] = dataset.targets()
        assert orders[order].dtype == expected.codes.dtype
    np.testing.assert_array_equal(orders[None], expected.codes)
    assert (orders["sorted"] != orders["pandas<3"]).any()
    is_old = int(metadata.version("pandas").split(".")[0]) < 3
    np.testing.assert_array_equal(orders[None], orders["pandas<3" if is_old else "sorted"])


@pytest.mark.parametrize(
    ("kind", "columns", "ranks"),
    [
        (BIOSCAN5M, ["species", "country", "province_state"], []),
        # Whose ranks bioscan-dataset changes, so that they are sorted anew.
        (BIOSCAN1M, ["large_diptera_family", "small_insect_order"], ["order", "genus"]),
    ],
)
def test_each_column_of_labels_is_numbered_as_pandas_reads_it(tmp_path, kind, columns, ranks):
    pandas = pytest.importorskip("pandas", reason="is the oracle")
    make, delimiter = (make_bioscan5m, ",") if kind is BIOSCAN5M else (make_bioscan1m, "\t")
    table = make(tmp_path, 8, distinct=1).metadata
    names = table.read_text(encoding="utf-8").splitlines()[0].split(delimiter)
    # The first in the alphabet does not occur in the first block of rows.
    labels = ["Z", "Y"] * 30_000 + ["A"] * 5_000
    rows = [{"processid": f"FILL{i}-20", **dict.fromkeys(columns + ranks, label)} for i, label in enumerate(labels)]
    lines = [names, *([row.get(name, "") for name in names] for row in rows)]
    table.write_text("\n".join(map(delimiter.join, lines)), encoding="utf-8")
    made = {order: kind(table, "all", modality=(), category_order=order) for order in (None, "sorted", "pandas<3")}
    for column in columns + ranks:
        found = {order: dataset.index2label([0, 1, 2], column).tolist() for order, dataset in made.items()}
        assert found["sorted"] == ["A", "Y", "Z"]
        assert found["pandas<3"] == (["A", "Y", "Z"] if column in ranks else ["Y", "Z", "A"])
    for column in columns:
        expected = pandas.read_csv(table, sep=delimiter, dtype="category", usecols=[column])[column].cat
        assert made[None].metadata[column].cat.categories.tolist() == expected.categories.tolist()
        assert made[None].metadata[column].cat.codes.tolist() == expected.codes.tolist()


def test_nothing_but_metadata_needs_pandas_and_nothing_needs_torch(store):
    code = f"""
import sys
sys.modules |= dict.fromkeys(("pandas", "torch", "torchvision"))
from arraystore.integrations.bioscan import BIOSCAN5M
assert "PIL" not in sys.modules and "h5py" not in sys.modules
dataset = BIOSCAN5M({str(store.path)!r}, reduce_repeated_barcodes=True, category_order="sorted")
image, barcode, species = dataset[0]
print(image.height, len(barcode) > 600)
try:
    dataset.metadata
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.splitlines() == ["256 True", "to_pandas needs pandas: pip install 'arraystore[pandas]'"]


def test_what_is_not_there_is_an_os_error_that_says_what_was_expected(package, tmp_path):
    with pytest.raises(DatasetNotFoundError, match="there is nothing at"):
        BIOSCAN5M(tmp_path / "nowhere")
    with pytest.raises(DatasetNotFoundError, match="expected bioscan5m/images/cropped_256"):
        BIOSCAN5M(tmp_path)
    with pytest.raises(DatasetNotFoundError, match=r"nothing is downloaded here"):
        BIOSCAN5M(tmp_path, download=True)
    with pytest.raises(OSError, match="image_package='cropped_256'"):
        BIOSCAN5M(package.root, image_package="original_full")
    copy = tmp_path / "copy"
    make_bioscan5m(copy, 8, distinct=1).metadata.unlink()
    with pytest.raises(DatasetNotFoundError, match="the metadata table is missing"):
        BIOSCAN5M(copy)


def test_without_images_those_of_another_package_will_do(package):
    dataset = BIOSCAN5M(package.root, modality="dna", image_package="original_full", download=True)
    assert dataset[0] == BIOSCAN5M(package.root, modality="dna")[0]


@pytest.mark.parametrize("place", BIOSCAN5M.published.tables[:2])
def test_without_images_the_table_alone_will_do(package, tmp_path, place):
    table = tmp_path / place
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_bytes(package.metadata.read_bytes())
    expected = list(BIOSCAN5M(package.root, modality="dna"))
    for root in (tmp_path, table):
        dataset = BIOSCAN5M(root, modality="dna", reduce_repeated_barcodes=True)
        assert list(dataset) == list(pickle.loads(pickle.dumps(dataset))) == expected
    with pytest.raises(DatasetNotFoundError, match="image_package"):
        BIOSCAN5M(table)


def test_a_store_of_something_else_is_refused(store, tmp_path):
    with pytest.raises(InvalidRequestError, match="holds BIOSCAN-5M, not BIOSCAN-1M") as caught:
        BIOSCAN1M(store)
    assert caught.value.code == "other-dataset"
    with pytest.raises(InvalidRequestError, match="expected image_package='cropped_256'") as caught:
        BIOSCAN5M(store, image_package="original_256")
    assert caught.value.code == "other-package"


def test_images_of_another_package_without_a_table_are_no_data_set(package):
    folder = package.images["cropped_256"]
    with arraystore.open(folder) as source:
        assert len(BIOSCAN5M(source)) == len(BIOSCAN5M(package.root))


def test_arguments_are_checked_before_anything_is_opened(tmp_path):
    with pytest.raises(InvalidRequestError, match="category_order='old'"):
        BIOSCAN5M(tmp_path, category_order="old")
    with pytest.raises(InvalidRequestError, match="Invalid split name 'training' in 'train\\+training'") as caught:
        BIOSCAN5M(tmp_path, "train+training")
    assert caught.value.code == "unknown-split"


def test_bioscan1m_warns_of_targets_finer_than_its_partitioning(tmp_path):
    make_bioscan1m(tmp_path, 12, distinct=1)
    with pytest.warns(UserWarning, match="family, genus"):
        BIOSCAN1M(tmp_path, partitioning_version="small_insect_order", target_type=["genus", "family", "order"])


def test_two_datasets_are_joined_by_torch(store, monkeypatch):
    class Utilities:
        ConcatDataset = staticmethod(list)

    monkeypatch.setitem(sys.modules, "torch.utils.data", Utilities)
    left, right = BIOSCAN5M(store), BIOSCAN5M(store, "val")
    assert left + right == [left, right]


def _file(jpeg):
    import io

    return io.BytesIO(jpeg)


def test_a_column_of_text_has_no_index(store):
    with pytest.raises(KeyError, match="country.*holds text"):
        BIOSCAN5M(store, target_type="country")[0]
    assert isinstance(BIOSCAN5M(store, target_type="country", target_format="text")[0][-1], str | float)


@pytest.fixture
def parts(package, tmp_path):
    """The images in two folders."""
    images = package.images["cropped_256"]
    splits = sorted(each.name for each in images.iterdir())
    parts = [tmp_path / name / "bioscan5m/images/cropped_256" for name in ("one", "two")]
    for part, chosen in zip(parts, (splits[:2], splits[2:]), strict=True):
        for split in chosen:
            shutil.copytree(images / split, part / split)
    return parts


def test_a_store_of_the_whole_table_is_in_its_order_whatever_was_appended(package, parts, tmp_path):
    arraystore.ingest(parts[0], tmp_path / "s.zarr", metadata=package.metadata)
    arraystore.append(tmp_path / "s.zarr", parts[1], metadata=package.metadata)
    arraystore.ingest(package.sources(), tmp_path / "whole.zarr", metadata=package.metadata)
    options = {"split": "all", "category_order": "pandas<3", "reduce_repeated_barcodes": True}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grown, whole = (BIOSCAN5M(tmp_path / name, **options) for name in ("s.zarr", "whole.zarr"))
    assert list(grown.view.keys) == list(whole.view.keys)
    np.testing.assert_array_equal(grown.targets(), whole.targets())


@pytest.mark.parametrize("way", ["append", "merge", "export", "append to an export"])
def test_a_store_of_parts_tells_what_may_differ(package, parts, tmp_path, way):
    table, path = package.metadata, tmp_path / "s.zarr"
    arraystore.ingest(parts[0], path, metadata=table, rows="images")
    if way == "append to an export":
        arraystore.export(path, path := tmp_path / "exported.zarr")
    BIOSCAN5M(arraystore.open(path), "all", category_order="pandas<3")
    if way == "merge":
        arraystore.ingest(parts[1], tmp_path / "two.zarr", metadata=table, rows="images")
        arraystore.merge([path, tmp_path / "two.zarr"], path := tmp_path / "merged.zarr")
    else:
        arraystore.append(path, parts[1], metadata=table)
    if way == "export":
        arraystore.export(path, path := tmp_path / "s.h5")
    grown = arraystore.open(path)
    with pytest.warns(UserWarning, match="from parts.*numbers of labels and the records that stand for repeated"):
        BIOSCAN5M(grown, "all", category_order="pandas<3", reduce_repeated_barcodes=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BIOSCAN5M(grown, "all", category_order="sorted")


@pytest.mark.parametrize("kind", [BIOSCAN5M, BIOSCAN1M])
def test_a_warning_names_the_line_that_makes_the_dataset(tmp_path, kind):
    make = make_bioscan5m if kind is BIOSCAN5M else make_bioscan1m
    stores = [tmp_path / "one.zarr", tmp_path / "two.zarr"]
    for seed, path in enumerate(stores):
        made = make(tmp_path / str(seed), 8, seed=seed, distinct=1)
        sources = made.sources() if kind is BIOSCAN5M else made.sources
        arraystore.ingest(sources, path, metadata=made.metadata, progress=False)
    arraystore.merge(stores, tmp_path / "merged.zarr", progress=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind(tmp_path / "merged.zarr", target_type="genus", reduce_repeated_barcodes=True, category_order="pandas<3")
    # Of the parts, and of a target that is fine for an experiment.
    assert len(caught) == (1 if kind is BIOSCAN5M else 2)
    for warning in caught:
        assert linecache.getline(warning.filename, warning.lineno).startswith("        kind(tmp_path")
    # Those of BIOSCAN-1M are sorted by every pandas.
    assert any("numbers of labels" in str(warning.message) for warning in caught) == (kind is BIOSCAN5M)
