"""Stores in PyTorch: samples and batches against those of the store, in workers, and over ranks."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import arraystore
from arraystore.errors import InvalidRequestError
from arraystore.testing.biosr import make_biosr

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.utils.data import DataLoader, DistributedSampler  # noqa: E402

from arraystore.integrations.torch import Batches, Dataset, collate  # noqa: E402

# A worker is a fork of a process with threads; that is what is tested.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
    # torchdata calls what torch has deprecated, and torch advises fewer workers where there are fewer cores.
    pytest.mark.filterwarnings("ignore:.set_vital. is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

SIZE = 32


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("biosr")
    arraystore.ingest(make_biosr(folder).root, folder / "biosr.zarr", progress=False)
    with arraystore.open(folder / "biosr.zarr") as store:
        yield store


def crops(store, rows=slice(None), **options):
    return store.crops(rows, SIZE, layout="NCHW", **options)


def loaded(dataset, **options):
    """All batches of a DataLoader over a dataset."""
    return list(DataLoader(dataset, collate_fn=collate, **options))


def joined(batches, name):
    return np.concatenate([np.asarray(batch[name]) for batch in batches])


# Samples


def test_samples_are_the_crops_of_the_store(images):
    dataset = Dataset(images, size=SIZE, flip=0.5, seed=3, labels=["order", "coord-lat"], text="processid")
    dataset.set_epoch(2)
    expected = crops(images, flip=0.5, seed=3, epoch=2)
    codes = images.labels("order").codes
    assert len(dataset) == len(images)
    for row in (0, 7, -1):
        sample = dataset[row]
        assert sample["image"].dtype == torch.uint8
        np.testing.assert_array_equal(sample["image"], expected[row])
        assert int(sample["order"]) == codes[row]
        assert sample["processid"] == images.keys[row]
        assert int(sample["row"]) == row % len(images)
    assert dataset.label_names["order"] == images.labels("order").names
    np.testing.assert_array_equal(dataset[images.keys[4]]["image"], expected[4])


def test_a_batch_is_the_same_however_it_is_asked_for(images):
    dataset = Dataset(images, size=SIZE, flip=0.5, labels="order", text="processid")
    rows = [5, 2, 9, 2]
    whole = collate(dataset.__getitems__(rows))
    for other in (dataset[rows], collate([dataset[row] for row in rows]), collate(list(dataset.__getitems__(rows)))):
        assert list(other) == list(whole)
        for name in ("image", "order", "row"):
            assert other[name].dtype == whole[name].dtype
            np.testing.assert_array_equal(other[name], whole[name])
        assert other["processid"] == whole["processid"]
    np.testing.assert_array_equal(whole["image"], crops(images, rows, flip=0.5))


def test_the_end_of_a_dataset_is_an_index_error(images):
    dataset = Dataset(images, size=SIZE)
    with pytest.raises(IndexError):
        dataset[len(images)]
    assert sum(1 for _ in dataset) == len(images)
    samples = dataset.__getitems__([1, 2])
    with pytest.raises(IndexError):
        samples[2]
    assert [int(each["row"]) for each in samples] == [1, 2]


def test_a_transform_takes_samples(images):
    def transform(sample):
        return {"bright": sample["image"].float().mean(), "key": sample["processid"]}

    dataset = Dataset(images, size=SIZE, text="processid", transform=transform)
    batch = next(iter(DataLoader(dataset, 8, collate_fn=collate)))
    np.testing.assert_allclose(batch["bright"], crops(images, range(8)).mean((1, 2, 3)), rtol=1e-5)
    assert batch["key"] == list(images.keys[:8])
    assert dataset[0]["bright"] == batch["bright"][0]


def test_layouts_have_the_same_pixels(images):
    planes = Dataset(images, size=SIZE)[:8]["image"]
    last = Dataset(images, size=SIZE, layout="channels_last")[:8]["image"]
    rows = Dataset(images, size=SIZE, layout="NHWC")[:8]["image"]
    assert planes.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(planes, last)
    assert torch.equal(planes, rows.permute(0, 3, 1, 2))


def test_normalised_floats(images):
    options = {"dtype": "float32", "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.3)}
    batch = Dataset(images, size=SIZE, **options)[:6]
    np.testing.assert_array_equal(batch["image"], crops(images, range(6), **options))


def test_patches_are_samples(patches):
    dataset = Dataset(patches, labels="level", transform=None)
    whole = patches.arrays(range(4))
    sample, batch = dataset[3], dataset[:4]
    for name in ("wf", "gt"):
        np.testing.assert_array_equal(sample[name], whole[name][3])
        np.testing.assert_array_equal(batch[name], whole[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"layout": "CHW"}, "layout"), ({"views": 2}, "views"), ({"flip": 2.0}, "flip"), ({"threads": 0}, "threads")],
)
def test_wrong_options_are_refused_at_once(images, options, message):
    with pytest.raises(InvalidRequestError, match=message):
        Dataset(images, **options)


# Workers


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_give_what_this_process_gives(images, method):
    dataset = Dataset(images, size=SIZE, flip=0.5, labels="order", text="processid")
    dataset.set_epoch(1)
    here = loaded(dataset, batch_size=16)  # its threads run while workers are forked
    there = loaded(dataset, batch_size=16, num_workers=2, multiprocessing_context=method)
    for name in ("image", "order", "row"):
        np.testing.assert_array_equal(joined(here, name), joined(there, name))
    assert [batch["processid"] for batch in here] == [batch["processid"] for batch in there]
    np.testing.assert_array_equal(joined(there, "image"), crops(images, flip=0.5, epoch=1))


def test_workers_that_live_on_see_the_epoch(images):
    dataset = Dataset(images, size=SIZE)
    loader = DataLoader(dataset, 16, num_workers=1, persistent_workers=True, collate_fn=collate)
    for epoch in range(3):
        dataset.set_epoch(epoch)
        np.testing.assert_array_equal(joined(list(loader), "image"), crops(images, epoch=epoch))


def test_a_dataset_is_small_when_it_travels(images):
    dataset = Dataset(images, size=SIZE, labels="species")
    dataset[:4]
    assert len(pickle.dumps(dataset)) < 20_000
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[:4]["image"], dataset[:4]["image"])


def test_batches_in_workers_keep_their_memory(images):
    """A user may keep batches: later ones do not change them."""
    loader = DataLoader(Dataset(images, size=SIZE), 4, num_workers=2, collate_fn=collate)
    kept = [batch["image"] for batch in loader]
    np.testing.assert_array_equal(np.concatenate(kept), crops(images))


def test_ranks_share_the_samples(images):
    dataset = Dataset(images, size=SIZE)
    rows = []
    for rank in range(3):
        sampler = DistributedSampler(dataset, num_replicas=3, rank=rank, shuffle=True, drop_last=False)
        sampler.set_epoch(1)
        rows.append(joined(loaded(dataset, batch_size=5, sampler=sampler), "row"))
    assert len({len(each) for each in rows}) == 1
    assert set(np.concatenate(rows).tolist()) == set(range(len(images)))


def test_bad_records_are_left_out_or_marked(path):
    with arraystore.open(path) as store:
        good = store.status == 0
        assert not good.all()
        with pytest.warns(RuntimeWarning, match="left out"):
            found = loaded(Dataset(store, size=SIZE, bad="skip"), batch_size=16)
        np.testing.assert_array_equal(joined(found, "row"), np.flatnonzero(good))
        with pytest.warns(RuntimeWarning, match="filled with zeros"):
            batch = Dataset(store, size=SIZE, bad="fill")[:]
        np.testing.assert_array_equal(batch["bad"], ~good)
        assert not batch["image"][~good].any()
        with pytest.raises(arraystore.errors.MissingImageError):
            Dataset(store, size=SIZE)[:]


# Batches of the loader


def test_batches_are_those_of_the_loader(images):
    options = {"size": SIZE, "flip": 0.5, "seed": 4, "labels": "order", "text": "processid", "views": 2}
    batches = Batches(images, 8, **options)
    loader = images.loader(8, layout="NCHW", **options)
    for _ in range(2):  # the second epoch is another
        pairs = list(zip(batches, loader, strict=True))
        assert len(pairs) == len(batches) == len(loader)
        for tensors, arrays in pairs:
            assert tensors["image"].shape[:3] == (2, len(tensors["row"]), 3)
            for name in ("image", "order", "row"):
                np.testing.assert_array_equal(tensors[name], arrays[name])
            assert tensors["processid"] == arrays["processid"]
    assert batches.epoch == 2
    assert batches.label_names == loader.label_names


def test_an_iterator_is_begun_when_it_is_made(images):
    batches, expected = Batches(images, 8, size=SIZE), images.loader(8, size=SIZE)
    iterator, expected_iterator = iter(batches), iter(expected)
    for each in (batches, expected):
        each.set_epoch(5)
    np.testing.assert_array_equal(next(iterator)["row"], next(expected_iterator)["row"])
    for _ in zip(range(3), batches, strict=False):
        pass
    iterator = iter(batches)
    assert batches.state_dict()["batches"] == 0


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("lives", [False, True])
def test_workers_share_the_batches_in_order(images, workers, lives):
    batches = Batches(images, 8, size=SIZE)
    loader = DataLoader(batches, batch_size=None, num_workers=workers, persistent_workers=lives)
    expected = images.loader(8, size=SIZE, layout="NCHW")
    for epoch in (0, 5):
        batches.set_epoch(epoch)
        expected.set_epoch(epoch)
        found = list(loader)
        assert len(found) == len(loader) == len(expected)
        for tensors, arrays in zip(found, expected, strict=True):
            np.testing.assert_array_equal(tensors["row"], arrays["row"])
            np.testing.assert_array_equal(tensors["image"], arrays["image"])


def set_epochs(datasets):
    for dataset in datasets:
        dataset.set_epoch(3)
    # Workers of a rank see what is set there.
    persistent = DataLoader(datasets[0], 8, num_workers=1, persistent_workers=True, collate_fn=collate)
    first = next(iter(persistent))["image"]
    datasets[0].set_epoch(4)
    assert not torch.equal(next(iter(persistent))["image"], first)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_ranks_set_epochs_of_their_own(images, method):
    """They share the dataset that they were begun with."""
    datasets = Dataset(images, size=SIZE), Batches(images, 8, size=SIZE)
    process = torch.multiprocessing.get_context(method).Process(target=set_epochs, args=(datasets,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert [dataset.epoch for dataset in datasets] == [0, 0]
    np.testing.assert_array_equal(next(iter(datasets[1]))["row"], epoch_rows(images, 0)[:8])


def set_epochs_after_workers_began(images, datasets):
    samples, batches = datasets
    for dataset, options in (
        (samples, {"batch_size": 8, "collate_fn": collate}),
        (batches, {"batch_size": None}),
    ):
        loader = DataLoader(dataset, num_workers=1, persistent_workers=True, **options)
        next(iter(loader))
        dataset.set_epoch(3)
        first = next(iter(loader))
        if dataset is samples:
            np.testing.assert_array_equal(first["image"], crops(images, range(8), epoch=3))
        else:
            assert first["row"].tolist() == epoch_rows(images, 3)[:8]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_rank_that_live_on_see_what_is_set_there(images, method):
    datasets = Dataset(images, size=SIZE), Batches(images, 8, size=SIZE)
    context = torch.multiprocessing.get_context(method)
    process = context.Process(target=set_epochs_after_workers_began, args=(images, datasets))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert [dataset.epoch for dataset in datasets] == [0, 0]


def epoch_rows(images, epoch, batch_size=8):
    loader = images.loader(batch_size, size=SIZE)
    loader.set_epoch(epoch)
    return joined(list(loader), "row").tolist()


@pytest.mark.parametrize("stop", [1, 5, 8])
def test_workers_that_live_on_are_in_the_same_epoch_wherever_it_is_left(images, stop):
    batches = Batches(images, 8, size=SIZE)
    loader = DataLoader(batches, batch_size=None, num_workers=2, persistent_workers=True)
    for _ in zip(range(stop), loader, strict=False):
        pass
    assert joined(list(loader), "row").tolist() == epoch_rows(images, 1)
    assert joined(list(loader), "row").tolist() == epoch_rows(images, 2)
    for _ in zip(range(stop), loader, strict=False):
        pass
    batches.set_epoch(7)
    assert joined(list(loader), "row").tolist() == epoch_rows(images, 7)
    assert joined(list(loader), "row").tolist() == epoch_rows(images, 8)


@pytest.mark.parametrize("lives", [False, True])
def test_the_same_epoch_can_be_chosen_again(images, lives):
    batches = Batches(images, 8, size=SIZE)
    loader = DataLoader(batches, batch_size=None, num_workers=2, persistent_workers=lives)
    seen = []
    for _ in range(3):
        batches.set_epoch(0)
        seen.append(joined(list(loader), "row").tolist())
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_that_were_looked_at_go_on_in_spawned_workers(images, workers):
    batches = Batches(images, 8, size=SIZE)
    next(iter(batches))
    loader = DataLoader(batches, batch_size=None, num_workers=workers, multiprocessing_context="spawn")
    assert joined(list(loader), "row").tolist() == epoch_rows(images, 1)


def test_workers_warn_of_each_bad_record(path):
    script = (
        "import sys, arraystore; from torch.utils.data import DataLoader\n"
        "from arraystore.integrations.torch import Dataset, collate\n"
        "store = arraystore.open(sys.argv[1])\n"
        "list(DataLoader(Dataset(store, size=16, bad='skip'), 4, num_workers=2, collate_fn=collate))\n"
    )
    with arraystore.open(path) as store:
        bad = [store.keys[row] for row in np.flatnonzero(store.status != 0)]
    said = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True).stderr
    assert all(key in said for key in bad)
    assert said.count("a record is left out:") == len(bad)


def test_a_tensor_is_a_row(images):
    dataset = Dataset(images, size=SIZE)
    row = torch.tensor(3)
    np.testing.assert_array_equal(dataset[row]["image"], dataset[3]["image"])


def test_spawned_workers_share_the_batches(images):
    batches = Batches(images, 8, size=SIZE)
    found = list(DataLoader(batches, batch_size=None, num_workers=2, multiprocessing_context="spawn"))
    np.testing.assert_array_equal(joined(found, "row"), joined(list(batches), "row"))


def test_ranks_of_torch_distributed_are_taken(images, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    found = joined(list(Batches(images, 4, size=SIZE)), "row")
    expected = images.loader(4, size=SIZE, rank=1, world_size=3)
    np.testing.assert_array_equal(found, joined(list(expected), "row"))
    assert len(Batches(images, 4, size=SIZE, rank=0, world_size=1)) == -(-len(images) // 4)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_ranks_may_be_known_only_after_batches_are_made(images, monkeypatch, workers, method):
    """As where a framework begins the group of processes."""
    made = [Batches(images, 8, size=SIZE), Batches(images, 8, size=SIZE, rank=0, world_size=1)]
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    of_rank = images.loader(8, size=SIZE, rank=1, world_size=3)
    for batches, expected in zip(made, (of_rank, images.loader(8, size=SIZE)), strict=True):
        options = {"multiprocessing_context": method} if workers else {}
        loader = DataLoader(batches, batch_size=None, num_workers=workers, **options)
        assert joined(list(loader), "row").tolist() == joined(list(expected), "row").tolist()
        assert len(batches) == len(expected)


def test_without_torch_arraystore_loads_nothing_of_it():
    code = "import sys, arraystore.integrations; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
