"""A loader gives the crops, labels and texts of the store, in its order, whatever works ahead of it."""

import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import arraystore
from arraystore.errors import (
    DamagedStoreError,
    InvalidRequestError,
    MissingImageError,
    UnknownColumnError,
    UnknownKeyError,
)
from arraystore.loader import Loader, Options
from arraystore.loader.order import Shuffled
from arraystore.loader.ring import Ring
from arraystore.testing.strategies import crop_options

FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)


@pytest.fixture(scope="module")
def view(store, sound):
    """The records whose image is sound."""
    return store.select(sound)


def rows_of(loader):
    return [row for batch in loader for row in batch["row"].tolist()]


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert np.array_equal(value, other[name]), name


@FIXTURES
@given(options=crop_options(), threads=st.integers(1, 3), batch_size=st.integers(1, 70), prefetch=st.integers(1, 4))
def test_images_are_the_crops_of_the_store(view, options, threads, batch_size, prefetch):
    asked = {name: value for name, value in options.items() if name not in ("mode", "epoch")}
    loader = view.loader(batch_size, crop=options.get("mode"), threads=threads, prefetch=prefetch, **asked)
    loader.set_epoch(options.get("epoch", 0))
    rows = []
    for batch in loader:
        expected = view.crops(batch["row"], **options)
        assert batch["image"].dtype == expected.dtype
        np.testing.assert_array_equal(batch["image"], expected)
        rows += batch["row"].tolist()
    order = Shuffled(len(view)).rows(np.arange(len(view)), seed=options.get("seed", 0), epoch=options.get("epoch", 0))
    assert rows == order.tolist()


