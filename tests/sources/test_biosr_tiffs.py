"""TIFFs of all forms in a BioSR package: what is sound is kept to the bit, the rest is listed with its reason."""

import csv
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

import arraystore
from arraystore.errors import MissingImageError, SourceError
from arraystore.testing.biosr import make_biosr, tiff_bytes

tifffile = pytest.importorskip("tifffile")

SIDE = 32
KEY = "training/00000002"
PATCH = np.random.default_rng(0).random((SIDE, SIDE)).astype(np.float32)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_biosr(tmp_path_factory.mktemp("biosr"), 4, validate=1, test=1, side=SIDE)


@pytest.fixture
def changed(package, tmp_path):
    """A copy of the package, and the file of it that a test may change."""
    root = shutil.copytree(package.root, tmp_path / "BioSR")
    return root, root / f"Microtubules/{KEY.replace('/', '_wf/')}.tif"


def ingested(root, folder):
    report = arraystore.ingest(root, folder / "b.zarr", progress=False)
    lines = []
    if report.troubles_path is not None:
        with report.troubles_path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    return report, lines


@pytest.mark.parametrize(
    "form",
    [
        {"bigtiff": True},
        {"byteorder": ">", "compression": "zlib", "tile": (16, 16)},
        {"rowsperstrip": 7, "metadata": {"axes": "YX", "note": "x" * 5_000}},
    ],
    ids=["big", "tiles", "strips"],
)
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_sound_files_are_what_tifffile_reads(tmp_path, form, dtype):
    package = make_biosr(tmp_path, 3, validate=1, test=1, side=SIDE, dtype=dtype)
    path = package.root / "Microtubules/training_wf/00000002.tif"
    tifffile.imwrite(path, package.wf[KEY], **form)
    report, lines = ingested(package.root, tmp_path)
    assert (report.exit_code, lines) == (0, [])
    with arraystore.open(tmp_path / "b.zarr") as store:
        np.testing.assert_array_equal(store[KEY]["wf"], tifffile.imread(path))


# PackBits has no predictor.
@pytest.mark.parametrize(
    ("compression", "predictors"),
    [("tiff_lzw", (1, 2, 3)), ("packbits", (1,)), ("tiff_adobe_deflate", (1, 2, 3)), ("zstd", (1, 2, 3))],
)
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_compressed_files_are_what_libtiff_was_given(tmp_path, compression, predictors, dtype):
    package = make_biosr(tmp_path, 4, validate=1, test=1, side=SIDE, dtype=dtype)
    # Predictor 3 is for floats.
    fitting = [each for each in predictors if each != 3 or dtype == "float32"]
    for number, predictor in enumerate(fitting, 1):
        path = package.root / f"Microtubules/training_wf/{number:08d}.tif"
        Image.fromarray(package.wf[f"training/{number:08d}"]).save(
            path, compression=compression, tiffinfo={317: predictor}
        )
        np.testing.assert_array_equal(np.asarray(Image.open(path)), package.wf[f"training/{number:08d}"])
    report, lines = ingested(package.root, tmp_path)
    assert (report.exit_code, lines) == (0, [])
    with arraystore.open(tmp_path / "b.zarr") as store:
        for key in store.keys:
            np.testing.assert_array_equal(store[key]["wf"], package.wf[key], err_msg=key)


