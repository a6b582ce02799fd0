"""The publishers' HDF5 files: every byte of every data set comes out, whatever form it has there."""

import io
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import arraystore
from arraystore import _core
from arraystore.errors import DuplicateKeyError, SourceChangedError, SourceError
from arraystore.format.containers import open_layout
from arraystore.sources.archive import scan_sources
from arraystore.sources.hdf5_members import is_hdf5, scan_hdf5
from arraystore.testing import insect_jpeg, make_bioscan1m, make_large_hdf5
from arraystore.testing.hdf5 import write_image_hdf5

JPEGS = {f"{4_286_925 + i}.jpg": insect_jpeg((3, i), height=48, width=40 + 8 * i) for i in range(4)}


def ppm(jpeg: bytes) -> bytes:
    """By Pillow: the pixels of a JPEG as a binary PPM."""
    out = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).convert("RGB").save(out, "PPM")
    return out.getvalue()


def pixels(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))


def records(store: Path) -> dict[str, bytes]:
    with arraystore.open(store) as opened:
        return {key: opened.jpeg(key) for key in opened.keys}


@pytest.mark.parametrize("values", ["string", "bytes", "pixels"])
@pytest.mark.parametrize("in_group", [True, False])
def test_every_image_of_bioscan1m_is_found_by_its_processid(tmp_path, values, in_group):
    made = make_bioscan1m(tmp_path, 9, form="hdf5", values=values, in_group=in_group, distinct=3)
    report = arraystore.ingest(made.sources, tmp_path / "s.zarr", check="pixels", metadata=made.metadata)
    assert (report.package, report.images, report.troubles) == ("cropped_256", 9, {})
    assert open_layout(tmp_path / "s.zarr").spec.dataset == "BIOSCAN-1M"
    whole = {key: made.jpegs[file] for key, file in made.files.items()}
    assert records(tmp_path / "s.zarr") == {
        key: ppm(jpeg) if values == "pixels" else jpeg for key, jpeg in whole.items()
    }
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert all(np.array_equal(store[key], pixels(jpeg)) for key, jpeg in whole.items())
    assert arraystore.verify(tmp_path / "s.zarr").ok


def test_table_is_found_beside_the_file(tmp_path):
    made = make_bioscan1m(tmp_path, 6, form="hdf5", package="original_256", distinct=2)
    report = arraystore.ingest(made.sources, tmp_path / "s.zarr")
    assert (report.package, report.metadata, report.troubles) == ("original_256", made.metadata, {})


@pytest.mark.parametrize("userblock", [0, 512])
def test_trailing_zeros_are_kept(tmp_path, userblock):
    contents = {f"{n}.jpg": insect_jpeg(0, height=24, width=24) + bytes(n) for n in (0, 1, 7)}
    with h5py.File(tmp_path / "z.hdf5", "w", userblock_size=userblock) as file:
        for name, jpeg in contents.items():
            file.create_dataset(name, data=np.asarray(jpeg))
            file.create_dataset(f"o{name}", data=np.void(jpeg))
        assert file["7.jpg"][()] != contents["7.jpg"]
    arraystore.ingest(tmp_path / "z.hdf5", tmp_path / "s.zarr")
    found = records(tmp_path / "s.zarr")
    assert {f"{key}.jpg": jpeg for key, jpeg in found.items() if key[0] != "o"} == contents
    assert {f"{key[1:]}.jpg": jpeg for key, jpeg in found.items() if key[0] == "o"} == contents


def test_members_are_named_and_lie_in_the_order_of_the_file(tmp_path):
    path = write_image_hdf5(tmp_path / "original_256.hdf5", dict(reversed(JPEGS.items())))
    members = scan_hdf5(path)
    assert [members.path(i) for i in range(4)] == [f"{path}/bioscan_dataset/{name}" for name in reversed(JPEGS)]
    assert [members.read(i) for i in range(4)] == list(JPEGS.values())[::-1]
    assert np.asarray(members.encoding).tolist() == [0] * 4


