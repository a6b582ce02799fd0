"""Stores in PyTorch go on where they were: states of batches and samples, by themselves and in a StatefulDataLoader."""

import pickle

import numpy as np
import pytest

from arraystore.errors import InvalidRequestError

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.utils.data import DataLoader  # noqa: E402

from arraystore.integrations.torch import Batches, Dataset, collate  # noqa: E402
from arraystore.integrations.torch.batches import _WorkerLoader  # noqa: E402
from arraystore.integrations.torch.options import Epoch  # noqa: E402

# A worker is a fork of a process with threads; that is what is tested.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
    # torchdata calls what torch has deprecated, and torch advises fewer workers where there are fewer cores.
    pytest.mark.filterwarnings("ignore:.set_vital. is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

SIZE = 32


def crops(store, rows=slice(None), **options):
    return store.crops(rows, SIZE, layout="NCHW", **options)


def joined(batches, name):
    return np.concatenate([np.asarray(batch[name]) for batch in batches])


def epoch_rows(images, epoch, batch_size=8):
    loader = images.loader(batch_size, size=SIZE)
    loader.set_epoch(epoch)
    return joined(list(loader), "row").tolist()


def test_a_state_is_continued(images):
    first = Batches(images, 8, size=SIZE)
    iterator = iter(first)
    begun = [next(iterator)["row"] for _ in range(3)]
    second = pickle.loads(pickle.dumps(Batches(images, 8, size=SIZE)))
    second.load_state_dict(first.state_dict())
    rest = [batch["row"] for batch in second]
    np.testing.assert_array_equal(torch.cat(begun + rest), joined(list(Batches(images, 8, size=SIZE)), "row"))


@pytest.mark.parametrize("workers", [0, 2])
def test_stateful_data_loaders_resume(images, workers):
    torchdata = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")

    def new():
        return torchdata.StatefulDataLoader(Batches(images, 4, size=SIZE), batch_size=None, num_workers=workers)

    whole = [batch["row"] for batch in new()]
    for stop in (1, 4, 7):
        loader = new()
        iterator = iter(loader)
        begun = [next(iterator)["row"] for _ in range(stop)]
        state = pickle.loads(pickle.dumps(loader.state_dict()))
        del iterator
        again = new()
        again.load_state_dict(state)
        rest = [batch["row"] for batch in again]
        np.testing.assert_array_equal(torch.cat(begun + rest), torch.cat(whole))


@pytest.mark.parametrize("workers", [0, 2])
def test_stateful_data_loaders_restore_the_epoch_of_samples(images, workers):
    torchdata = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")

    def new(epoch=None):
        dataset = Dataset(images, size=SIZE)
        if epoch is not None:
            dataset.set_epoch(epoch)
        lives = workers > 0
        return torchdata.StatefulDataLoader(
            dataset, 16, num_workers=workers, persistent_workers=lives, collate_fn=collate
        )

    loader = new(2)
    iterator = iter(loader)
    next(iterator)
    again = new()
    again.load_state_dict(pickle.loads(pickle.dumps(loader.state_dict())))
    np.testing.assert_array_equal(joined(list(again), "image"), crops(images, epoch=2)[16:])
    assert again.dataset.epoch == 2
    # An epoch that had ended is not begun again by its state.
    list(iterator)
    later = new(3)
    later.load_state_dict(loader.state_dict())
    np.testing.assert_array_equal(next(iter(later))["image"], crops(images, range(16), epoch=3))


def test_a_state_of_other_samples_is_refused(images):
    state = Dataset(images, size=SIZE, seed=1).state_dict()
    for wrong in (state, {}, {"seed": 0}, {"seed": 0, "epoch": -1}):
        with pytest.raises(InvalidRequestError, match="state"):
            Dataset(images, size=SIZE).load_state_dict(wrong)


@pytest.mark.parametrize("stop", [5, 8, 9])
def test_stateful_workers_that_live_on_resume_in_step(images, stop):
    """At the end of an epoch as well, when some workers have ended and others not."""
    torchdata = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")

    def new():
        batches = Batches(images, 8, size=SIZE)
        return torchdata.StatefulDataLoader(batches, batch_size=None, num_workers=3, persistent_workers=True)

    loader = new()
    iterator = iter(loader)
    begun = [batch["row"] for _, batch in zip(range(stop), iterator, strict=False)]
    state = pickle.loads(pickle.dumps(loader.state_dict()))
    del iterator
    again = new()
    again.load_state_dict(state)
    rest = [batch["row"] for batch in again]
    if stop == 9:  # the end was reached
        assert torch.cat(begun).tolist() == epoch_rows(images, 0)
        assert torch.cat(rest).tolist() == epoch_rows(images, 1)
    else:
        assert torch.cat(begun + rest).tolist() == epoch_rows(images, 0)
        assert joined(list(again), "row").tolist() == epoch_rows(images, 1)


def test_a_worker_whose_last_batch_is_left_out_has_ended(images):
    assert len(images) % 8
    state = None
    for drop_last in (False, True):
        batches = Batches(images, 8, size=SIZE, drop_last=drop_last)
        worker = _WorkerLoader(batches._loader, Epoch(), 0)
        if state is not None:
            worker.load_state_dict(state)
            assert list(worker) == []
            assert joined(list(worker), "row").tolist() == epoch_rows(images, 1)[: len(images) // 8 * 8]
        else:
            list(worker)
            state = worker.state_dict()


def test_a_state_without_workers_is_not_taken_by_workers(images):
    first, second = Batches(images, 8, size=SIZE), Batches(images, 8, size=SIZE)
    iterator = iter(first)
    next(iterator)
    second.load_state_dict(first.state_dict())
    with pytest.raises(InvalidRequestError, match="workers"):
        list(DataLoader(second, batch_size=None, num_workers=2))
