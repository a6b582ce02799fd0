"""Sources opened as they are, beside the native store of the same images; and how soon a large one is open again.

    python benches/virtual.py FOLDER [--images 4000] [--rounds 9] [--members 1100000]

FOLDER needs room for four times the images, and about 2.5 kB for each of the members. The members lie in four zips
with a table of as many rows, and then in one HDF5 file, a data set each. They are opened for the first time in a
process of its own, and again from the cache in others; times are beyond the import.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from rounds import Case, measure, table
from scale import make_package

import arraystore
from arraystore.testing import make_bioscan5m, make_large_hdf5
from arraystore.testing.hdf5 import write_image_hdf5

BATCH_ROWS = 256
SIZE = 224
STORE = "store"

OPEN = """
import json, pathlib, sys, time
import numpy, arraystore
arraystore.open
begun = time.perf_counter()
source = arraystore.open(sys.argv[1:])
opened = time.perf_counter() - begun
row = len(source) // 3
assert source.row(source.keys[row]) == row and len(source[row]) > 0
used = time.perf_counter() - begun
peak = next(line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"n": len(source), "open": opened, "used": used, "peak": int(peak.split()[1])}))
"""


def contenders(folder: Path, images: int) -> tuple[list[Case], int]:
    """Open the same images as a store, two kinds of zips, a folder and an HDF5 file, and compare what they give."""
    stores = {}
    for form in ("zip-stored", "zip-deflated", "tree"):
        package = make_bioscan5m(folder / form, images, distinct=min(images, 400), form=form)
        stores[form] = arraystore.open(package.sources(), metadata=package.metadata)
    publishers = folder / "photographs.hdf5"
    jpegs = package.jpegs["cropped_256"]
    write_image_hdf5(publishers, {f"{key}.jpg": jpegs[key] for key in package.keys}, group="")
    stores["HDF5"] = arraystore.open(publishers, metadata=package.metadata, key="processid")
    arraystore.ingest(package.sources(), folder / "store.zarr", metadata=package.metadata, progress=False)
    stores = {STORE: arraystore.open(folder / "store.zarr"), **stores}
    rows = np.arange(images)
    expected = [stores[STORE].jpeg(rows), stores[STORE].crops(rows[:64], SIZE, flip=0.5)]
    for form, store in stores.items():
        assert store.jpeg(rows) == expected[0], f"{form} has other bytes"
        assert (store.crops(rows[:64], SIZE, flip=0.5) == expected[1]).all(), f"{form} gives other crops"

    def crops(store: arraystore.Store, threads: int):
        return lambda rows: store.crops(rows, SIZE, flip=0.5, threads=threads)

    cases = []
    for form, store in stores.items():
        cases += [
            Case("crops/random_resized_224/one thread", form, crops(store, 1)),
            Case("crops/random_resized_224/two threads", form, crops(store, 2)),
            Case("bytes/list of random rows", form, store.jpeg),
            Case("sizes/of random rows", form, lambda rows, store=store: store.sizes(rows, threads=1)),
        ]
    file, names = h5py.File(publishers), [f"{key}.jpg" for key in stores[STORE].keys]

    def by_h5py(rows):
        # Not `[()]`, which loses zeros at the end.
        return [np.array(file[names[row]]).tobytes() for row in rows.tolist()]

    assert by_h5py(rows[:100]) == expected[0][:100]
    cases.append(Case("bytes/list of random rows", "h5py, the same HDF5", by_h5py))
    return cases, images


def open_again(folder: Path, members: int) -> None:
    archives = [str(path) for path in sorted(make_package(folder, members, 600).glob("*.zip"))]
    opened_again(archives, members, f"in {len(archives)} zips, with a table of as many rows")
    publishers = make_large_hdf5(folder / "cropped_256.hdf5", members)
    opened_again([str(publishers)], members, "in one HDF5 file of the publishers' form")


def opened_again(paths: list[str], members: int, what: str) -> None:
    def opened() -> dict[str, float]:
        done = subprocess.run([sys.executable, "-c", OPEN, *paths], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    first = opened()
    assert first["n"] == members
    again = [opened() for _ in range(7)]
    print(f"{members:,} members {what}")
    print(f"open for the first time         {first['open']:8.1f} s, peak {first['peak'] / 1e6:.2f} GB")
    for name, words in {"open": "open from the cache", "used": "and find a key, decode an image"}.items():
        print(f"{words:<32}{np.median([each[name] for each in again]) * 1e3:8.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--members", type=int, default=1_100_000)
    options = parser.parse_args()
    root = options.folder / "virtual"
    os.environ["ARRAYSTORE_CACHE_DIR"] = str(root / "cache")
    cases, count = contenders(root, options.images)
    rng = np.random.default_rng(0)
    # Work that takes microseconds an image is done for more images.
    batches = {
        case.work: [
            rng.integers(0, count, BATCH_ROWS * (1 if case.work.startswith("crops/") else 8))
            for _ in range(options.rounds)
        ]
        for case in cases
    }
    print(table(measure(cases, batches, baseline=STORE), baseline=STORE), flush=True)
    open_again(root / "members", options.members)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
