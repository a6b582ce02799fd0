"""A store in HDF5 as h5py sees it, and what is refused when one is opened."""

import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from arraystore.errors import DamagedStoreError, FormatError, UnfinishedStoreError
from arraystore.format.arrays import IMAGE_DTYPES, KEY_DTYPES
from arraystore.format.base import KEY
from arraystore.format.columns import categorical
from arraystore.format.containers import is_hdf5, is_store, open_layout
from arraystore.format.hdf5 import is_hdf5_store
from arraystore.format.hdf5_arrays import Stored
from arraystore.format.hdf5_writer import Hdf5Writer
from arraystore.format.spec import FieldSpec, StoreSpec
from arraystore.format.writer import DataForm, Frame

N = 10


def make_store(path, n=N):
    writer = Hdf5Writer(path)
    writer.work_directory.mkdir()
    (writer.work_directory / "lock").touch()
    keys = np.array([f"k{row}" for row in range(n)], object)
    frame = Frame("processid", keys, {"order": categorical([0] * n, ["Diptera"])})
    writer.begin(n, {"image": DataForm("jpeg", 100_000, 65_536), KEY: DataForm("text", 9, 65_536)}, frame)
    for group, dtypes in {"image": IMAGE_DTYPES, KEY: KEY_DTYPES}.items():
        writer.write_index(group, {name: np.arange(n).astype(dtypes[name]) for name in dtypes if name != "data"})
    writer.commit(StoreSpec(n=n, fields=(FieldSpec("image", "jpeg"),)))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("made") / "s.h5")


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copyfile(made, tmp_path / "copy.h5")


def arrays_of(path):
    with h5py.File(path) as file:
        found = {}
        file.visititems(lambda name, node: found.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None)
        return found


def test_every_array_is_one_run_of_bytes_where_hdf5_says(made):
    layout, content = open_layout(made), made.read_bytes()
    for path, values in arrays_of(made).items():
        if path.startswith("columns/"):
            continue
        [(file, offset)], piece_nbytes, nbytes = layout.pieces(path)
        assert file == str(made)
        assert piece_nbytes == nbytes == values.nbytes
        assert content[offset : offset + nbytes] == values.tobytes()


def test_large_arrays_begin_at_a_page(made):
    [(_, offset)], *_ = open_layout(made).pieces("image/data")
    assert offset % 4096 == 0


def test_description_is_an_attribute_of_text(made):
    with h5py.File(made) as file:
        attribute = json.loads(file.attrs["arraystore"])
    assert attribute["n"] == N
    assert set(attribute["checksums"]) == set(arrays_of(made)) - {"image/data", "key/data"}


def test_two_files_of_the_same_content_are_equal(made, tmp_path):
    assert make_store(tmp_path / "other.h5").read_bytes() == made.read_bytes()


def test_object_headers_have_no_checksums_that_an_overwrite_would_break(made):
    content = made.read_bytes()
    # Superblock version 0; "OHDR" begins an object header of version 2.
    assert content[8] == 0
    assert b"OHDR" not in content


def test_store_is_known_by_its_content_and_not_by_its_name(made, tmp_path):
    path = shutil.copyfile(made, tmp_path / "renamed")
    assert open_layout(path).spec.n == N
    assert is_hdf5(path)
    assert is_hdf5_store(path)


def test_empty_store_has_arrays_without_a_place(tmp_path):
    layout = open_layout(make_store(tmp_path / "s.h5", n=0))
    assert layout.pieces("image/offset") == ([], 0, 0)
    assert layout.column_names == ("order",)


# ---- what is no store ----


