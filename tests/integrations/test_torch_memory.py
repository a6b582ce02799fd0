"""Memory of batches in PyTorch: shared by workers and their parent, pinned, used again, and let go of."""

import gc
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.utils.data import DataLoader  # noqa: E402

from arraystore.integrations.torch import Batches, Dataset, collate, travel  # noqa: E402
from arraystore.integrations.torch.memory import new_memory, tensor_over  # noqa: E402

# A worker is a fork of a process with threads; that is what is tested.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
    # torch advises fewer workers where there are fewer cores.
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

SIZE = 32


@pytest.fixture(scope="module")
def images(package_store):
    """What can be decoded."""
    return package_store.select(np.flatnonzero(package_store.status == 0))


def crops(store, **options):
    return store.crops(slice(None), SIZE, layout="NCHW", **options)


def test_a_tensor_lies_over_the_memory_of_its_array():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    tensor = tensor_over(array)
    array[1, 1] = 99
    assert tensor[1, 1] == 99
    assert tensor_over(array[:0]).shape == (0, 4)


def test_pinned_memory_is_asked_for_where_there_is_a_gpu(monkeypatch):
    asked = []
    empty = torch.empty

    def pinned(*shape, pin_memory=False, **options):
        asked.append(pin_memory)
        return empty(*shape, **options)

    assert type(new_memory(8, 1, pinned=True)).__name__ == ("PinnedMemory" if torch.cuda.is_available() else "Ring")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", pinned)
    assert new_memory(24, 1, pinned=True).lend((3, 4), np.uint16).shape == (3, 4)
    assert asked == [True]


