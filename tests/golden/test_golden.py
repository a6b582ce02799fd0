"""Stores of every release stay readable, to the bit."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

import arraystore

GOLDEN = sorted(Path(__file__).parent.glob("format_*.zip"))


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request, tmp_path):
    """A store of an earlier release, and what must be found in it."""
    zipfile.ZipFile(request.param).extractall(tmp_path / "golden")
    # The first was packed without its own name.
    [path] = [*(tmp_path / "golden").glob("golden.*")] or [tmp_path / "golden"]
    with arraystore.open(path) as store:
        yield store, json.loads(request.param.with_suffix(".json").read_text())


def test_there_is_a_golden_store_of_each_container():
    assert {path.stem for path in GOLDEN} >= {"format_1", "format_1_hdf5"}


def test_a_store_of_an_earlier_release_is_read_as_it_was(golden):
    store, expected = golden
    assert list(store.keys) == expected["keys"]
    assert store.status.tolist() == expected["status"]
    assert list(store.text(range(len(store)))) == expected["barcodes"]
    for key, digest in expected["sha256"].items():
        assert hashlib.sha256(store.jpeg(key)).hexdigest() == digest
        assert hashlib.sha256(store[key].tobytes()).hexdigest() == expected["pixels"][key]
    assert json.loads(store.columns.to_pandas().to_json(orient="columns")) == expected["columns"]


def test_a_store_of_an_earlier_release_is_sound(golden):
    store, _ = golden
    assert not arraystore.verify(store.path, progress=False).problems
