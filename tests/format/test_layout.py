"""Laws of the places of records."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arraystore.format.layout import CHUNK_NBYTES, Placement, place_records

sizes = st.lists(st.integers(0, 3 * CHUNK_NBYTES), max_size=40)
shards = st.integers(1, 5 * CHUNK_NBYTES)


def one_by_one(nbytes, shard_nbytes):
    """The rule in its plainest form: next byte, or the next shard if the record would not fit."""
    places, at = [], 0
    for size in nbytes:
        if at // shard_nbytes != (at + size - 1) // shard_nbytes and size:
            at = (at // shard_nbytes + 1) * shard_nbytes
        places.append(at)
        at += size
    return places


@given(sizes, shards)
def test_no_record_straddles_a_shard(nbytes, shard_nbytes):
    placement = place_records(nbytes, shard_nbytes=shard_nbytes)
    for place, size in zip(placement.place.tolist(), nbytes, strict=True):
        if size:
            assert place // placement.shard_nbytes == (place + size - 1) // placement.shard_nbytes


@given(sizes, shards)
def test_records_are_in_order_and_apart(nbytes, shard_nbytes):
    placement = place_records(nbytes, shard_nbytes=shard_nbytes)
    ends = placement.place.astype(object) + nbytes
    assert all(end <= place for end, place in zip(ends[:-1], placement.place[1:], strict=True)) if nbytes else True
    assert placement.total_nbytes == (ends[-1] if nbytes else 0)


@given(sizes, shards)
def test_places_are_those_of_the_plain_rule(nbytes, shard_nbytes):
    placement = place_records(nbytes, shard_nbytes=shard_nbytes)
    expected = one_by_one(nbytes, placement.shard_nbytes)
    # A record without bytes at the very border may stand on either side of it.
    kept = [i for i, size in enumerate(nbytes) if size]
    assert placement.place[kept].tolist() == [expected[i] for i in kept]


@given(sizes, shards)
def test_shard_holds_the_largest_record_and_whole_chunks(nbytes, shard_nbytes):
    placement = place_records(nbytes, shard_nbytes=shard_nbytes)
    assert placement.shard_nbytes % CHUNK_NBYTES == 0
    assert max([shard_nbytes, *nbytes]) <= placement.shard_nbytes < max([shard_nbytes, *nbytes]) + CHUNK_NBYTES


def test_shard_of_half_a_chunk_is_refused():
    with pytest.raises(ValueError, match="multiple of 65536"):
        Placement(np.zeros(1, np.uint64), 5, CHUNK_NBYTES // 2)


def test_five_million_records_are_placed():
    placement = place_records(np.random.default_rng(0).integers(3_000, 12_000, 5_000_000))
    assert placement.shard_count == -(-placement.total_nbytes // placement.shard_nbytes) > 100
