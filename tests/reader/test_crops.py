"""Crops: their boxes, their pixels, and that nothing but seed, epoch and row decides."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from arraystore.errors import InvalidRequestError, MissingImageError
from arraystore.testing.strategies import boxes_inside, crop_options

FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
MEAN, STD = (0.76, 0.77, 0.75), (0.14, 0.16, 0.17)


def pillow_crop(jpeg, box, size, *, flip=False):
    top, left, height, width = (int(side) for side in box)
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB").crop((left, top, left + width, top + height))
    picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else picture)


def assert_within_one(pixels, expected):
    assert np.abs(pixels.astype(int) - expected.astype(int)).max(initial=0) <= 1


@FIXTURES
@given(data=st.data(), options=crop_options(), threads=st.integers(1, 3))
def test_a_crop_does_not_depend_on_the_batch(store, sound, data, options, threads):
    rows = data.draw(st.lists(st.sampled_from(sound.tolist()), max_size=8))
    pixels, boxes, flips = store.crops(rows, **options, return_boxes=True, threads=threads)
    for position in reversed(range(len(rows))):
        alone = store.crops([rows[position]], **options, return_boxes=True, threads=1)
        np.testing.assert_array_equal(alone.pixels[0], pixels[position])
        np.testing.assert_array_equal(alone.boxes[0], boxes[position])
        assert alone.flips[0] == flips[position]


@FIXTURES
@given(data=st.data(), options=crop_options())
def test_a_crop_is_that_of_pillow(store, sound, data, options):
    row = data.draw(st.sampled_from(sound.tolist()))
    pixels, boxes, flips = store.crops([row], **options, return_boxes=True)
    expected = pillow_crop(store.jpeg(row), boxes[0], pixels.shape[1:3], flip=flips[0])
    assert_within_one(pixels[0], expected)


@FIXTURES
@given(data=st.data())
def test_a_box_is_cut_from_the_whole_image(store, sound, data):
    rows = data.draw(st.lists(st.sampled_from(sound.tolist()), min_size=1, max_size=5))
    boxes = [data.draw(boxes_inside(tuple(size))) for size in store.sizes(rows).tolist()]
    for row, (top, left, height, width), pixels in zip(rows, boxes, store.read_boxes(rows, boxes), strict=True):
        np.testing.assert_array_equal(pixels, store[row][top : top + height, left : left + width])
    resized = store.read_boxes(rows, boxes, size=(20, 30))
    assert resized.shape == (len(rows), 20, 30, 3)
    for row, box, pixels in zip(rows, boxes, resized, strict=True):
        assert_within_one(pixels, pillow_crop(store.jpeg(row), box, (20, 30)))


def test_seed_and_epoch_change_the_crops(store, sound):
    first = store.crops(sound, 32, seed=1, epoch=1)
    np.testing.assert_array_equal(first, store.crops(sound, 32, seed=1, epoch=1))
    assert (first != store.crops(sound, 32, seed=2, epoch=1)).any()
    assert (first != store.crops(sound, 32, seed=1, epoch=2)).any()


def test_layout_and_dtype_change_the_form_only(store, sound):
    options = {"size": (24, 40), "seed": 3, "flip": 0.5}
    pixels = store.crops(sound, **options)
    np.testing.assert_array_equal(store.crops(sound, **options, layout="NCHW"), pixels.transpose(0, 3, 1, 2))
    plain = store.crops(sound, **options, dtype="float32")
    assert plain.dtype == np.float32
    np.testing.assert_allclose(plain, pixels / 255, atol=1e-6)
    normalised = store.crops(sound, **options, dtype="float32", layout="NCHW", mean=MEAN, std=STD)
    np.testing.assert_allclose(normalised, ((pixels / 255 - MEAN) / STD).transpose(0, 3, 1, 2), atol=1e-5)


def test_a_given_output_is_filled_and_returned(store, sound):
    out = np.zeros((len(sound), 16, 16, 3), np.uint8)
    assert store.crops(sound, 16, out=out) is out
    np.testing.assert_array_equal(out, store.crops(sound, 16))
    part = np.zeros((80, 3, 16, 16), np.float32)
    store.crops(sound[:5], 16, out=part[5:10], layout="NCHW")
    assert part[5:10].any(axis=(1, 2, 3)).all()
    assert not part[:5].any()
    assert not part[10:].any()
    with pytest.raises(InvalidRequestError, match="out: expected"):
        store.crops(sound, 17, out=out)


def test_center_and_random_crops_follow_their_rule(store, sound):
    sizes = store.sizes(sound)
    centred = store.crops(sound, 200, mode="center", return_boxes=True)
    np.testing.assert_array_equal(centred.boxes[:, 2:], 200)
    assert np.abs(centred.boxes[:, :2] - (sizes - 200) / 2).max() <= 0.5
    for position in range(3):
        top, left, height, width = centred.boxes[position]
        whole = store[int(sound[position])]
        np.testing.assert_array_equal(centred.pixels[position], whole[top : top + height, left : left + width])
    drawn = store.crops(sound, 200, mode="random", return_boxes=True)
    np.testing.assert_array_equal(drawn.boxes[:, 2:], 200)
    assert (drawn.boxes[:, :2] + 200 <= sizes).all()
    # Larger than the image: the largest box of the aspect ratio of the output, here the height of the image.
    large = store.crops(sound, (512, 512), mode="center", return_boxes=True)
    np.testing.assert_array_equal(large.boxes[:, 2:], 256)


def test_flips_are_as_frequent_as_asked(store, sound):
    for flip, low, high in ((0.0, 0, 0), (0.5, 0.4, 0.6), (1.0, 1, 1)):
        flips = [store.crops(sound, 1, flip=flip, epoch=epoch, return_boxes=True).flips for epoch in range(10)]
        assert low <= np.mean(flips) <= high
    flipped = store.crops(sound, (256, 256), mode="center", flip=1.0)
    np.testing.assert_array_equal(flipped, store.crops(sound, (256, 256), mode="center")[:, :, ::-1])


def torchvision_boxes(sizes, count, rng):
    """RandomResizedCrop.get_params as torchvision's documentation states it, without its fallback."""
    drawn = []
    while len(drawn) < count:
        height, width = sizes[rng.integers(len(sizes))]
        area = height * width * rng.uniform(0.08, 1.0)
        ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        box_width, box_height = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            top, left = rng.integers(0, height - box_height + 1), rng.integers(0, width - box_width + 1)
            drawn.append((top, left, box_height, box_width, height, width))
    return np.array(drawn, float)


