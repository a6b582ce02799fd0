"""A file of keys selects what the list of them selects."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arraystore.errors import InvalidRequestError, UnknownKeyError


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(data=st.data())
def test_a_file_selects_as_its_list_does(store, tmp_path, data):
    rows = data.draw(st.lists(st.integers(0, len(store) - 1)))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\n\n", " \n\t"]))
    mark = data.draw(st.sampled_from(["", "\ufeff"]))
    path = tmp_path / "keys.txt"
    path.write_bytes((mark + "".join(key + end for key in store.keys[rows])).encode())
    np.testing.assert_array_equal(store.select(path).store_rows, rows)


def test_a_file_is_one_more_condition(store, tmp_path):
    path = tmp_path / "keys.txt"
    diptera = store.select(order="Diptera")
    path.write_text("\n".join(store.keys))
    np.testing.assert_array_equal(store.select(path, order="Diptera").store_rows, diptera.store_rows)
    with pytest.raises(UnknownKeyError, match=f"{len(store) - len(diptera)} of 60 keys are unknown"):
        diptera.select(path)


def test_unknown_keys_are_counted_and_named_with_their_lines(store, tmp_path):
    path = tmp_path / "keys.csv"
    path.write_text("\n".join(["processid", "", store.keys[3], "é", *"abc"]), encoding="utf-8")
    with pytest.raises(UnknownKeyError) as it:
        store.select(path)
    assert it.value.args[0] == (
        f"{path}: 5 of 6 keys are unknown: 'processid' (line 1), 'é' (line 4), 'a' (line 5) and 2 more"
    )


def test_a_file_that_is_no_text_or_not_there(store, tmp_path):
    path = tmp_path / "keys.txt"
    with pytest.raises(FileNotFoundError):
        store.select(path)
    path.write_bytes(b"\xff\xfe\x00A")
    with pytest.raises(InvalidRequestError, match=r"keys.txt: a file of keys is text in UTF-8") as it:
        store.select(path)
    assert it.value.code == "not-utf-8"