def test_only_what_is_ours_or_cannot_be_told_is_a_store(made, tmp_path):
    """All other HDF5 files may be a source; of the rest, `open_layout` says what is wrong."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    (tmp_path / "text.h5").write_text("x")
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "text").write_text("x")
    assert [is_store(tmp_path / name) for name in ("other.h5", "folder.h5", "text", "none.h5")] == [False] * 4
    assert is_store(made)
    assert is_store(tmp_path / "text.h5")


def test_nothing_there_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.h5"):
        open_layout(tmp_path / "none.h5")


def test_unfinished_store_says_to_run_the_same_command(made, tmp_path):
    (tmp_path / "s.h5.ingest").mkdir()
    (tmp_path / "s.h5.ingest/lock").touch()
    assert is_hdf5_store(tmp_path / "s.h5")
    with pytest.raises(UnfinishedStoreError, match="run the same ingest command again"):
        open_layout(tmp_path / "s.h5")
    shutil.copyfile(made, tmp_path / "s.h5")
    assert open_layout(tmp_path / "s.h5").spec.n == N


def test_file_that_was_only_laid_out_is_unfinished(tmp_path):
    writer = Hdf5Writer(tmp_path / "s.h5")
    writer.work_directory.mkdir()
    keys = np.array(["a"], object)
    writer.begin(1, {"image": DataForm("jpeg", 5, 65_536), KEY: DataForm("text", 1, 65_536)}, Frame("id", keys, {}))
    with pytest.raises(UnfinishedStoreError):
        open_layout(writer.work_directory / "partial.h5")


def test_file_of_somebody_else_is_no_store(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with h5py.File(tmp_path / "block.h5", "w", userblock_size=1024) as file:
        file.attrs["arraystore"] = "{}"
    for name in ("other.h5", "block.h5"):
        with pytest.raises(FormatError, match="not an arraystore") as caught:
            open_layout(tmp_path / name)
        assert caught.value.code == "not-an-arraystore"
        assert is_hdf5(tmp_path / name)
    assert not is_hdf5_store(tmp_path / "other.h5")


@pytest.mark.parametrize("content", [b"", b"x" * 600, b"\x89HDF\r\n\x1a\n" + b"x" * 600])
def test_what_is_no_hdf5_file_is_a_format_error(content, tmp_path):
    path = tmp_path / "s.h5"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="not an HDF5 file"):
        open_layout(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9999])
def test_truncated_file_is_damage(copy, part):
    with copy.open("r+b") as file:
        file.truncate(int(copy.stat().st_size * part))
    with pytest.raises(DamagedStoreError, match="cut short: restore it from a copy"):
        open_layout(copy)


@pytest.mark.parametrize(
    "value", ["{", "[]", "[" * 100_000, 5, '{"format_version": 99}', np.void(b"x"), h5py.Empty("S1")]
)
def test_description_that_is_none_is_a_format_error(copy, value):
    with h5py.File(copy, "r+", libver="latest") as file:
        file.attrs["arraystore"] = value
    with pytest.raises(FormatError, match=str(copy)):
        open_layout(copy)


# ---- open for writing ----

WRITE = """
import sys, h5py
file = h5py.File(sys.argv[1], "r+", libver=sys.argv[2])
file.attrs["x"] = 1
file.flush()
print("open", flush=True)
sys.stdin.read()
"""


def start_writer(path, libver):
    command = [sys.executable, "-c", WRITE, str(path), libver]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "open\n"
    return writer


def test_file_that_another_process_writes_is_refused_with_a_way_out(copy):
    with start_writer(copy, "earliest") as writer:
        with pytest.raises(FormatError, match="open for writing.*close it there") as caught:
            open_layout(copy)
        assert caught.value.code == "being-written"
        writer.stdin.close()
    assert open_layout(copy).spec.n == N


def test_file_that_a_killed_writer_left_marked_is_refused_with_a_way_out(tmp_path):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["arraystore"] = "{}"
    with start_writer(path, "latest") as writer:
        writer.kill()
    with pytest.raises(FormatError, match="killed.*h5clear -s") as caught:
        open_layout(path)
    assert caught.value.code == "being-written"


# ---- hostile files ----


def replaced(make):
    """Put another data set in the place of `image/offset`."""

    def change(file):
        del file["image/offset"]
        make(file["image"])

    return change


def contiguous(group, dtype="<u8", shape=(N,), time=None):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(time or h5py.h5d.ALLOC_TIME_EARLY)
    kind, space = h5py.h5t.py_create(np.dtype(dtype)), h5py.h5s.create_simple(shape)
    h5py.h5d.create(group.id, b"offset", kind, space, dcpl=properties)


def compact(group):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(group.id, b"offset", h5py.h5t.STD_U64LE, h5py.h5s.create_simple((N,)), dcpl=properties)


def virtual(group):
    layout = h5py.VirtualLayout((N,), "<u8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (N,))
    group.create_virtual_dataset("offset", layout)


HOSTILE = {
    "missing": (replaced(lambda _: None), "no data set image/offset"),
    "a group": (replaced(lambda group: group.create_group("offset")), "a group"),
    "a type": (replaced(lambda group: group.__setitem__("offset", np.dtype("u8"))), "found"),
    "wrong type": (replaced(lambda group: contiguous(group, "<u4")), "expected type <u8, found <u4"),
    "big-endian": (replaced(lambda group: contiguous(group, ">u8")), "expected type <u8, found >u8"),
    "floats": (replaced(lambda group: contiguous(group, "<f8")), "expected type <u8, found <f8"),
    "strings": (replaced(lambda group: group.create_dataset("offset", (N,), h5py.string_dtype())), "strings"),
    "wrong length": (
        replaced(lambda group: contiguous(group, shape=(N + 1,))),
        r"expected shape \(10,\), found \(11,\)",
    ),
    "two dimensions": (replaced(lambda group: contiguous(group, shape=(N, 1))), "expected shape"),
    "no dimension": (replaced(lambda group: group.create_dataset("offset", data=np.uint64(1))), "expected shape"),
    "no shape": (replaced(lambda group: group.create_dataset("offset", data=h5py.Empty("<u8"))), "no shape"),
    "chunks": (replaced(lambda group: group.create_dataset("offset", (N,), "<u8", chunks=(5,))), "found chunks"),
    "compressed": (replaced(lambda group: group.create_dataset("offset", (N,), "<u8", compression="gzip")), "chunks"),
    "compact": (replaced(compact), "found a compact one"),
    "virtual": (replaced(virtual), "virtual"),
    "no place": (replaced(lambda group: contiguous(group, time=h5py.h5d.ALLOC_TIME_LATE)), "80 bytes.*found none"),
    "external storage": (
        replaced(lambda group: group.create_dataset("offset", (N,), "<u8", external=[("/etc/passwd", 0, 80)])),
        "storage in other files",
    ),
    "external link": (
        replaced(lambda group: group.__setitem__("offset", h5py.ExternalLink("/etc/passwd", "x"))),
        "found a link",
    ),
    "soft link": (replaced(lambda group: group.__setitem__("offset", h5py.SoftLink("/key/hash"))), "found a link"),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_array_of_another_form_is_refused_by_name(copy, change, message):
    with h5py.File(copy, "r+") as file:
        change(file)
    layout = open_layout(copy)
    with pytest.raises(FormatError, match=message) as caught:
        layout.pieces("image/offset")
    assert "image/offset" in str(caught.value)
    assert layout.pieces("image/nbytes")[2] == 4 * N


def test_array_beyond_the_end_of_the_file_is_refused(copy):
    layout = open_layout(copy)
    [(_, offset)], *_ = layout.pieces("image/offset")
    content = bytearray(copy.read_bytes())
    # The message of the layout holds offset and length, as little-endian 64-bit numbers.
    place = offset.to_bytes(8, "little") + (8 * N).to_bytes(8, "little")
    assert content.count(place) == 1
    at = content.index(place)
    for hostile in (len(content) - 79, 2**62):
        content[at : at + 8] = hostile.to_bytes(8, "little")
        copy.write_bytes(content)
        with pytest.raises(FormatError, match=r"image/offset.*(beyond the end of the file|invalid dataset size)"):
            open_layout(copy).pieces("image/offset")
        assert open_layout(copy).pieces("image/nbytes")[2] == 4 * N


def test_bytes_beyond_the_end_of_the_file_are_refused_by_us_too():
    """HDF5 2 compares them itself, older versions do not."""
    for stored in (Stored("<u8", (N,), 100), Stored("<u8", (2**61,), 0), Stored("<u8", (N,), 2**64 - 2)):
        with pytest.raises(FormatError, match="image/offset.*beyond the end of the file of 179 bytes"):
            stored.place("image/offset", "uint64", (None,), 179)
    assert Stored("<u8", (N,), 99).place("image/offset", "uint64", (N,), 179) == (99, 80)


def test_any_flipped_byte_is_an_error_of_ours_or_none(copy):
    """Whatever the header says, nothing but our errors come out of it."""
    original = copy.read_bytes()
    rng = np.random.default_rng(1)
    with h5py.File(copy) as file:
        end = file["image/data"].id.get_offset()
    # The text of the description is long and is tested above.
    places = [*range(96, 800, 3), *rng.integers(66_500, end, 300).tolist()]
    for at in places:
        content = bytearray(original)
        content[at] ^= 1 << int(rng.integers(8))
        copy.write_bytes(content)
        try:
            layout = open_layout(copy)
            for path in layout.arrays:
                layout.pieces(path)
        except (FormatError, DamagedStoreError):
            pass
