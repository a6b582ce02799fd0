"""Stores in PyTorch: options that somebody else decides about, records that cannot be read, and what a pickle keeps."""

import pickle

import numpy as np
import pytest

from arraystore.errors import InvalidRequestError, MissingImageError

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.utils.data import DataLoader  # noqa: E402

from arraystore.integrations.torch import Batches, Dataset, collate  # noqa: E402
from arraystore.integrations.torch.memory import PinnedMemory  # noqa: E402


@pytest.mark.parametrize("name", ["shuffle", "weights", "rank", "world_size", "worker", "workers", "prefetch"])
def test_the_order_of_samples_is_that_of_the_sampler(store, name):
    with pytest.raises(InvalidRequestError, match=f"{name}: the sampler"):
        Dataset(store, **{name: 1})


@pytest.mark.parametrize("name", ["worker", "workers"])
def test_the_share_of_a_worker_is_that_of_its_data_loader(store, name):
    with pytest.raises(InvalidRequestError, match=f"{name}: the DataLoader"):
        Batches(store, 8, **{name: 1})


def test_a_pickle_keeps_pinned_memory(store, monkeypatch):
    """Without a GPU nothing can be pinned; which memory would be asked for can be seen."""
    again = pickle.loads(pickle.dumps(Batches(store, 8, size=32, pin_memory=True)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert isinstance(again._loader._memory(8, 1), PinnedMemory)


def test_bad_records_are_raised_left_out_or_marked(store):
    bad = np.flatnonzero(store.status != 0)
    good = np.flatnonzero(store.status == 0)
    with pytest.raises(MissingImageError, match=store.keys[bad[0]]):
        Dataset(store, size=32)[bad[0]]
    skipping = Dataset(store, size=32, bad="skip")
    with pytest.warns(RuntimeWarning, match="left out"):
        batches = list(DataLoader(skipping, batch_size=16, collate_fn=collate))
    rows = np.concatenate([batch["row"] for batch in batches])
    np.testing.assert_array_equal(rows, good)
    np.testing.assert_array_equal(
        np.concatenate([batch["image"] for batch in batches]), store.crops(good, 32, layout="NCHW")
    )
    assert sorted(each.row for each in skipping.bad) == bad.tolist()
    with pytest.raises(InvalidRequestError, match="one sample"):
        skipping[bad[0]]
    with pytest.warns(RuntimeWarning, match="zeros"):
        batch = Dataset(store, size=32, bad="fill")[[bad[0], good[0]]]
    assert batch["bad"].tolist() == [True, False]
    assert not batch["image"][0].any()
    assert batch["image"][1].any()


def label_of(sample):
    return {"order": sample["order"]}


def test_a_batch_of_bad_records_alone_says_so_where_a_sample_is_needed(store):
    bad = np.flatnonzero(store.status != 0)
    said = rf"none of the {len(bad)} records.*record {bad[0]} \({store.keys[bad[0]]}\).*bad='fill'"
    options = {"size": 32, "bad": "skip", "labels": "order"}
    plain, transformed = Dataset(store, **options), Dataset(store, transform=label_of, **options)
    with pytest.warns(RuntimeWarning, match="left out"):
        assert plain[bad]["image"].shape == (0, 3, 32, 32)
    with pytest.warns(RuntimeWarning, match="left out"):
        assert list(transformed.__getitems__(bad)) == []
    assert list(plain.__getitems__(bad)) == transformed.__getitems__(bad)[:] == []
    with pytest.raises(InvalidRequestError, match=said):
        transformed[bad]
    for dataset in (plain, transformed):
        with pytest.raises(InvalidRequestError, match=said):
            list(DataLoader(dataset, batch_size=len(bad), sampler=bad.tolist()))
    assert collate(plain.__getitems__([]))["image"].shape == (0, 3, 32, 32)


def test_the_error_of_a_record_comes_out_of_a_worker(store):
    bad = np.flatnonzero(store.status != 0)
    loader = DataLoader(Dataset(store, size=32), batch_size=2, sampler=[0, bad[0]], collate_fn=collate, num_workers=1)
    with pytest.raises(MissingImageError, match=store.keys[bad[0]]):
        list(loader)
