"""The publishers' HDF5 files are opened as they are."""

import numpy as np
import pytest

import arraystore
from arraystore.errors import SourceError
from arraystore.testing import make_bioscan1m
from arraystore.testing.hdf5 import write_clibd_hdf5


@pytest.mark.parametrize("values", ["string", "bytes", "pixels"])
def test_a_file_of_bioscan1m_is_read_like_its_store(tmp_path, values):
    made = make_bioscan1m(tmp_path, 9, form="hdf5", values=values, distinct=3)
    arraystore.ingest(made.sources, tmp_path / "s.zarr")
    with arraystore.open(made.sources[0]) as source, arraystore.open(tmp_path / "s.zarr") as store:
        assert list(source.keys) == list(store.keys) == list(made.files)
        rows = slice(None)
        assert source.jpeg(rows) == store.jpeg(rows)
        np.testing.assert_array_equal(source.sizes(rows), store.sizes(rows))
        options = {"size": 64, "scale": (0.1, 1.0), "seed": 2, "flip": 0.5}
        np.testing.assert_array_equal(source.crops(rows, **options), store.crops(rows, **options))
        for found, expected in zip(source.read(rows), store.read(rows), strict=True):
            np.testing.assert_array_equal(found, expected)
        assert len(source.select(large_diptera_family="train")) == len(store.select(large_diptera_family="train"))


def test_clibd_is_for_an_ingest_only(tmp_path):
    row = {"sampleid": "BIOUG1-A01", "barcode": "ACGT"}
    path = write_clibd_hdf5(tmp_path / "a.hdf5", {"all_keys": [row]}, {})
    with pytest.raises(SourceError, match="only an ingest reads"):
        arraystore.open(path)
