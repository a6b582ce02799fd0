"""Epochs follow one another however their batches are taken, and a state is of one order alone."""

import itertools
import multiprocessing
import pickle

import numpy as np
import pytest

from arraystore.errors import InvalidRequestError


@pytest.fixture(scope="module")
def view(store, sound):
    """The records whose image is sound."""
    return store.select(sound)


def rows_of(batches):
    return [row for batch in batches for row in batch["row"].tolist()]


def epochs_of(view, count, **options):
    loader = view.loader(8, size=8, **options)
    return [rows_of(loader) for _ in range(count)]


def test_who_counts_the_batches_gets_the_next_epoch_too(view):
    loader = view.loader(8, size=8)
    found = []
    for number in range(3):
        running = iter(loader)
        found.append([])
        for _ in range(len(loader)):
            found[-1] += next(running)["row"].tolist()
            assert loader.epoch == number
        del running
        assert loader.epoch == number + 1
        # Until the next iterator is asked for, the state is that of the end of this one.
        assert (loader.state_dict()["epoch"], loader.state_dict()["batches"]) == (number, len(loader))
    assert found == epochs_of(view, 3)


@pytest.mark.parametrize("stop", [1, 3])
def test_an_epoch_that_is_left_early_is_followed_by_the_next(view, stop):
    loader, epochs = view.loader(8, size=8), epochs_of(view, 3)
    assert [rows_of(itertools.islice(loader, stop)) for _ in range(3)] == [rows[: 8 * stop] for rows in epochs]
    # Nothing of it was given: that is none.
    iter(loader)
    assert loader.epoch == 3
    for _ in range(2):
        loader.set_epoch(1)
        assert rows_of(itertools.islice(loader, stop)) == epochs[1][: 8 * stop]


def test_an_iterator_that_has_given_nothing_is_of_the_epoch_that_is_set(view):
    loader, epochs = view.loader(8, size=8), epochs_of(view, 3)
    running = iter(loader)
    loader.set_epoch(2)
    assert next(running)["row"].tolist() == epochs[2][:8]
    assert (loader.epoch, loader.state_dict()["batches"]) == (2, 1)
    loader.set_epoch(0)
    assert rows_of(running) == epochs[2][8:]
    assert rows_of(loader) == epochs[0]
    # Amid an epoch that is resumed, the same number changes nothing.
    resumed = view.loader(8, size=8)
    resumed.load_state_dict({**loader.state_dict(), "epoch": 1, "batches": 3})
    running = iter(resumed)
    resumed.set_epoch(1)
    assert rows_of(running) == epochs[1][24:]


def test_an_epoch_whose_batches_were_all_counted_can_be_chosen_again(view):
    loader = view.loader(8, size=8)
    first = rows_of(itertools.islice(loader, len(loader)))
    loader.set_epoch(0)
    assert loader.epoch == 0
    assert rows_of(loader) == first


def test_a_copy_of_a_loader_whose_batches_were_all_counted_gives_the_next_epoch(view):
    loader = view.loader(8, size=8)
    for _ in itertools.islice(loader, len(loader)):
        pass
    assert rows_of(pickle.loads(pickle.dumps(loader))) == rows_of(loader) == epochs_of(view, 2)[1]


def test_batches_that_have_become_fewer_have_ended(view):
    loader = view.loader(8, size=8)
    for _ in itertools.islice(loader, len(loader)):
        pass
    fewer = view.loader(8, size=8, drop_last=True)
    assert len(fewer) < len(loader)
    fewer.load_state_dict(loader.state_dict())
    assert list(itertools.islice(fewer, len(fewer))) == []
    assert fewer.epoch == 1


def test_the_end_of_an_epoch_is_resumed_as_its_end(view):
    loader = view.loader(8, size=8)
    for _ in itertools.islice(loader, len(loader)):
        pass
    resumed = view.loader(8, size=8)
    resumed.load_state_dict(loader.state_dict())
    assert resumed.epoch == 0
    assert list(resumed) == []
    assert rows_of(resumed) == epochs_of(view, 2)[1]


def test_the_rest_of_an_epoch_that_was_counted_is_followed_by_the_next(view):
    loader = view.loader(8, size=8)
    for _ in itertools.islice(loader, 3):
        pass
    # With other sizes, a state is a position alone.
    for batch_size in (8, 4):
        resumed = view.loader(batch_size, size=8)
        resumed.load_state_dict(loader.state_dict())
        rest = rows_of(itertools.islice(resumed, len(resumed)))
        first, second = epochs_of(view, 2)
        assert rest == first[24:]
        assert rows_of(resumed) == second


def test_iterators_of_one_loader_do_not_disturb_each_other(view):
    loader = view.loader(8, size=8)
    first, second = epochs_of(view, 2)
    pairs = list(zip(loader, loader, strict=True))
    assert rows_of(one for one, _ in pairs) == rows_of(other for _, other in pairs) == first
    outer = []
    for batch in loader:
        outer += batch["row"].tolist()
        if len(outer) == 16:
            # The loader is where its last iterator is.
            inner = iter(loader)
            next(inner)
    assert outer == second
    assert (loader.epoch, loader.state_dict()["batches"]) == (2, 1)


def take_from(connection, running):
    try:
        next(running)
    except BaseException as error:  # noqa: BLE001 (also what stops a process)
        connection.send((type(error), str(error)))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_an_iterator_of_another_process_is_told(view):
    running = iter(view.loader(4, size=16))
    next(running)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=take_from, args=(theirs, running))
    child.start()
    assert ours.poll(60)
    kind, message = ours.recv()
    child.join(60)
    assert kind is InvalidRequestError
    assert "begun in another process" in message


def test_a_state_of_another_order_is_refused(view):
    weights = np.arange(len(view)) + 1.0
    options = [
        {"shuffle": "full"},
        {"shuffle": "window"},
        {"shuffle": None},
        {"weights": weights},
        {"weights": weights[::-1]},
    ]
    loaders = [view.loader(8, size=8, **each) for each in options]
    loaders.append(view.select(slice(None, None, -1)).loader(8, size=8))
    for one, other in itertools.permutations(loaders, 2):
        with pytest.raises(InvalidRequestError, match="same rows, shuffle and weights"):
            one.load_state_dict(other.state_dict())
    older = {**loaders[0].state_dict(), "version": 1}
    del older["order"]
    with pytest.raises(InvalidRequestError, match="expected one of version 2, found 1"):
        loaders[0].load_state_dict(older)
    again = view.loader(8, size=16, weights=weights.tolist(), drop_last=True)
    again.load_state_dict(loaders[3].state_dict())


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint32, np.uint64])
def test_integers_of_numpy_are_those_of_python(view, dtype):
    plain = {
        "batch_size": 7,
        "size": 9,
        "rank": 1,
        "world_size": 3,
        "seed": 99,
        "views": 2,
        "prefetch": 3,
        "threads": 2,
    }
    expected = list(view.loader(**plain))
    found = list(view.loader(**{name: dtype(value) for name, value in plain.items()}))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one["row"], other["row"])
        np.testing.assert_array_equal(one["image"], other["image"])