def odd_file(path: Path) -> Path:
    """One data set in each form that has no place in the file, and what is none."""
    jpeg = np.frombuffer(JPEGS["4286925.jpg"], np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("plain.jpg", data=jpeg)
        file.create_dataset("gzip.jpg", data=jpeg, chunks=(100,), compression="gzip")
        file.create_dataset("chunked.jpg", data=pixels(JPEGS["4286926.jpg"]), chunks=(8, 8, 3))
        file.create_dataset("grey.jpg", data=pixels(JPEGS["4286927.jpg"])[..., 0])
        file.create_dataset("variable.jpg", data=JPEGS["4286925.jpg"].replace(b"\0", b"\1"))
        external = file.create_dataset(
            "external.jpg", shape=(len(jpeg),), dtype="u1", external=[(str(path) + ".e", 0, len(jpeg))]
        )
        external[:] = jpeg
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(jpeg.shape)
        h5py.h5d.create(file.id, b"compact.jpg", h5py.h5t.STD_U8LE, space, compact).write(space, space, jpeg)
        file.create_dataset("nothing.jpg", data=np.asarray(b""))
        file.create_dataset("unwritten.jpg", shape=(10,), dtype="u1")
        file.create_dataset("null.jpg", data=h5py.Empty("S5"))
        file.create_dataset("floats.jpg", data=np.zeros(5))
        file.create_dataset("labels", data=np.arange(4, dtype=np.uint8))
        file["soft.jpg"] = h5py.SoftLink("/plain.jpg")
        file["external_link.jpg"] = h5py.ExternalLink("/etc/passwd", "/x")
        file.create_group("deep")["again"] = file["/"]
        file["deep"].create_dataset("deep.jpg", data=jpeg)
    return path


def test_what_has_no_place_in_the_file_is_ingested_nevertheless(tmp_path):
    path = odd_file(tmp_path / "odd.h5")
    report = arraystore.ingest(path, tmp_path / "s.zarr", check="pixels")
    jpeg = JPEGS["4286925.jpg"]
    with arraystore.open(tmp_path / "s.zarr") as store:
        for key in ("plain", "gzip", "external", "compact", "deep"):
            assert store.jpeg(key) == jpeg, key
        assert store.jpeg("chunked") == ppm(JPEGS["4286926.jpg"])
        assert store.jpeg("variable") == jpeg.replace(b"\0", b"\1")
        assert np.array_equal(store["grey"], np.repeat(pixels(JPEGS["4286927.jpg"])[..., :1], 3, 2))
        assert Image.open(io.BytesIO(store.jpeg("grey"))).mode == "L"
        assert set(store.keys) == {
            *("plain", "gzip", "external", "compact", "deep", "chunked", "variable", "grey"),
            *("nothing", "unwritten", "null"),
        }
    assert report.status["empty"] == 3
    assert report.troubles["unusable-file"] == 3
    listed = (tmp_path / "s.zarr.troubles.csv").read_text()
    assert 'floats.jpg,"expected the bytes of an image, or its pixels, found float64 of the shape (5,)"' in listed
    assert "soft.jpg,a soft or external link" in listed
    assert "labels" in listed


def test_a_scan_alone_lists_what_it_cannot_read_in_place(tmp_path):
    members = scan_sources([odd_file(tmp_path / "odd.h5")])
    reasons = {Path(path).stem: reason.split(":")[0] for path, reason in members.skipped if "in place" in reason}
    assert reasons == {
        "gzip": "chunked",
        "chunked": "chunked",
        "compact": "compact",
        "variable": "of variable length",
        "external": "external",
    }
    assert all(members.read(i) is not None for i in range(len(members)))


def test_a_damaged_chunk_costs_only_its_record(tmp_path, caplog):
    path = odd_file(tmp_path / "odd.h5")
    with h5py.File(path) as file:
        place = file["gzip.jpg"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 8)
    report = arraystore.ingest(path, tmp_path / "s.zarr")
    assert report.status["unreadable"] == 1
    assert "gzip.jpg cannot be read" in caplog.text
    assert records_but(tmp_path / "s.zarr", "gzip")["chunked"] == ppm(JPEGS["4286926.jpg"])


def records_but(store: Path, *without: str) -> dict[str, bytes]:
    with arraystore.open(store) as opened:
        missing = {*without, "nothing", "unwritten", "null"}
        return {key: opened.jpeg(key) for key in opened.keys if key not in missing}


def test_crops_beside_their_originals_are_a_package_of_their_own(tmp_path):
    crops = {f"CROPPED_{name}": insect_jpeg((9, i), height=24, width=24) for i, name in enumerate(JPEGS)}
    path = write_image_hdf5(tmp_path / "original_256.hdf5", {**JPEGS, **crops})
    report = arraystore.ingest(path, tmp_path / "o.zarr")
    assert (report.package, report.images, report.images_left_out) == ("original_256", 4, 4)
    assert {f"{key}.jpg": jpeg for key, jpeg in records(tmp_path / "o.zarr").items()} == JPEGS
    report = arraystore.ingest(path, tmp_path / "c.zarr", package="cropped_256")
    assert (report.package, report.images, report.images_left_out) == ("cropped_256", 4, 4)
    assert {f"CROPPED_{key}.jpg": jpeg for key, jpeg in records(tmp_path / "c.zarr").items()} == crops


def test_any_other_hdf5_of_jpegs_is_a_folder(tmp_path):
    path = write_image_hdf5(tmp_path / "Summer.h5", {"a.jpg": JPEGS["4286925.jpg"]}, group="mine")
    (tmp_path / "t.csv").write_text("file,place\na.jpg,garden\n")
    report = arraystore.ingest(path, tmp_path / "s.zarr", metadata=tmp_path / "t.csv")
    assert (report.package, report.troubles) == ("Summer", {})
    assert open_layout(tmp_path / "s.zarr").spec.dataset == "folder"
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert store.columns["place"][store.row("a.jpg")] == "garden"


def test_hdf5_zips_and_folders_are_one_source(tmp_path):
    contents = {name: {f"{name}.jpg": insect_jpeg((5, i), height=24, width=24)} for i, name in enumerate("abc")}
    write_image_hdf5(tmp_path / "a.hdf5", contents["a"], group="")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/b.jpg").write_bytes(contents["b"]["b.jpg"])
    write_image_hdf5(tmp_path / "c.hdf5", contents["c"], values="bytes", group="")
    sources = [tmp_path / "a.hdf5", tmp_path / "b", tmp_path / "c.hdf5"]
    members = scan_sources(sources)
    assert members.sources == [str(path) for path in sources]
    assert [Path(members.path(i)).stem for i in range(3)] == ["a", "b", "c"]
    arraystore.ingest(sources, tmp_path / "s.zarr")
    assert {f"{key}.jpg": jpeg for key, jpeg in records(tmp_path / "s.zarr").items()} == {
        name: jpeg for each in contents.values() for name, jpeg in each.items()
    }


def test_equal_duplicates_are_merged_and_others_refused(tmp_path):
    path = write_image_hdf5(tmp_path / "a.hdf5", {"a.jpg": JPEGS["4286925.jpg"]}, group="mine")
    with h5py.File(path, "a") as file:
        file.create_dataset("a.jpg", data=np.frombuffer(JPEGS["4286925.jpg"], np.uint8))
    assert arraystore.ingest(path, tmp_path / "s.zarr").images == 1
    with h5py.File(path, "a") as file:
        file["a.jpg"][0] = 7
    with pytest.raises(DuplicateKeyError, match=r"a\.hdf5/mine/a\.jpg and .*a\.hdf5/a\.jpg"):
        arraystore.ingest(path, tmp_path / "t.zarr")


def test_a_changed_file_is_another_source(tmp_path):
    path = write_image_hdf5(tmp_path / "a.hdf5", JPEGS, group="")
    before = scan_hdf5(path)
    rows = np.arange(4, dtype=np.uint64)
    assert before.fingerprint(rows) == scan_hdf5(path).fingerprint(rows)
    before.check_unchanged()
    with h5py.File(path, "a") as file:
        file["4286925.jpg"][()] = np.bytes_(b"x")
    os.utime(path, ns=(1, 1))
    assert before.fingerprint(rows) != scan_hdf5(path).fingerprint(rows)
    with pytest.raises(SourceChangedError, match=r"a\.hdf5 has changed"):
        before.check_unchanged()


def test_a_file_that_is_written_to_meanwhile_is_no_finished_store(tmp_path, monkeypatch):
    path = write_image_hdf5(tmp_path / "a.hdf5", JPEGS, group="")
    pack = _core.pack

    def disturbed(*arguments, **options):
        os.utime(path, ns=(1, 1))
        return pack(*arguments, **options)

    monkeypatch.setattr(_core, "pack", disturbed)
    with pytest.raises(SourceChangedError, match="written to meanwhile"):
        arraystore.ingest(path, tmp_path / "s.zarr")
    with pytest.raises(arraystore.errors.UnfinishedStoreError):
        arraystore.open(tmp_path / "s.zarr")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.hdf5", b"", "expected an HDF5 file, found an empty file"),
        ("a.h5", b"PK\3\4 and so on", "expected an HDF5 file, found something else"),
        ("a.hdf5", None, "the HDF5 file is cut short: fetch it again"),
        ("noname", None, "the HDF5 file is cut short: fetch it again"),
    ],
)
def test_what_is_no_whole_hdf5_file_is_told(tmp_path, name, content, message):
    path = tmp_path / name
    if content is None:
        content = write_image_hdf5(path, JPEGS, group="").read_bytes()[:-100]
    path.write_bytes(content)
    with pytest.raises(SourceError, match=f"{name}: {message}"):
        arraystore.ingest(path, tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_a_file_that_is_being_written_is_told(tmp_path):
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'w'); f['a.jpg'] = [1]; f.flush(); print('ready', flush=True)"
    code += "; input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.hdf5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "ready\n"
        with pytest.raises(SourceError, match=r"a\.hdf5: the HDF5 file is open for writing in another process"):
            arraystore.ingest(tmp_path / "a.hdf5", tmp_path / "s.zarr")
        writer.communicate("\n")