def test_boxes_are_distributed_as_those_of_torchvision(store, sound):
    sizes = store.sizes(sound)
    batches = [store.crops(sound, 1, epoch=epoch, return_boxes=True, verify=False).boxes for epoch in range(100)]
    ours = np.concatenate([np.concatenate([boxes, sizes], axis=1) for boxes in batches]).astype(float)
    theirs = torchvision_boxes(sizes, len(ours), np.random.default_rng(0))
    statistics = {
        "area": lambda boxes: boxes[:, 2] * boxes[:, 3] / boxes[:, 4] / boxes[:, 5],
        "ratio": lambda boxes: boxes[:, 3] / boxes[:, 2],
        "top": lambda boxes: boxes[:, 0] / (boxes[:, 4] - boxes[:, 2] + 1),
        "left": lambda boxes: boxes[:, 1] / (boxes[:, 5] - boxes[:, 3] + 1),
    }
    for name, statistic in statistics.items():
        quantiles = np.linspace(0.05, 0.95, 19)
        gap = np.abs(np.quantile(statistic(ours), quantiles) - np.quantile(statistic(theirs), quantiles)).max()
        assert gap < 0.04, f"{name}: quantiles differ by {gap}"


def test_a_box_outside_its_image_names_the_record(store, sound):
    row = int(sound[4])
    for box in ([0, 0, 257, 10], [250, 0, 10, 10], [-1, 0, 5, 5], [0, 0, 0, 5], [2**40, 0, 5, 5]):
        for size in (None, 8):
            with pytest.raises(InvalidRequestError, match=store.keys[row]):
                store.read_boxes([row], [box], size=size)


def test_a_missing_image_is_named(store):
    row = int(np.flatnonzero(store.status == 1)[0])
    with pytest.raises(MissingImageError, match=store.keys[row]):
        store.crops([row], 32)


def test_options_of_the_output_need_a_size(store, sound):
    with pytest.raises(InvalidRequestError, match="need a size"):
        store.read_boxes(sound[:1], [[0, 0, 1, 1]], dtype="float32")


def test_an_empty_batch_is_empty(store):
    assert store.crops([], 224).shape == (0, 224, 224, 3)
    assert store.read_boxes([], []) == []
    assert store.read([]) == []
