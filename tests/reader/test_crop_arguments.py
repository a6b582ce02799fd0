"""Arguments of crops are checked before anything is read."""

import numpy as np
import pytest

from arraystore.errors import InvalidRequestError
from arraystore.reader.crops import CropPolicy, OutputForm, box_array, size_pair
from arraystore.threads import ENVIRONMENT_VARIABLE, thread_count


@pytest.mark.parametrize(
    "size", [0, -1, 70_000, (224,), (224, 0), "224", 2.5, (1, 2, 3), None, True, (3, True), (2**70, 1)]
)
def test_a_wrong_size_is_refused(size):
    with pytest.raises(InvalidRequestError, match="size="):
        size_pair(size)


def test_sizes_are_height_and_width():
    assert size_pair(np.int32(5)) == (5, 5)
    assert size_pair([3, 4]) == (3, 4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "rrc"},
        {"scale": (0.5, 0.1)},
        {"scale": (0.0, 1.0)},
        {"scale": (0.1, 1.1)},
        {"scale": (float("nan"), 1.0)},
        {"ratio": (-1, 1)},
        {"ratio": (1, float("inf"))},
        {"flip": 1.5},
        {"flip": float("nan")},
        {"seed": -1},
        {"epoch": 2**64},
        {"seed": None},
        {"seed": 1.7},
        {"seed": "7"},
        {"epoch": True},
        {"scale": 0.5},
        {"scale": "ab"},
        {"scale": (0.5,)},
        {"scale": (0.5, "b")},
        {"ratio": None},
        {"ratio": (1, 10**400)},
        {"flip": "no"},
        {"flip": None},
        {"mode": None},
        {"mode": ["random"]},
    ],
)
def test_a_wrong_policy_is_refused_by_name(wrong):
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        CropPolicy(**wrong)


@pytest.mark.parametrize("wrong", [{"dtype": "foo"}, {"dtype": 5}, {"layout": "HWC"}, {"layout": ["NHWC"]}])
def test_a_wrong_output_is_refused_by_name(wrong):
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        OutputForm((3, 5), **wrong)


def test_numbers_of_numpy_are_numbers():
    policy = CropPolicy(scale=np.array([0.5, 1.0]), flip=np.float32(0.5), seed=np.uint64(2**63), epoch=np.int8(3))
    assert policy.core_arguments()["seed"] == 2**63
    assert OutputForm((3, 5), np.float32).array(1).dtype == np.float32


def test_an_output_has_the_shape_of_its_layout():
    assert OutputForm((3, 5)).array(2).shape == (2, 3, 5, 3)
    form = OutputForm((3, 5), "float32", "NCHW")
    assert form.array(2).shape == (2, 3, 3, 5)
    assert form.array(2).dtype == np.float32


@pytest.mark.parametrize(
    "out",
    [
        np.empty((2, 3, 5, 4), np.uint8),
        np.empty((2, 3, 5, 3), np.int8),
        np.empty((2, 3, 5, 6), np.uint8)[..., ::2],
        np.empty((2, 3, 5, 3), np.float64),
        np.frombuffer(bytes(90), np.uint8).reshape(2, 3, 5, 3),
        [[1]],
        "out",
    ],
)
def test_an_output_that_cannot_be_filled_is_refused(out):
    with pytest.raises(InvalidRequestError, match="out: expected"):
        OutputForm((3, 5)).array(2, out)


def test_the_dtype_is_that_of_the_output_unless_both_are_given():
    out = np.empty((2, 3, 5, 3), np.float32)
    assert OutputForm((3, 5)).array(2, out) is out
    with pytest.raises(InvalidRequestError, match="expected uint8"):
        OutputForm((3, 5), "uint8").array(2, out)


def test_normalisation_is_for_floats():
    floats, integers = np.empty(0, np.float32), np.empty(0, np.uint8)
    assert OutputForm((1, 1)).core_arguments(integers)["normalise"] is None
    assert OutputForm((1, 1)).core_arguments(floats)["normalise"] == ((0.0,) * 3, (1.0,) * 3)
    form = OutputForm((1, 1), mean=(0.1, 0.2, 0.3), std=0.5)
    assert form.core_arguments(floats)["normalise"] == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    with pytest.raises(InvalidRequestError, match="mean and std are for float32"):
        form.core_arguments(integers)
    for wrong in ({"std": 0.0}, {"mean": (1, 2)}, {"std": float("nan")}, {"mean": "x"}, {"std": [1, [2]]}):
        with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
            OutputForm((1, 1), **wrong).core_arguments(floats)


def test_boxes_are_integers_of_four_columns():
    assert box_array([], 0).shape == (0, 4)
    assert box_array(np.ones((2, 4), np.uint16), 2).dtype == np.int64
    for wrong in ([[1, 2, 3]], [[1, 2], [3]], None, np.ones((1, 4)), np.ones((2, 4), int)):
        with pytest.raises(InvalidRequestError, match=r"boxes: expected integers of shape \(1, 4\)"):
            box_array(wrong, 1)


def test_threads_come_from_the_call_then_the_environment_then_the_cores(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "5")
    assert thread_count(2) == 2
    assert thread_count() == 5
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    assert thread_count() >= 1
    assert thread_count(np.int64(3)) == 3
    for wrong in (0, -1, True, 2.5, "2", 2**70, [2]):
        with pytest.raises(InvalidRequestError, match="threads="):
            thread_count(wrong)
    for wrong in ("0", "many", "²", "-1", "2.5", "9" * 5000):
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, wrong)
        with pytest.raises(InvalidRequestError, match=ENVIRONMENT_VARIABLE):
            thread_count()
