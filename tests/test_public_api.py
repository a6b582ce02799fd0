"""The public names: few, lazy, and what they say they are."""

import inspect

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


def test_ingest_is_a_function_whatever_was_imported_before():
    import arraystore.ingestion.verify

    assert inspect.isfunction(arraystore.ingest)
    assert inspect.isfunction(arraystore.verify)
