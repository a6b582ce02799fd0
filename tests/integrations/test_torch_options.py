"""Stores in PyTorch: options that somebody else decides about, and what a pickle keeps."""

import pickle

import pytest

from arraystore.errors import InvalidRequestError

torch = pytest.importorskip("torch", reason="torch is not installed")

from arraystore.integrations.torch import Batches, Dataset  # noqa: E402
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
