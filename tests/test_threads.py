"""Every call that uses threads takes their number from one place."""

import pytest

import arraystore
from arraystore.errors import InvalidRequestError
from arraystore.testing import make_bioscan5m
from arraystore.threads import ENVIRONMENT_VARIABLE, thread_count


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_bioscan5m(tmp_path_factory.mktemp("package"), n=8, distinct=2)


@pytest.fixture(scope="module")
def store(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    arraystore.ingest(package.sources(), path)
    return path


def test_ingest_verify_and_reading_heed_the_environment(package, store, tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "none")
    calls = (
        lambda: arraystore.ingest(package.sources(), tmp_path / "s.zarr"),
        lambda: arraystore.verify(store),
        lambda: arraystore.open(store).crops([0], 32),
    )
    for call in calls:
        with pytest.raises(InvalidRequestError, match=f"{ENVIRONMENT_VARIABLE}='none': .*remove the variable"):
            call()
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "2")
    for call in calls:
        call()


@pytest.mark.parametrize("wrong", [2.5, "2", True, 2**70, 0, -1])
def test_number_that_is_none_is_refused_with_advice(package, store, tmp_path, wrong):
    for call in (
        lambda: arraystore.ingest(package.sources(), tmp_path / "s.zarr", workers=wrong),
        lambda: arraystore.verify(store, workers=wrong),
    ):
        with pytest.raises(InvalidRequestError, match="leave workers away for all cores"):
            call()
    with pytest.raises(InvalidRequestError, match="leave threads away for all cores"):
        arraystore.open(store).crops([0], 32, threads=wrong)


@pytest.mark.parametrize(("cores", "readers"), [(1, 4), (2, 8), (8, 32), (16, 32), (64, 64)])
def test_files_are_read_by_more_threads_than_cores(monkeypatch, cores, readers):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr("arraystore.threads._usable_cores", lambda: cores)
    assert (thread_count(), thread_count(waiting=True)) == (cores, readers)
    assert thread_count(3, waiting=True) == 3
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "5")
    assert (thread_count(waiting=True), thread_count(3, waiting=True)) == (5, 3)


@pytest.mark.parametrize(("form", "workers", "expected"), [("tree", None, 8), ("zip-stored", None, 2), ("tree", 3, 3)])
def test_only_folders_are_read_so(tmp_path, monkeypatch, form, workers, expected):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr("arraystore.threads._usable_cores", lambda: 2)
    package = make_bioscan5m(tmp_path / "package", n=8, distinct=2, form=form)
    found, pack = [], arraystore._core.pack
    monkeypatch.setattr(
        arraystore._core, "pack", lambda *args, **options: found.append(options["threads"]) or pack(*args, **options)
    )
    arraystore.ingest(package.sources(), tmp_path / "s.zarr", workers=workers, progress=False)
    other = make_bioscan5m(tmp_path / "other", n=8, seed=1, distinct=2, form=form)
    assert set(found) == {expected}
    found.clear()
    arraystore.append(tmp_path / "s.zarr", other.sources(), workers=workers, progress=False)
    assert set(found) == {expected}
