"""What an HDF5 file is laid out for, what of its description there is room for, and when it is laid out anew."""

import json
import os
import shutil

import h5py
import numpy as np
import pytest

from arraystore.errors import InvalidRequestError
from arraystore.format.base import KEY
from arraystore.format.columns import NumericColumn, categorical
from arraystore.format.hdf5_plan import (
    ATTRIBUTE_NBYTES,
    check_room,
    lay_out,
    read_plan,
    remove_plan,
    spec_text,
    write_plan,
)
from arraystore.format.hdf5_writer import Hdf5Writer
from arraystore.format.spec import FieldSpec, StoreSpec
from arraystore.format.writer import DataForm, Frame

DATA = {"image": DataForm("jpeg", 3 << 40, 1 << 28), KEY: DataForm("text", 9, 65_536)}


def frame(columns=3, n=2):
    keys = np.array([f"k{row}" for row in range(n)], object)
    return Frame("processid", keys, {f"column-{i}": categorical([0] * n, ["a"]) for i in range(columns)})


def spec(**entries):
    return StoreSpec(n=2, fields=(FieldSpec("image", "jpeg"),), **entries)


@pytest.fixture
def place(tmp_path):
    """A file that is laid out, and the directory of its plan."""
    file = tmp_path / "partial.h5"
    write_plan(tmp_path, file, lay_out(file, 2, DATA, frame()))
    return tmp_path, file


def test_file_is_sparse_and_as_long_as_it_will_be(place):
    directory, file = place
    plan = read_plan(directory, file, 2, DATA, frame())
    assert file.stat().st_size > plan.offsets["image/data"] + (3 << 40)
    assert file.stat().st_blocks * 512 < 1 << 20
    with h5py.File(file) as opened:
        assert opened["image/data"].id.get_offset() == plan.offsets["image/data"]
        assert "unfinished" in json.loads(opened.attrs["arraystore"])
    with file.open("rb") as opened:
        opened.seek(plan.attribute)
        assert opened.read(ATTRIBUTE_NBYTES).rstrip().endswith(b"}")


def test_attribute_that_is_overwritten_is_what_hdf5_reads(place):
    directory, file = place
    plan = read_plan(directory, file, 2, DATA, frame())
    with file.open("r+b") as opened:
        opened.seek(plan.attribute)
        opened.write(b"x" * ATTRIBUTE_NBYTES)
    with h5py.File(file) as opened:
        assert opened.attrs["arraystore"] == b"x" * ATTRIBUTE_NBYTES


def test_plan_of_the_same_file_is_kept(place):
    directory, file = place
    assert read_plan(directory, file, 2, DATA, frame()) is not None
    remove_plan(directory)
    assert read_plan(directory, file, 2, DATA, frame()) is None


@pytest.mark.parametrize(
    "asked",
    [
        (3, DATA, frame(n=3)),
        (2, {**DATA, "image": DataForm("jpeg", 5, 1 << 28)}, frame()),
        (2, {KEY: DATA[KEY]}, frame()),
        (2, DATA, frame(columns=2)),
        (2, DATA, Frame("id", frame().index, frame().columns)),
    ],
)
def test_plan_for_another_content_is_none(place, asked):
    directory, file = place
    assert read_plan(directory, file, *asked) is None


def test_plan_of_another_file_is_none(place):
    directory, file = place
    original = directory / "original.h5"
    file.rename(original)
    assert read_plan(directory, file, 2, DATA, frame()) is None
    file.write_bytes(b"x")
    os.truncate(file, original.stat().st_size)
    assert read_plan(directory, file, 2, DATA, frame()) is None
    original.replace(file)
    assert read_plan(directory, file, 2, DATA, frame()) is not None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"plan": {"x": 1}, "identity": []}', b'{"plan": {}}'])
def test_damaged_plan_is_none(place, content):
    directory, file = place
    (directory / "layout.json").write_bytes(content)
    assert read_plan(directory, file, 2, DATA, frame()) is None


def test_journals_of_a_file_that_is_laid_out_anew_are_removed(tmp_path):
    writer = Hdf5Writer(tmp_path / "s.h5")
    journal = writer.work_directory / "image.journal/0"
    data = {"image": DataForm("jpeg", 5, 65_536), KEY: DataForm("text", 4, 65_536)}

    def begin():
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.touch()
        Hdf5Writer(tmp_path / "s.h5").begin(2, data, frame())

    begin()
    assert not journal.parent.exists()
    begin()
    assert journal.exists()
    # A copy of the work directory has the bytes, but nobody knows how many of them were on the disk.
    shutil.copytree(writer.work_directory, tmp_path / "copied")
    shutil.rmtree(writer.work_directory)
    shutil.move(tmp_path / "copied", writer.work_directory)
    begin()
    assert not journal.parent.exists()


def test_too_many_columns_are_refused_before_anything_is_written(tmp_path):
    check_room(DATA, frame(columns=400))
    with pytest.raises(InvalidRequestError, match="checksums of 3,000 columns.*make a store in Zarr") as caught:
        check_room(DATA, frame(columns=3000))
    assert caught.value.code == "no-room"
    with pytest.raises(InvalidRequestError):
        Hdf5Writer(tmp_path / "s.h5").begin(2, DATA, frame(columns=3000))
    assert not list(tmp_path.iterdir())


def test_as_many_columns_as_there_is_room_for_are_written(tmp_path):
    count = next(
        count for count in range(1200, 200, -10) if _has_room(Frame("processid", frame().index, _numbers(count)))
    )
    plan = lay_out(tmp_path / "s.h5", 2, {KEY: DATA[KEY]}, Frame("processid", frame().index, _numbers(count)))
    whole, text = spec_text(spec(checksums={**plan.checksums, **dict.fromkeys(plan.offsets, 2**32 - 1)}))
    assert len(text) == ATTRIBUTE_NBYTES
    assert len(whole.checksums) > count > 300


def _numbers(count):
    return {f"some-long-name-of-a-column-{i}": NumericColumn(np.zeros(2)) for i in range(count)}


def _has_room(of):
    try:
        check_room(DATA, of)
    except InvalidRequestError:
        return False
    return True


def test_description_is_shortened_where_only_people_read_it():
    paths = [f"/some/where/part-{i}.zip" for i in range(5000)]
    whole, text = spec_text(spec(source={"paths": paths, "fingerprint": "ab"}, counts={"images": 1}))
    assert whole.source == {"fingerprint": "ab"}
    assert json.loads(text) == json.loads(json.dumps(whole.to_json()))
    counts = {"images": 1, "split": {f"split-{i}": i for i in range(9000)}}
    whole, text = spec_text(spec(source={"paths": paths}, counts=counts))
    assert whole.counts == {"images": 1}
    assert len(text) == ATTRIBUTE_NBYTES
    whole, _ = spec_text(spec(source={"paths": paths[:3]}, counts={"split": {"train": 1}}))
    assert (whole.source, whole.counts) == ({"paths": paths[:3]}, {"split": {"train": 1}})


def test_description_that_cannot_be_shortened_is_refused():
    with pytest.raises(InvalidRequestError, match="its description takes"):
        spec_text(spec(splits={f"split-{i}": ["x"] for i in range(9000)}))
