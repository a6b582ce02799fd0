"""The public names: few, lazy, and what they say they are."""

import subprocess
import sys

import pytest

import arraystore


def test_the_public_names_are_sorted_and_there():
    assert arraystore.__all__ == sorted(arraystore.__all__)
    assert set(arraystore.__all__) <= set(dir(arraystore))
    for name in arraystore.__all__:
        assert getattr(arraystore, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        arraystore.opne  # noqa: B018


@pytest.mark.parametrize(
    "first",
    ["import arraystore", "import arraystore.ingest.run", "import arraystore.ingest.plan", "import arraystore.cli"],
)
def test_ingest_is_called_whatever_was_imported_before(first):
    """The function has the name of a package, which Python binds over it when a module of it is imported."""
    code = (
        f"{first}; import arraystore; function = arraystore.ingest; import arraystore.ingest.run\n"
        "assert function is arraystore.ingest\n"
        "assert callable(arraystore.ingest.run.ingest)\n"
        "arraystore.ingest('/nowhere', 'x.zarr')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "FileNotFoundError" in run.stderr