def test_epochs_follow_one_another_and_can_be_chosen(view):
    loader = view.loader(16, seed=3)
    assert len(loader) == -(-len(view) // 16)
    first, second = rows_of(loader), rows_of(loader)
    assert (loader.epoch, sorted(first)) == (2, list(range(len(view))))
    assert first != second
    loader.set_epoch(0)
    assert rows_of(loader) == first
    assert rows_of(loader) == second


@FIXTURES
@given(
    n=st.integers(0, 20),
    world_size=st.integers(1, 3),
    batch_size=st.integers(1, 9),
    drop_last=st.booleans(),
    shuffle=st.sampled_from(["full", "window", None]),
)
def test_ranks_share_an_epoch(view, n, world_size, batch_size, drop_last, shuffle):
    some = view.select(slice(n))
    options = {"size": 8, "drop_last": drop_last, "shuffle": shuffle, "threads": 1}
    alone = rows_of(some.loader(1, **options))
    assert sorted(alone) == list(range(n))
    loaders = [some.loader(batch_size, rank=rank, world_size=world_size, **options) for rank in range(world_size)]
    parts = [rows_of(loader) for loader in loaders]
    assert len(set(map(len, parts))) == 1
    together = [row for turn in zip(*parts, strict=True) for row in turn]
    assert together[:n] == alone[: len(together)]
    assert together[n:] == [alone[place % n] for place in range(n, len(together))]


def test_workers_take_batches_in_turn(view):
    options = {"size": 8, "labels": "order", "seed": 1}
    alone = list(view.loader(7, **options))
    workers = [list(view.loader(7, worker=worker, workers=3, **options)) for worker in range(3)]
    for number, batch in enumerate(alone):
        assert_same(workers[number % 3][number // 3], batch)


def test_a_batch_is_never_changed_by_those_that_follow(view):
    loader = view.loader(5, size=16)
    kept = list(loader)
    copies = [batch["image"].copy() for batch in kept]
    rows_of(loader)
    for batch, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(batch["image"], copy)


@pytest.mark.parametrize(
    ("most_nbytes", "prefetch", "alive"),
    [(1 << 30, None, 4), (3 * 8 * 32 * 32 * 3, None, 3), (1, None, 3), (1, 2, 4), (1 << 30, 1, 3)],
)
def test_large_batches_are_fewer_in_memory(view, monkeypatch, most_nbytes, prefetch, alive):
    monkeypatch.setattr("arraystore.loader.options._USUAL_NBYTES", most_nbytes)
    made = []

    class Counted(Ring):
        def lend(self, shape, dtype):
            if not self._free:
                made.append(self.nbytes)
            return super().lend(shape, dtype)

    loader = Loader(view, 8, Options(size=32, prefetch=prefetch), memory=Counted)
    given_rows = [row for batch in loader for row in batch["row"].tolist()]
    assert len(given_rows) == len(view)
    assert made == [8 * 32 * 32 * 3] * alive


def test_labels_texts_and_codes_belong_to_the_images(store, view):
    loader = view.loader(
        13, size=8, labels=("order", "species", "coord-lat"), text=("dna_barcode", "processid"), dna=True
    )
    for batch in loader:
        rows = batch["row"]
        for column in ("order", "species"):
            labels = view.labels(column)
            assert batch[column].dtype == np.int64
            assert batch[column].tolist() == labels.codes[rows].tolist()
            assert loader.label_names[column] == labels.names
        np.testing.assert_array_equal(batch["coord-lat"], view.columns["coord-lat"].to_numpy()[rows])
        assert batch["dna_barcode"] == view.text(rows, field="dna_barcode")
        assert batch["processid"] == view.keys[rows]
        np.testing.assert_array_equal(batch["dna"], view.dna(rows))
    short = view.loader(4, size=8, dna={"length": 20, "alphabet": "ACGT"}, shuffle=None)
    np.testing.assert_array_equal(next(iter(short))["dna"], view.dna(slice(4), length=20, alphabet="ACGT"))


@pytest.mark.parametrize("crop", ["random_resized", "random"])
def test_views_are_crops_of_other_seeds(view, crop):
    step = 0x9E3779B97F4A7C15
    for batch in view.loader(9, crop=crop, size=32, views=3, flip=0.5, seed=2**64 - 5):
        assert batch["image"].shape == (3, len(batch["row"]), 32, 32, 3)
        for number, pixels in enumerate(batch["image"]):
            seed = (2**64 - 5 + number * step) % 2**64
            np.testing.assert_array_equal(pixels, view.crops(batch["row"], 32, mode=crop, flip=0.5, seed=seed))
    floats = view.loader(9, size=8, views=2, dtype="float32", layout="NCHW", mean=0.5, std=0.25)
    assert next(iter(floats))["image"].shape == (2, 9, 3, 8, 8)


def test_weights_draw_with_replacement_and_each_place_has_its_crop(view):
    weights = np.zeros(len(view))
    weights[[3, 8]] = 1
    batches = list(view.loader(16, size=24, weights=weights, seed=4))
    rows = np.concatenate([batch["row"] for batch in batches])
    images = np.concatenate([batch["image"] for batch in batches])
    assert set(rows.tolist()) == {3, 8}
    assert len(rows) == len(view)
    of_one = images[rows == 3]
    assert len(np.unique(of_one.reshape(len(of_one), -1), axis=0)) > len(of_one) * 0.8
    again = np.concatenate([batch["image"] for batch in view.loader(5, size=24, weights=weights, seed=4, threads=1)])
    np.testing.assert_array_equal(images, again)


def test_weights_of_a_column_balance_its_labels(view):
    loader = view.loader(32, size=8, weights="order", labels="order")
    codes = np.concatenate([batch["order"] for _ in range(40) for batch in loader])
    shares = np.bincount(codes) / len(codes)
    shares = shares[np.unique(view.labels("order").codes[view.labels("order").codes >= 0])]
    assert np.allclose(shares, 1 / len(shares), atol=0.05)


def test_images_beside_are_those_of_the_same_key(store_path, store, view):
    with arraystore.open(store_path) as other:
        mixed = other.select(np.random.default_rng(0).permutation(len(other)))
        for batch in view.loader(11, size=16, flip=0.5, beside={"other": mixed}, seed=6):
            np.testing.assert_array_equal(batch["other"], batch["image"])
        lacking = other.select(view.keys[1:10])
        loader = view.loader(10, size=16, beside={"other": lacking}, shuffle=None)
        with pytest.raises(UnknownKeyError, match=rf"{view.keys[0]}.*beside"):
            next(iter(loader))
        skipping = view.loader(10, size=16, beside={"other": lacking}, shuffle=None, bad="skip")
        with pytest.warns(RuntimeWarning, match="left out"):
            assert next(iter(skipping))["row"].tolist() == list(range(1, 10))


@pytest.mark.parametrize("given_before", [0, 1, 3, 5])
@pytest.mark.parametrize("shuffle", ["full", "window", None])
def test_a_loader_goes_on_where_another_was(view, given_before, shuffle):
    options = {"size": 8, "flip": 0.5, "seed": 8, "shuffle": shuffle, "labels": "order"}
    loader = view.loader(10, **options)
    loader.set_epoch(2)
    whole = list(loader)
    loader.set_epoch(2)
    running = iter(loader)
    for _ in range(given_before):
        next(running)
    state = loader.state_dict()
    for resumed in (view.loader(10, **options), pickle.loads(pickle.dumps(loader))):
        resumed.load_state_dict(state)
        # As a script does at the start of each epoch.
        resumed.set_epoch(2)
        rest = list(resumed)
        assert len(rest) == len(whole) - given_before
        for one, other in zip(rest, whole[given_before:], strict=True):
            assert_same(one, other)
        assert resumed.epoch == 3
        assert rows_of(resumed) == rows_of(view.loader(10, **options) if shuffle is None else loader_at(view, options))


def loader_at(view, options):
    loader = view.loader(10, **options)
    loader.set_epoch(3)
    return loader


def test_other_ranks_and_batches_go_on_with_what_was_not_given(view):
    options = {"size": 8, "seed": 8}
    whole = rows_of(view.loader(1, **options))
    loaders = [view.loader(6, rank=rank, world_size=2, **options) for rank in range(2)]
    for loader in loaders:
        running = iter(loader)
        next(running)
        next(running)
    states = [loader.state_dict() for loader in loaders]
    assert states[0] == states[1]
    resumed = [view.loader(5, rank=rank, world_size=3, **options) for rank in range(3)]
    for loader in resumed:
        loader.load_state_dict(states[0])
    parts = [rows_of(loader) for loader in resumed]
    together = [row for turn in zip(*parts, strict=True) for row in turn]
    assert together[: len(whole) - 24] == whole[24:]
    for broken, message in (
        (states[0] | {"workers": 2}, "workers"),
        (states[0] | {"n": 5}, "as many records"),
        (states[0] | {"seed": 5}, "seed"),
        ({"n": len(view)}, "state_dict"),
        (states[0] | {"batches": -1}, "batches"),
    ):
        with pytest.raises(InvalidRequestError, match=message):
            resumed[0].load_state_dict(broken)


def test_an_epoch_that_is_chosen_amid_another_begins_at_its_start(view):
    loader = view.loader(8, size=16)
    running = iter(loader)
    next(running)
    loader.set_epoch(5)
    next(running)
    state = loader.state_dict()
    assert (state["epoch"], state["batches"]) == (5, 0)
    assert len(list(running)) == len(loader) - 2
    assert loader.epoch == 5
    expected = view.loader(8, size=16)
    expected.set_epoch(5)
    assert rows_of(loader) == rows_of(expected)
    assert loader.epoch == 6


def test_a_copy_begins_where_its_original_would(view):
    loader = view.loader(8, size=16)
    next(iter(loader))
    assert rows_of(pickle.loads(pickle.dumps(loader))) == rows_of(loader)


def test_nothing_beside_is_a_key_that_is_missing(view):
    loader = view.loader(4, size=16, beside={"other": view.select(slice(0, 0))})
    with pytest.raises(UnknownKeyError, match="beside"):
        next(iter(loader))


def test_bad_records_are_raised_skipped_or_filled_and_never_silent(store):
    bad = (store.status != 0).nonzero()[0]
    assert len(bad) > 0
    with pytest.raises(MissingImageError, match=store.keys[bad[0]]):
        list(store.loader(8, size=16, shuffle=None))
    skipping = store.loader(8, size=16, bad="skip", labels="order", views=2)
    with pytest.warns(RuntimeWarning, match="left out.*its attribute bad"):
        batches = list(skipping)
    assert sorted(row for batch in batches for row in batch["row"]) == np.flatnonzero(store.status == 0).tolist()
    assert all(batch["image"].shape[1] == len(batch["row"]) == len(batch["order"]) for batch in batches)
    assert sorted(each.row for each in skipping.bad) == bad.tolist()
    assert skipping.bad_count == len(bad)
    assert {each.key for each in skipping.bad} == {store.keys[row] for row in bad}
    assert all(isinstance(each.error, MissingImageError) for each in skipping.bad)
    filling = store.loader(8, size=16, bad="fill")
    with pytest.warns(RuntimeWarning, match="filled with zeros"):
        batches = list(filling)
    for batch in batches:
        assert batch["bad"].tolist() == [row in bad for row in batch["row"]]
        assert not batch["image"][batch["bad"]].any()
        np.testing.assert_array_equal(batch["image"][~batch["bad"]], store.crops(batch["row"][~batch["bad"]], 16))


def test_a_missing_shard_concerns_all_records(store_path, tmp_path):
    copy = shutil.copytree(store_path, tmp_path / "damaged.zarr")
    for shard in (copy / "image/data/c").iterdir():
        shard.unlink()
    with arraystore.open(copy) as damaged, pytest.raises(FileNotFoundError):
        list(damaged.loader(8, size=16, bad="skip"))


def test_a_damaged_record_is_named_and_its_place_is_empty(store_path, view, tmp_path):
    copy = shutil.copytree(store_path, tmp_path / "damaged.zarr")
    (shard,) = (copy / "image/data/c").iterdir()
    payload = bytearray(shard.read_bytes())
    key, jpeg = view.keys[4], view.jpeg(4)
    payload[payload.index(jpeg) + len(jpeg) // 2] ^= 1
    shard.write_bytes(payload)
    with arraystore.open(copy) as damaged:
        some = damaged.select([key])
        with pytest.raises(DamagedStoreError, match=key):
            list(some.loader(1, size=16))
        loader = some.loader(1, size=16, bad="fill")
        with pytest.warns(RuntimeWarning, match=key):
            (batch,) = loader
        assert batch["bad"].tolist() == [True]
        assert not batch["image"].any()
        assert len(list(some.loader(1, size=16, verify=False))) == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_loaders_travel_to_processes_while_their_threads_run(view, method):
    loader = view.loader(8, size=16, flip=0.5)
    running = iter(loader)
    first = next(running)
    fresh = view.loader(8, size=16, flip=0.5)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        elsewhere = pool.submit(rows_of, fresh).result(timeout=120)
    here = first["row"].tolist() + [row for batch in running for row in batch["row"].tolist()]
    assert elsewhere == here


def child_lets_go(connection, running):
    # Inherited by fork: its threads are not here.
    running.close()
    del running
    connection.send("let go")


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_lets_go_of_an_iterator_without_waiting(view):
    loader = view.loader(4, size=64)
    running = iter(loader)
    next(running)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=child_lets_go, args=(theirs, running))
    child.start()
    assert ours.poll(60)
    assert ours.recv() == "let go"
    child.join(60)
    assert child.exitcode == 0
    assert sum(len(batch["row"]) for batch in running) == len(view) - 4


def test_an_iterator_that_is_dropped_ends_its_threads(view):
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("counts threads in /proc")

    def threads():
        return len(list(tasks.iterdir()))

    before = threads()
    for _ in range(5):
        running = iter(view.loader(4, size=64, threads=3))
        next(running)
        assert threads() >= before + 3
        del running
    assert threads() <= before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.0}, "batch_size=2.0"),
        ({"crop": "middle"}, "middle"),
        ({"size": 0}, "size=0"),
        ({"flip": 2}, "flip=2"),
        ({"views": 9}, "views=9"),
        ({"shuffle": True}, "shuffle=True"),
        ({"shuffle": "window", "weights": "order"}, "weights"),
        ({"rank": 2, "world_size": 2}, "rank=2"),
        ({"worker": 1}, "worker=1"),
        ({"bad": "ignore"}, "bad='ignore'"),
        ({"prefetch": 0}, "prefetch=0"),
        ({"seed": -1}, "seed=-1"),
        ({"dtype": "float64"}, "float64"),
        ({"mean": 0.5}, "float32"),
        ({"turn": True}, "turn=True"),
        ({"beside": {"other": "path"}}, "open stores"),
        ({"labels": "row"}, "row"),
        ({"labels": ("order", "order")}, "'order'"),
        ({"text": "rna"}, "rna"),
        ({"dna": "ACGT"}, "dna='ACGT'"),
        ({"dna": {"size": 3}}, "size"),
        ({"threads": 0}, "threads=0"),
        ({"labels": "dna_barcode"}, "dna_barcode"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_read(view, arguments, message):
    with pytest.raises((InvalidRequestError, UnknownColumnError), match=message):
        view.loader(**{"batch_size": 4, **arguments})


def test_a_loader_shows_itself(view):
    loader = view.loader(16, rank=1, world_size=2)
    assert isinstance(loader, Loader)
    assert "batches of 16, rank 1 of 2, epoch 0" in repr(loader)