class Halves(torch.utils.data.Dataset):
    """Batches of which a part is sent, or the same memory twice."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitems__(self, rows):
        images = self.dataset[rows]["image"]
        return images, images[:, :1], images[1:], images.view(-1), self.dataset[rows]["image"]


def identity(batch):
    return batch


def test_what_is_sent_in_parts_and_twice_is_whole(images):
    expected = crops(images)
    kept = list(DataLoader(Halves(Dataset(images, size=SIZE)), 8, num_workers=2, collate_fn=identity))
    for number, (whole, red, rest, flat, again) in enumerate(kept):
        part = expected[number * 8 : number * 8 + 8]
        np.testing.assert_array_equal(whole, part)
        np.testing.assert_array_equal(red, part[:, :1])
        np.testing.assert_array_equal(rest, part[1:])
        np.testing.assert_array_equal(flat, part.reshape(-1))
        np.testing.assert_array_equal(again, part)


def sparse_row(sample):
    return torch.sparse_coo_tensor(sample["row"].reshape(1, 1), torch.ones(1), (100,))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")
def test_sparse_tensors_of_a_transform_are_sent(images):
    dataset = Dataset(images, size=SIZE, transform=sparse_row)
    # What cannot be sent is lost without an error, and waited for in vain.
    loader = DataLoader(dataset, 8, num_workers=1, collate_fn=list, timeout=20)
    rows = [int(sample.coalesce().indices()) for batch in loader for sample in batch]
    assert rows == list(range(len(images)))


def test_tensors_without_plain_memory_are_left_to_pytorch():
    seen = []

    def look(tensor):
        seen.append(travel._slot_under(tensor))
        return tensor

    torch.func.vmap(look)(torch.zeros(3, 2))
    look(torch.zeros(2, device="meta"))
    look(torch.nn.Parameter(torch.zeros(2)))
    look(torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged))
    assert seen == [None] * 4


def test_memory_of_workers_is_used_again_and_then_let_go_of(images):
    addresses = set()
    dataset = Dataset(images, size=SIZE)
    for epoch in range(4):
        dataset.set_epoch(epoch)
        expected = crops(images, epoch=epoch)
        kept = None
        for number, batch in enumerate(DataLoader(dataset, 2, num_workers=1, collate_fn=collate)):
            if number == 3:
                kept = batch["image"][1:, :, 5:9]  # a view keeps it as well
            addresses.add(batch["image"].data_ptr())
            np.testing.assert_array_equal(batch["image"], expected[2 * number : 2 * number + 2])
        np.testing.assert_array_equal(kept, expected[7:8, :, 5:9])
    del batch, kept
    gc.collect()
    assert len(addresses) <= 4 * travel._MOST_SLOTS < 4 * len(images) // 2
    assert travel._held == {}


def number_of_rows(batch):
    return len(batch["row"])


def test_slots_of_workers_that_ended_are_let_go_of_at_once(images):
    """The last batch goes before its worker ends, and no other comes."""
    loader = DataLoader(Dataset(images, size=SIZE), 4, num_workers=2, collate_fn=collate)
    assert sum(map(number_of_rows, loader)) == len(images)
    gc.collect()
    assert travel._held == {}


def test_slots_that_batches_have_outgrown_are_let_go_of(images):
    growing = [list(range(n)) for n in range(1, 21)]
    dataset = Dataset(images, size=SIZE)
    loader = DataLoader(dataset, batch_sampler=growing, num_workers=1, persistent_workers=True, collate_fn=collate)
    expected = crops(images)
    for batch in loader:
        np.testing.assert_array_equal(batch["image"], expected[: len(batch["row"])])
    (held,) = travel._held.values()
    assert len(held) <= 3


def test_a_slot_is_not_lent_while_anyone_looks_at_it():
    ring = travel.SharedRing(1000, 1)
    first = ring.lend((10, 10), np.uint8)
    address = first.ctypes.data
    assert ring.lend((10, 10), np.uint8).ctypes.data != address
    view = torch.from_numpy(first)[3:]
    del first
    assert ring.lend((5,), np.float32).ctypes.data != address
    del view
    assert ring.lend((5,), np.float32).ctypes.data == address
    sent = tensor_over(ring.lend((5,), np.float32))
    rebuild, arguments = travel._reduced(sent)
    address = sent.data_ptr()
    arrived = rebuild(*arguments)
    arrived[:] = 7
    assert (sent == 7).all()
    assert travel._reduced(sent)[0] is not rebuild  # the second time it is copied
    del sent, arguments
    assert ring.lend((5,), np.float32).ctypes.data != address
    del arrived
    travel._held.clear()
    assert ring.lend((5,), np.float32).ctypes.data == address


def tell_sum(tensor, connection):
    connection.recv()
    connection.send(int(tensor.sum()))


@pytest.mark.parametrize("arrives", [False, True])
def test_memory_that_a_forked_process_looks_at_is_not_lent_again(arrives):
    ring = travel.SharedRing(100, 1)
    tensor = tensor_over(ring.lend((100,), np.uint8))
    if arrives:
        rebuild, arguments = travel._reduced(tensor)
        tensor = rebuild(*arguments)
        del arguments
    tensor.fill_(1)
    context = torch.multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=tell_sum, args=(tensor, there), daemon=True)
    process.start()
    del tensor
    ring.lend((100,), np.uint8).fill(7)
    here.send(None)
    assert here.recv() == 100
    process.join()


@pytest.mark.parametrize("convert", [torch.from_numpy, torch.from_dlpack, np.from_dlpack])
def test_the_memory_of_a_tensor_is_not_used_again(images, convert):
    """The ring of the loader sees who refers to an array by way of another library."""
    loader = images.loader(4, size=SIZE, shuffle=None, prefetch=1)
    kept = [convert(batch["image"]) for batch in loader]
    gc.collect()
    list(loader)
    np.testing.assert_array_equal(np.concatenate(kept), images.crops(range(len(images)), SIZE))


def test_a_tensor_that_is_let_go_of_gives_its_memory_back(images):
    batches = Batches(images, 4, size=SIZE, shuffle=None)
    addresses = {batch["image"].data_ptr() for _ in range(4) for batch in batches}
    assert len(addresses) <= 6


def is_shared(batch):
    return travel._slot_under(batch["image"]) is not None


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_that_were_looked_at_are_shared_by_forked_workers(images, workers):
    batches = Batches(images, 8, size=SIZE)
    assert not is_shared(next(iter(batches)))
    assert all(DataLoader(batches, batch_size=None, num_workers=workers, collate_fn=is_shared))


def test_workers_leave_no_shared_memory_behind(images):
    def shared():
        return set(Path("/dev/shm").glob("torch_*"))

    before, strategy = shared(), torch.multiprocessing.get_sharing_strategy()
    torch.multiprocessing.set_sharing_strategy("file_system")
    try:
        loader = DataLoader(Dataset(images, size=SIZE), 4, num_workers=2, collate_fn=collate)
        counts = []
        for _ in range(4):
            for batch in loader:
                assert len(batch["row"])
            counts.append(len(shared() - before))
        del batch, loader
        gc.collect()
        # That of the epoch number is the dataset's own.
        assert max(counts) <= 2 * travel._MOST_SLOTS + 2
        assert len(shared() - before) <= 1
    finally:
        torch.multiprocessing.set_sharing_strategy(strategy)
