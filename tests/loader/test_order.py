"""The order of an epoch: computed again from its definition, complete, shared without gaps, as random as it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arraystore import _core
from arraystore.errors import InvalidRequestError
from arraystore.loader.order import Drawn, Share, Shuffled, Straight, Windowed

WORD = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(word):
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB & WORD
    return word ^ word >> 31


def draws(seed, epoch, row):
    """The random numbers of a key, as docs/design/0002 has them."""
    state = 0
    for word in (seed, epoch, row):
        state = mix((state + GOLDEN & WORD) ^ mix(word + GOLDEN & WORD))
    while True:
        state = state + GOLDEN & WORD
        yield mix(state)


def scramble(word):
    product = (word ^ word >> 29) * 0xD6E8FEB86659FD93
    folded = (product >> 64) ^ product & WORD
    return folded ^ folded >> 32


def permutation(n, key):
    """The network of docs/design/0005-loader.md, one position at a time."""
    numbers = draws(key, n, 0)
    keys = [next(numbers) for _ in range(6)]
    half = max(-(-(n - 1).bit_length() // 2), 5)
    found = []
    for position in range(n):
        value = position
        while True:
            left, right = value >> half, value & (1 << half) - 1
            for each in keys:
                left, right = right, (left ^ scramble(right ^ each)) & (1 << half) - 1
            value = left << half | right
            if value < n:
                break
        found.append(value)
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 1500), st.integers(0, WORD), st.integers(0, WORD))
def test_a_full_shuffle_is_the_permutation_of_its_definition(n, seed, epoch):
    key = next(draws(seed, epoch, WORD))
    rows = Shuffled(n).rows(np.arange(n), seed=seed, epoch=epoch)
    assert rows.tolist() == permutation(n, key)
    assert sorted(rows.tolist()) == list(range(n))


@pytest.mark.parametrize("make", [Shuffled, Windowed])
def test_an_epoch_can_be_entered_anywhere_and_differs_from_the_next(make):
    order, n = make(100_003), 100_003
    whole = order.rows(np.arange(n), seed=4, epoch=2)
    assert np.array_equal(np.sort(whole), np.arange(n))
    places = np.random.default_rng(0).integers(0, n, 500)
    assert np.array_equal(order.rows(places, seed=4, epoch=2), whole[places])
    for seed, epoch in ((4, 3), (5, 2)):
        other = order.rows(np.arange(n), seed=seed, epoch=epoch)
        # Of two permutations at random, one place is expected to agree.
        assert (other == whole).sum() < 20


def test_a_window_asks_for_few_runs_of_neighbours_and_is_mixed_inside():
    n = 200_000
    rows = Windowed(n).rows(np.arange(n), seed=1, epoch=0)
    window = 256 * 64
    for start in range(0, n - window, window):
        found = np.sort(rows[start : start + window])
        assert 1 + (np.diff(found) != 1).sum() <= 65
    steps = np.abs(np.diff(rows[:window]))
    # A reader in order would step by one; here neighbours come from anywhere in the window.
    assert (steps < 256).mean() < 0.04
    assert 0.25 < np.median(steps) / n < 0.35


def test_a_window_follows_the_places_of_the_bytes():
    places = np.random.default_rng(2).permutation(5000)
    plain = Windowed(5000, block=10, blocks=4).rows(np.arange(5000), seed=0, epoch=0)
    assert np.array_equal(Windowed(5000, places, 10, 4).rows(np.arange(5000), seed=0, epoch=0), places[plain])


def test_the_core_refuses_what_is_no_position():
    with pytest.raises(IndexError, match="10"):
        _core.order(np.array([10]), n=10, seed=0, epoch=0, window=None)
    with pytest.raises(InvalidRequestError, match="negative"):
        _core.order(np.array([-1]), n=10, seed=0, epoch=0, window=None)


def test_rows_are_drawn_as_often_as_their_weights_say():
    weights = np.array([0, 1, 2, 0, 5, 0])
    order = Drawn.of(weights, 6)
    rows = order.rows(np.arange(80_000), seed=9, epoch=1)
    counts = np.bincount(rows, minlength=6)
    expected = weights * 10_000
    assert (counts[weights == 0] == 0).all()
    # Four standard deviations.
    assert (np.abs(counts - expected) < 4 * np.sqrt(np.maximum(expected, 1))).all()
    units = [(next(draws(next(draws(9, 1, WORD)), 1, position)) >> 11) / 2**53 for position in range(200)]
    assert rows[:200].tolist() == np.searchsorted(np.cumsum(weights) / 8, units, side="right").tolist()


@pytest.mark.parametrize("weights", [[1, 2], [1, -1, 1], [0, 0, 0], [1, np.nan, 1], "abc", [[1, 1, 1]], [1, np.inf, 1]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(InvalidRequestError, match="weights: expected 3"):
        Drawn.of(weights, 3)


shares = st.fixed_dictionaries(
    {
        "n": st.integers(0, 300),
        "batch_size": st.integers(1, 40),
        "world_size": st.integers(1, 5),
        "workers": st.integers(1, 4),
        "drop_last": st.booleans(),
    }
)


def positions(share, start=0):
    return [share.positions(number, start) for number in range(share.batches(start))]


@settings(deadline=None)
@given(shares)
def test_shares_are_disjoint_complete_and_equal(options):
    n, world_size, workers = options["n"], options["world_size"], options["workers"]
    of_ranks = []
    for rank in range(world_size):
        of_workers = [positions(Share(rank=rank, worker=worker, **options)) for worker in range(workers)]
        # As a DataLoader takes batches: one of each worker in turn.
        turns = max(map(len, of_workers))
        batches = [each[turn] for turn in range(turns) for each in of_workers if turn < len(each)]
        of_ranks.append(np.concatenate([np.empty(0, int), *batches]))
        whole = [len(batch) == options["batch_size"] for batch in batches]
        assert all(whole if options["drop_last"] else whole[:-1])
    assert len({len(each) for each in of_ranks}) == 1
    together = np.stack(of_ranks, axis=1).ravel()
    if options["drop_last"]:
        assert n - len(together) < world_size * options["batch_size"]
        assert together.tolist() == list(range(len(together)))
    else:
        assert together.tolist() == [*range(n), *(position % n for position in range(n, len(together)))]
        assert len(together) - n < world_size or n == 0


@given(shares, st.integers(0, 9), st.integers(1, 40), st.integers(1, 5))
def test_others_go_on_where_all_ranks_have_come(options, given_batches, batch_size, world_size):
    options |= {"workers": 1, "drop_last": False}
    first = Share(**options)
    batches = min(given_batches, first.batches())
    start = first.reached(batches)
    seen = set()
    for rank in range(options["world_size"]):
        for number in range(batches):
            seen |= set(Share(**options | {"rank": rank}).positions(number).tolist())
    assert seen >= set(range(min(start, options["n"])))
    rest = set()
    for rank in range(world_size):
        share = Share(**options | {"rank": rank, "world_size": world_size, "batch_size": batch_size})
        rest |= {position for batch in positions(share, start) for position in batch.tolist()}
    assert rest >= set(range(start, options["n"]))


def test_straight_is_straight():
    assert Straight().rows(np.array([3, 1]), seed=1, epoch=2).tolist() == [3, 1]
