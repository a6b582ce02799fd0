"""Runs the examples of README, docs and docstrings, in a folder with a small BIOSCAN-5M package and its store."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# PyTorch is too large for a test to bring it along: what needs it is tested where it is installed.
NO_TORCH = find_spec("torch") is None
collect_ignore = ["arraystore/integrations/torch"] if NO_TORCH else []


def _names_of_examples(namespace: dict[str, Any]) -> None:
    """Set what `skip: next if(...)` in a document may ask for."""
    namespace["no_torch"] = NO_TORCH


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `bioscan5m/` (200 images), its stores `cropped_256.zarr` and `.h5`, and `biosr.zarr`."""
    import arraystore
    from arraystore.testing.biosr import make_biosr
    from arraystore.testing.packages import make_bioscan5m

    folder = tmp_path_factory.mktemp("examples")
    package = make_bioscan5m(folder, 200)
    for store in ("cropped_256.zarr", "cropped_256.h5"):
        arraystore.ingest(package.sources(), folder / store, metadata=package.metadata, progress=False)
    arraystore.ingest(make_biosr(folder).root, folder / "biosr.zarr", progress=False)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _cache_folder_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep indexes of sources out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARRAYSTORE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def in_example_folder(example_folder: Path) -> Iterator[Path]:
    """Change to the folder of examples while an example runs."""
    before = Path.cwd()
    os.chdir(example_folder)
    yield example_folder
    os.chdir(before)


@pytest.fixture(autouse=True)
def _docstring_runs_in_example_folder(request: pytest.FixtureRequest) -> None:
    """Make the folder only for docstrings that open something in it."""
    if isinstance(request.node, pytest.DoctestItem):
        source = "".join(example.source for example in request.node.dtest.examples)
        if "cropped_256.zarr" in source or "biosr.zarr" in source:
            request.getfixturevalue("in_example_folder")


# ```python blocks are run, one after another within a file; blocks of other languages are not.
pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["*.md"],
    setup=_names_of_examples,
    fixtures=["in_example_folder"],
).pytest()
