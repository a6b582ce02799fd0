"""What the strategies draw is what they promise."""

import io

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from arraystore.testing import strategies


@given(strategies.jpegs(largest=40))
def test_sound_jpegs_decode(jpeg):
    with Image.open(io.BytesIO(jpeg)) as image:
        image.load()
        assert max(image.size) <= 40


@given(st.data())
def test_boxes_are_inside(data):
    size = data.draw(strategies.image_sizes())
    top, left, height, width = data.draw(strategies.boxes_inside(size))
    assert min(top, left) >= 0
    assert 1 <= height <= size[0] - top
    assert 1 <= width <= size[1] - left


@given(strategies.keys(min_size=2))
def test_keys_are_distinct_and_fit_file_names(keys):
    assert len(set(keys)) == len(keys) >= 2
    assert all(key and "/" not in key and key.encode() for key in keys)


@given(strategies.damaged_jpegs(largest=40))
def test_damaged_jpegs_are_bytes(jpeg):
    assert isinstance(jpeg, bytes)
