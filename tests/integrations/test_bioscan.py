"""`BIOSCAN5M` and `BIOSCAN1M` give what bioscan_dataset gives: as recorded, and as it does now where it is there."""

import importlib.util
import json
import warnings
from pathlib import Path

import pytest

import arraystore
from arraystore.integrations.bioscan import BIOSCAN1M, BIOSCAN5M

pytest.importorskip("pandas", reason="metadata is compared as data frames")

_spec = importlib.util.spec_from_file_location("record_bioscan", Path(__file__).with_name("record_bioscan.py"))
recorded = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recorded)

SIZES = {
    "5m": (BIOSCAN5M, recorded.CASES_5M, recorded.FAILURES_5M),
    "1m": (BIOSCAN1M, recorded.CASES_1M, recorded.FAILURES_1M),
}
CASES = [(size, name) for size, (_, cases, _) in SIZES.items() for name in cases]
FAILURES = [(size, number) for size, (_, _, failures) in SIZES.items() for number in range(len(failures))]
FORMS = ["tree", "zarr", "h5"]


class Published:
    """The published folders of both data sets, their pictures, and stores of them."""

    def __init__(self, folder):
        self.folder = folder
        self.roots = {size: folder / size for size in SIZES}
        self.pictures = {
            "5m": recorded.lay_out_5m(self.roots["5m"]),
            "1m": recorded.lay_out_1m(self.roots["1m"]),
        }
        self.expected = {
            size: json.loads((recorded.GOLDEN / f"expected_{size}.json").read_text(encoding="utf-8")) for size in SIZES
        }

    def root(self, size, form="tree"):
        if form == "tree":
            return self.roots[size]
        store = self.roots[size] / f"store.{form}"
        if not store.exists():
            images = next(self.roots[size].glob("bioscan?m/images/cropped_256"))
            arraystore.ingest(images, store, progress=False)
        return store

    def made(self, size, form="tree", **given):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return SIZES[size][0](self.root(size, form), **given)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return Published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module", params=SIZES)
def real(request, published):
    pytest.importorskip("bioscan_dataset", reason="bioscan-dataset, which needs PyTorch, is not installed")
    name = SIZES[request.param][0].__name__
    return request.param, recorded.peer(name, published.root(request.param))


def as_json(found):
    return json.loads(json.dumps(found))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("size", "case"), CASES)
def test_items_and_metadata_are_those_that_were_recorded(published, size, case, form):
    dataset = published.made(size, form, **recorded.arguments(SIZES[size][1][case]))
    found = as_json(recorded.described_dataset(dataset, published.pictures[size]))
    expected = published.expected[size]["cases"][case]
    for part in expected:
        assert found[part] == expected[part], part


@pytest.mark.parametrize(("size", "number"), FAILURES)
def test_what_failed_when_it_was_recorded_fails_alike(published, size, number):
    given = recorded.arguments(SIZES[size][2][number])
    assert recorded.failure(lambda: published.made(size, **given)) == published.expected[size]["failures"][number]


# What the peer warns of, and the files that it leaves open, are its own.
@pytest.mark.filterwarnings("ignore")
def test_the_real_package_gives_the_same_items(published, real):
    size, make = real
    expected = recorded.expected(make, *SIZES[size][1:], published.pictures[size])
    found = recorded.expected(lambda **given: published.made(size, **given), *SIZES[size][1:], published.pictures[size])
    assert found == expected


@pytest.mark.filterwarnings("ignore")
def test_the_real_package_has_the_same_data_frame(published, real):
    from pandas.testing import assert_frame_equal

    size, make = real
    for case in SIZES[size][1].values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            expected = make(**recorded.arguments(case)).metadata
        assert_frame_equal(published.made(size, **recorded.arguments(case)).metadata, expected)
