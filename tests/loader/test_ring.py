"""Memory is used again when nothing refers to it, and never before."""

import gc

import numpy as np

from arraystore.loader.ring import Ring


def address(array):
    return array.__array_interface__["data"][0]


def test_a_block_comes_back_when_the_last_view_of_it_is_gone():
    ring = Ring(600, 4)
    one = ring.lend((10, 5, 3), np.float32)
    where = address(one)
    views = [one[3], one.reshape(-1)[::2], memoryview(one), np.from_dlpack(one)]
    del one
    while views:
        gc.collect()
        assert address(ring.lend((2,), np.uint8)) != where
        views.pop()
    gc.collect()
    again = [ring.lend((2,), np.uint8) for _ in range(2)]
    assert where in map(address, again)


def test_two_that_are_lent_never_share_memory():
    ring = Ring(100, 2)
    kept = [ring.lend((100,), np.uint8) for _ in range(10)]
    for number, array in enumerate(kept):
        array[:] = number
    assert all((array == number).all() for number, array in enumerate(kept))
    del kept, array
    gc.collect()
    assert len(ring._free) == 2


def test_the_shape_and_type_are_those_asked_for():
    array = Ring(96, 1).lend((2, 3, 4), "float32")
    assert (array.shape, array.dtype, array.flags.c_contiguous, array.flags.writeable) == ((2, 3, 4), "f4", True, True)


def test_arrays_begin_at_a_line_of_the_cache_so_that_jax_need_not_copy():
    ring = Ring(1000, 4)
    lent = [ring.lend((25, 10), "float32") for _ in range(5)]
    assert [array.ctypes.data % 64 for array in lent] == [0] * 5
