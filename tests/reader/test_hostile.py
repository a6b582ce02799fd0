"""Hostile files and tight limits give errors; the process lives on. Each case has a process with limits of its own."""

import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import arraystore

LIMITED = """
import resource, sys
import arraystore
resource.setrlimit(resource.{limit}, ({value}, {value}))
store = arraystore.open(sys.argv[1])
try:
    {action}
except (arraystore.errors.ArrayStoreError, OSError) as error:
    print(type(error).__name__, error)
"""


def run_limited(path, action, *, limit="RLIMIT_AS", value=3 * 2**30):
    code = LIMITED.format(limit=limit, value=value, action=action)
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def jpeg_that_claims(height, width, *, nbytes):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    jpeg = bytearray(buffer.getvalue())
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(jpeg) + bytes(nbytes - len(jpeg))


@pytest.mark.parametrize(("height", "width"), [(65_500, 65_500), (20_000, 16_000)])
def test_an_image_that_claims_more_pixels_than_memory_is_refused(tmp_path, height, width):
    folder = tmp_path / "bioscan5m/images/cropped_256/val"
    folder.mkdir(parents=True)
    (folder / "HUGE-22.jpg").write_bytes(jpeg_that_claims(height, width, nbytes=5_000_000))
    arraystore.ingest(tmp_path / "bioscan5m", tmp_path / "some.zarr", progress=False)
    for action in ("store[0]", "store.crops([0], 64)", "store.read_boxes([0], [(0, 0, 9, 9)])"):
        assert run_limited(tmp_path / "some.zarr", action).startswith("DecodeError record 0 (HUGE-22)")


def test_a_root_document_that_claims_four_billion_records_is_refused(store_path, tmp_path):
    copy = tmp_path / "some.zarr"
    shutil.copytree(store_path, copy)
    n = len(arraystore.open(copy))
    # Every array of n items is said to have 2^32 - 1.
    document = json.loads((copy / "zarr.json").read_text())
    document["attributes"]["arraystore"]["n"] = 2**32 - 1
    for node in document["consolidated_metadata"]["metadata"].values():
        if node.get("shape") == [n]:
            node["shape"] = [2**32 - 1]
    (copy / "zarr.json").write_text(json.dumps(document))
    for action in ("store.status", "store.info()", "store.keys[2**31]", "store.row('x')"):
        assert "Error" in run_limited(copy, action), action


def test_a_store_of_more_shards_than_open_files_is_read(package, tmp_path):
    path = tmp_path / "some.zarr"
    arraystore.ingest(package.sources(), path, metadata=package.metadata, shard_nbytes=65_536, progress=False)
    assert len(list((path / "image/data/c").iterdir())) > 5
    action = "print(sum(len(jpeg) for jpeg in store.jpeg(store.status == 0)))"
    # Python has the standard streams and a few more; reading adds none that stay open.
    found = run_limited(path, action, limit="RLIMIT_NOFILE", value=8)
    assert int(found) == sum(map(len, package.jpegs["cropped_256"].values()))


def test_index_arrays_that_contradict_the_image_are_damage(store_path, sound, tmp_path):
    copy = tmp_path / "some.zarr"
    shutil.copytree(store_path, copy)
    row = int(sound[3])
    for array, dtype in (("height", np.uint16), ("nbytes", np.uint32)):
        values = np.memmap(copy / f"image/{array}/c/0", dtype, mode="r+")
        before, values[row] = values[row], 0 if array == "nbytes" else 16
        values.flush()
        with arraystore.open(copy) as store, pytest.raises(arraystore.errors.DamagedStoreError, match=f"record {row} "):
            store[row]
        values[row] = before
        values.flush()


def test_a_damaged_key_is_named_and_not_another_key(store_path, tmp_path):
    copy = tmp_path / "some.zarr"
    shutil.copytree(store_path, copy)
    with arraystore.open(copy) as store:
        key = store.keys[0]
    data = np.memmap(copy / "key/data/c/0", np.uint8, mode="r+")
    data[2] ^= 1
    data.flush()
    with arraystore.open(copy) as store:
        with pytest.raises(arraystore.errors.DamagedStoreError, match="record 0, key"):
            store.keys[0]
        with pytest.raises(arraystore.errors.DamagedStoreError, match="record 0, key"):
            store.row(key)
