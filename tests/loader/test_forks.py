"""A forked process has its own threads, and does not touch those of its parent."""

import gc
import multiprocessing

import numpy as np
import pytest

# A process with threads is forked: that is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def rows_after_letting_go(view, inherited, rows):
    """Iterate, and let go of what the parent began when threads of this process have taken the place of its threads."""
    own = iter(view.loader(4, size=16, threads=4))
    rows.put(next(own)["row"])
    inherited.clear()
    gc.collect()
    for batch in own:
        rows.put(batch["row"])


def test_a_child_that_lets_go_of_an_iterator_keeps_its_own_threads(store, sound):
    view = store.select(sound)
    expected = [batch["row"] for batch in view.loader(4, size=16)]
    inherited = [iter(view.loader(4, size=16, threads=4)) for _ in range(2)]
    assert all(len(next(iterator)["row"]) == 4 for iterator in inherited)
    context = multiprocessing.get_context("fork")
    rows = context.Queue()
    child = context.Process(target=rows_after_letting_go, args=(view, inherited, rows))
    child.start()
    found = [rows.get(timeout=60) for _ in expected]
    child.join(60)
    assert child.exitcode == 0
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
    # Nor does the child take anything from its parent.
    assert all(len(list(iterator)) == len(expected) - 1 for iterator in inherited)
