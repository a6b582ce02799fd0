"""What a store says of how it has grown is checked like all else, and tells the length of every shard."""

import pytest

from arraystore.errors import FormatError
from arraystore.format.arrays import ArrayForm, form_of
from arraystore.format.generations import generation_of
from arraystore.format.layout import place_behind
from arraystore.format.spec import FieldSpec, StoreSpec

SHARD = 131_072
SPEC = StoreSpec(n=3, fields=(FieldSpec("image", "jpeg"),), generation=2, segments={"image": [70_000, 300_000]})


def test_a_description_that_has_grown_reads_back_and_one_that_has_not_says_nothing_of_it():
    assert StoreSpec.from_json(SPEC.to_json()) == SPEC
    assert not {"generation", "segments"} & set(StoreSpec(n=3, fields=SPEC.fields).to_json())


@pytest.mark.parametrize(
    "entries",
    [
        {"generation": -1},
        {"generation": "1"},
        {"generation": True},
        {"segments": []},
        {"segments": {"image": 5}},
        {"segments": {"image": [-1]}},
        {"segments": {"image": ["a"]}},
    ],
)
def test_a_wrong_entry_is_named(entries):
    with pytest.raises(FormatError, match=next(iter(entries))):
        StoreSpec.from_json(SPEC.to_json() | entries)


def test_the_last_shard_of_each_segment_is_as_short_as_its_bytes():
    form = ArrayForm("uint8", 300_000, SHARD, 65_536, ends=(70_000, 300_000))
    assert [form.chunk_count(shard) for shard in range(form.shard_count)] == [2, 2, 1]
    form = ArrayForm("uint8", 300_000, SHARD, 65_536, ends=(10, 300_000))
    assert [form.chunk_count(shard) for shard in range(form.shard_count)] == [1, 2, 1]


@pytest.mark.parametrize("ends", [(70_000,), (300_001,), (300_000, 70_000), (70_000, 80_000, 300_000), (0, 300_000)])
def test_segments_that_contradict_the_array_are_refused(ends):
    document = ArrayForm.data(300_000, SHARD).document()
    with pytest.raises(FormatError, match="segments"):
        form_of("image/data", document, dtype="uint8", length=None, ends=ends)


@pytest.mark.parametrize(("total", "start"), [(0, 0), (1, SHARD), (SHARD, SHARD), (SHARD + 1, 2 * SHARD)])
def test_records_are_added_from_the_next_border_on(total, start):
    added = place_behind(total, [100_000, 50_000], shard_nbytes=SHARD)
    assert added.place.tolist() == [start, start + SHARD]
    assert added.total_nbytes == start + SHARD + 50_000
    assert place_behind(total, [0, 0], shard_nbytes=SHARD).total_nbytes == total


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("image/offset/c/0", 0),
        ("image/data/c/0", None),
        ("image/zarr.json", None),
        ("key/data/c/0", 0),
        ("columns/zarr.json", 0),
        ("generation/12/key/data/c/0", 12),
        ("generation/zarr.json", None),
        ("generation/x/zarr.json", None),
        ("zarr.json", None),
        ("other/offset/c/0", None),
    ],
)
def test_every_file_is_of_one_generation_or_of_all(name, generation):
    assert generation_of(name, SPEC) == generation