def test_a_store_is_no_source(tmp_path):
    path = write_image_hdf5(tmp_path / "a.hdf5", JPEGS, group="")
    arraystore.ingest(path, tmp_path / "s.zarr")
    with pytest.raises(SourceError, match=r"s\.zarr is a store already"):
        arraystore.ingest(tmp_path / "s.zarr", tmp_path / "t.zarr")
    with h5py.File(path, "a") as file:
        file.attrs["arraystore"] = "{}"
    with pytest.raises(SourceError, match=r"a\.hdf5 is a store already"):
        arraystore.ingest(path, tmp_path / "t.zarr")


def test_hdf5_is_known_by_its_name_or_its_beginning(tmp_path):
    path = write_image_hdf5(tmp_path / "a.hdf5", {}, group="")
    path.rename(tmp_path / "bare")
    (tmp_path / "b.H5").write_bytes(b"")
    (tmp_path / "c.zip").write_bytes(b"PK")
    assert [is_hdf5(tmp_path / name) for name in ("bare", "b.H5", "c.zip", "", "absent.h5")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    with pytest.raises(FileNotFoundError, match=r"absent\.h5"):
        arraystore.ingest(tmp_path / "absent.h5", tmp_path / "s.zarr")


def test_pixels_are_read_as_a_jpeg_of_them_would_be(tmp_path):
    contents = {f"{i}.jpg": insect_jpeg((8, i), height=70 + i, width=90 - i) for i in range(5)}
    arraystore.ingest(write_image_hdf5(tmp_path / "p.h5", contents, values="pixels", group=""), tmp_path / "p.zarr")
    arraystore.ingest(write_image_hdf5(tmp_path / "j.h5", contents, group=""), tmp_path / "j.zarr")
    with arraystore.open(tmp_path / "p.zarr") as one, arraystore.open(tmp_path / "j.zarr") as other:
        assert list(one.keys) == list(other.keys)
        options = {"size": 40, "scale": (0.1, 1.0), "flip": 0.5, "seed": 4}
        np.testing.assert_array_equal(one.crops(slice(None), **options), other.crops(slice(None), **options))
        boxes = np.array([[3, 5, 30, 21]] * 5)
        for found, expected in zip(
            one.read_boxes(slice(None), boxes, size=None), other.read_boxes(slice(None), boxes, size=None), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(one.sizes(slice(None)), other.sizes(slice(None)))


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"P6\n99999 2\n255\n", "not-a-jpeg"),
        (b"P6\n4 4\n255\nabc", "truncated"),
        (b"P5\n1 1\n255\nabc", "corrupt"),
        (b"P6\n65535 65535\n255\n", "truncated"),
    ],
)
def test_hostile_pixmaps_are_kept_and_not_decoded(tmp_path, content, status):
    path = write_image_hdf5(tmp_path / "a.h5", {"a.jpg": content, "b.jpg": JPEGS["4286925.jpg"]}, group="")
    assert arraystore.ingest(path, tmp_path / "s.zarr").status == {"sound": 1, status: 1}
    with arraystore.open(tmp_path / "s.zarr") as store:
        assert store.jpeg("a") == content
        with pytest.raises(arraystore.errors.DecodeError):
            store["a"]


def test_the_large_file_is_as_it_says(tmp_path):
    members = scan_hdf5(make_large_hdf5(tmp_path / "large.hdf5", 40))
    assert len(members) == 40
    with h5py.File(tmp_path / "large.hdf5") as file:
        for i in range(40):
            assert members.read(i) == np.array(file[members.path(i).split(".hdf5/")[1]]).tobytes()
    with pytest.raises(ValueError, match="smallest"):
        make_large_hdf5(tmp_path / "l.hdf5", 1, nbytes=10)
