"""Full-size images keep what the camera wrote behind their end marker, in every form of source."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import arraystore
from arraystore.testing import insect_jpeg
from arraystore.testing.hdf5 import write_image_hdf5

# As long as the data behind the end of a Keyence image, and ending in zeros, which some readers lose.
VENDOR_NBYTES = 2_148
VENDOR = b"KmsFile\0" + bytes(range(256)) * 8 + bytes(VENDOR_NBYTES - 8 - 2_048)
JPEGS = {f"ABOTH{i}-22": insect_jpeg((6, i), height=1080, width=1440) + VENDOR for i in range(2)}


def write(root: Path, form: str) -> Path:
    place = "bioscan5m/images/original_full/val"
    if form == "hdf5":
        return write_image_hdf5(
            root / "original_full.h5", {f"{key}.jpg": jpeg for key, jpeg in JPEGS.items()}, group=""
        )
    if form == "tree":
        (root / place).mkdir(parents=True)
        for key, jpeg in JPEGS.items():
            (root / place / f"{key}.jpg").write_bytes(jpeg)
        return root / "bioscan5m"
    compression = zipfile.ZIP_STORED if form == "stored" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(root / "BIOSCAN_5M_original_full.01.zip", "w", compression) as archive:
        for key, jpeg in JPEGS.items():
            archive.writestr(f"{place}/{key}.jpg", jpeg)
    return root / "BIOSCAN_5M_original_full.01.zip"


@pytest.mark.parametrize("form", ["tree", "stored", "deflated", "hdf5"])
def test_vendor_bytes_are_kept_and_do_no_harm(tmp_path, form):
    assert len(VENDOR) == VENDOR_NBYTES
    report = arraystore.ingest(write(tmp_path, form), tmp_path / "s.zarr", check="pixels")
    assert (report.package, report.status, report.troubles) == ("original_full", {"sound": 2}, {})
    with arraystore.open(tmp_path / "s.zarr") as store:
        for key, jpeg in JPEGS.items():
            assert store.jpeg(key) == jpeg
            assert store.jpeg(key)[-VENDOR_NBYTES:] == VENDOR
            whole = np.asarray(Image.open(io.BytesIO(jpeg[:-VENDOR_NBYTES])).convert("RGB"))
            np.testing.assert_array_equal(store[key], whole)
            (box,) = store.read_boxes([key], [(500, 700, 64, 80)], size=None)
            np.testing.assert_array_equal(box, whole[500:564, 700:780])