def test_every_bit_of_a_float_is_kept(changed, tmp_path):
    root, path = changed
    bits = np.random.default_rng(1).integers(0, 2**32, (SIDE, SIDE), dtype=np.uint32)
    # Infinities, a quiet and a signalling NaN with a payload, minus zero, the smallest number.
    bits[0, :6] = [0x7F800000, 0xFF800000, 0x7FC12345, 0x7F812345, 0x80000000, 1]
    path.write_bytes(tiff_bytes(bits.view(np.float32)))
    ingested(root, tmp_path)
    with arraystore.open(tmp_path / "b.zarr") as store:
        np.testing.assert_array_equal(store[KEY]["wf"].view(np.uint32), bits)
        np.testing.assert_array_equal(store.memmap("wf")[store.keys.index(KEY)].view(np.uint32), bits)


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (PATCH.astype(np.uint16), {}, "expected a patch of float32 32x32, found uint16 32x32"),
        (PATCH[:16], {}, "expected a patch of float32 32x32, found float32 16x32"),
        (PATCH.astype(np.float64), {}, "floats of 64 bits"),
        (PATCH.astype(np.int16), {}, "signed integers of 16 bits"),
        (PATCH.astype(np.uint8), {}, "unsigned integers of 8 bits"),
        (np.stack([PATCH, PATCH]), {"photometric": "minisblack"}, "expected one page, found several"),
        (np.zeros((SIDE, SIDE, 3), np.uint16), {"photometric": "rgb"}, "expected one sample for each pixel"),
        (PATCH, {"photometric": "miniswhite"}, "MinIsWhite"),
        (np.zeros((9_000, 9_000), np.float32), {"compression": "zlib"}, "found float32 9000x9000"),
    ],
    ids=["dtype", "size", "float64", "int16", "uint8", "pages", "rgb", "inverted", "bomb"],
)
def test_another_form_is_one_record_with_a_reason(package, changed, tmp_path, content, options, reason):
    root, path = changed
    tifffile.imwrite(path, content, **options)
    report, lines = ingested(root, tmp_path)
    assert report.exit_code == 3
    (line,) = lines
    assert line["key"] == KEY
    assert path.name in line["source"]
    assert reason in line["detail"], line
    with arraystore.open(tmp_path / "b.zarr") as store:
        with pytest.raises(MissingImageError, match=KEY):
            store[KEY]
        for key in set(store.keys) - {KEY}:
            np.testing.assert_array_equal(store[key]["wf"], package.wf[key])
    assert arraystore.verify(tmp_path / "b.zarr").ok


@pytest.mark.parametrize("content", [b"", b"II", b"\x89PNG\r\n\x1a\n" + bytes(90), bytes(3_000)], ids=len)
def test_what_is_no_tiff_is_one_record_with_a_reason(changed, tmp_path, content):
    root, path = changed
    path.write_bytes(content)
    report, (line,) = ingested(root, tmp_path)
    assert report.exit_code == 3
    assert line["key"] == KEY
    assert arraystore.verify(tmp_path / "b.zarr").ok


def test_the_form_is_that_of_the_sound_files_whichever_comes_first(changed, package, tmp_path):
    root, path = changed
    first = path.with_name("00000001.tif")
    first.write_bytes(b"II*\0")
    _, (line,) = ingested(root, tmp_path)
    assert line["key"] == "training/00000001"
    with arraystore.open(tmp_path / "b.zarr") as store:
        np.testing.assert_array_equal(store[KEY]["wf"], package.wf[KEY])


def test_no_sound_file_at_all_is_an_error_that_names_one(changed, tmp_path):
    root, _ = changed
    for path in root.rglob("*_wf/**/*.tif"):
        path.write_bytes(b"II*\0")
    with pytest.raises(SourceError, match=r"wf: no patch can be read: .*\.tif"):
        arraystore.ingest(root, tmp_path / "b.zarr", progress=False)
    assert not (tmp_path / "b.zarr/zarr.json").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("above", ["", "BioSR/Microtubules/", "some/where/BioSR/Microtubules/"])
def test_a_zip_gives_the_store_of_the_tree(package, tmp_path, method, above):
    folder = package.root / "Microtubules"
    with zipfile.ZipFile(tmp_path / "biosr.zip", "w", method) as archive:
        for path in sorted(folder.rglob("*.tif")):
            archive.write(path, above + path.relative_to(folder).as_posix())
        archive.writestr(f"__MACOSX/{above}training_wf/._00000001.tif", b"litter")
    _, lines = ingested(tmp_path / "biosr.zip", tmp_path)
    assert {line["kind"] for line in lines} <= {"skipped-file"}
    with arraystore.open(tmp_path / "b.zarr") as store:
        assert sorted(store.keys) == sorted(package.wf)
        for key in store.keys:
            np.testing.assert_array_equal(store[key]["wf"], package.wf[key])
            np.testing.assert_array_equal(store[key]["gt"], package.gt[key])


def test_a_field_alone_is_a_store_of_that_field(package, tmp_path):
    report, lines = ingested(package.root / "Microtubules/test_wf", tmp_path)
    assert report.exit_code == 3
    assert {line["kind"] for line in lines} == {"unpaired-patch"}
    assert report.records == 9
    with arraystore.open(tmp_path / "b.zarr") as store:
        np.testing.assert_array_equal(store.memmap("wf")[4], package.wf[store.keys[4]])
