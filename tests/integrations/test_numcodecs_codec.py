"""The codec of numcodecs: arrays of Zarr v2, and references to JPEGs inside other files."""

import json

import numcodecs
import numpy as np
import pytest
import zarr

from arraystore.errors import DecodeError, InvalidRequestError
from arraystore.integrations.numcodecs_codec import JpegCodec
from arraystore.testing import texture_jpeg


def document(n, size, compressor):
    return {
        "zarr_format": 2,
        "shape": [n, *size, 3],
        "chunks": [1, *size, 3],
        "dtype": "|u1",
        "compressor": compressor,
        "filters": None,
        "fill_value": 0,
        "order": "C",
    }


def test_the_registry_makes_it_of_its_configuration():
    for codec in (JpegCodec(), JpegCodec(size=(4, 5), fill_value=9)):
        again = numcodecs.get_codec(json.loads(json.dumps(codec.get_config())))
        assert isinstance(again, JpegCodec)
        assert again == codec


def test_a_jpeg_becomes_the_pixels_of_another_program(jpegs, gray_jpeg, oracle):
    for jpeg in (*jpegs, gray_jpeg):
        for given in (jpeg, bytearray(jpeg), np.frombuffer(jpeg, np.uint8)):
            np.testing.assert_array_equal(JpegCodec().decode(given), oracle(jpeg))
    out = np.empty((1, 50, 70, 3), np.uint8)
    JpegCodec(size=(50, 70), fill_value=3).decode(jpegs[0], out=out)
    np.testing.assert_array_equal(out[0, :48, :64], oracle(jpegs[0]))
    assert (out[0, 48:] == 3).all()
    assert (out[0, :, 64:] == 3).all()


def test_arrays_of_zarr_v2_are_read(jpegs, oracle, tmp_path):
    small = texture_jpeg(7, height=20, width=30)
    (tmp_path / ".zarray").write_text(json.dumps(document(4, (48, 64), JpegCodec(size=(48, 64)).get_config())))
    for row, jpeg in enumerate([*jpegs[:2], small]):
        (tmp_path / f"{row}.0.0.0").write_bytes(jpeg)
    array = zarr.open_array(tmp_path, mode="r", zarr_format=2)
    expected = np.zeros((4, 48, 64, 3), np.uint8)
    expected[:2] = [oracle(jpeg) for jpeg in jpegs[:2]]
    expected[2, :20, :30] = oracle(small)
    np.testing.assert_array_equal(array[:], expected)


def test_references_into_a_store_are_read(package_store, oracle):
    """As kerchunk and VirtualiZarr make them: the JPEGs stay where they are, at offsets of a shard."""
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("fsspec.implementations.reference")
    from zarr.storage import FsspecStore

    rows = np.flatnonzero(package_store.status == 0)[:5]
    height, width = package_store.sizes(rows).max(axis=0).tolist()
    shard = package_store.path / "image/data/c/0"
    data = shard.read_bytes()
    references = {
        ".zarray": json.dumps(document(len(rows), (height, width), JpegCodec(size=(height, width)).get_config()))
    }
    for chunk, row in enumerate(rows):
        jpeg = package_store.jpeg(int(row))
        references[f"{chunk}.0.0.0"] = [str(shard), data.index(jpeg), len(jpeg)]
    files = fsspec.filesystem(
        "reference", fo={"version": 1, "refs": references}, remote_protocol="file", asynchronous=True
    )
    array = zarr.open_array(FsspecStore(files, path="", read_only=True), mode="r", zarr_format=2)
    for chunk, row in enumerate(rows):
        pixels = oracle(package_store.jpeg(int(row)))
        np.testing.assert_array_equal(array[chunk, : pixels.shape[0], : pixels.shape[1]], pixels)


def test_what_cannot_be_decoded_is_an_error(jpegs):
    for damaged in (jpegs[0][:-50], jpegs[0][:10], b""):
        with pytest.raises(DecodeError, match="cannot decode the JPEG"):
            JpegCodec().decode(damaged)
    with pytest.raises(InvalidRequestError, match="48x64 .* does not fit into 47x64"):
        JpegCodec(size=(47, 64)).decode(jpegs[0])
    with pytest.raises(InvalidRequestError, match="expected 9216 bytes"):
        JpegCodec().decode(jpegs[0], out=np.empty(10, np.uint8))
    with pytest.raises(InvalidRequestError, match="only decodes"):
        JpegCodec().encode(np.zeros((1, 8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    "options",
    [{"size": 5}, {"size": (5,)}, {"size": (0, 5)}, {"size": ("5", 5)}, {"fill_value": 256}, {"fill_value": 0.5}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(InvalidRequestError):
        JpegCodec(**options)
