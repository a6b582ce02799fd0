"""Random batches of patches: arraystore beside np.memmap, and beside tensorstore where they are compressed.

    python benches/patches.py [--patches 8000] [--rounds 15]

Batches of 64 float32 patches of 128x128 in random order, one thread, into one buffer that is used again (np.memmap
makes a new array, as its fancy indexing does). All sides are compared first. The page cache is warm.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import tensorstore
from rounds import Case, measure, table

import arraystore
from arraystore.testing.biosr import make_biosr

BATCH_ROWS = 64


def smooth(folder: Path, count: int) -> Path:
    """Write patches that compress about as microscopy does: few bits of noise on a smooth ground."""
    from arraystore.testing.biosr import tiff_bytes

    root = make_biosr(folder, 1, validate=1, test=1).root
    rng = np.random.default_rng(0)
    ground = np.add.outer(np.arange(128), np.arange(128)).astype(np.float32) / 256
    for number in range(1, count + 1):
        for field in ("wf", "gt"):
            patch = ground + rng.integers(0, 16, (128, 128)).astype(np.float32) / 64
            (root / f"Microtubules/training_{field}/{number:08d}.tif").write_bytes(tiff_bytes(patch))
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = smooth(folder, options.patches)
        reports = {
            codec: arraystore.ingest(root, folder / f"{codec}.zarr", codec=codec, progress=False)
            for codec in ("none", "zstd")
        }
        plain, packed = (arraystore.open(folder / f"{codec}.zarr") for codec in ("none", "zstd"))
        mapped = plain.memmap("wf")
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder / "zstd.zarr/wf/data")}}
        context = {"data_copy_concurrency": {"limit": 1}}
        other = tensorstore.open(spec, context=tensorstore.Context(context)).result()
        out = np.empty((BATCH_ROWS, 128, 128), np.float32)
        rows = np.random.default_rng(1).integers(0, len(plain), BATCH_ROWS)
        for array in (plain.arrays(rows, field="wf"), packed.arrays(rows, field="wf"), other[rows].read().result()):
            assert (array == mapped[rows]).all()

        def ours(store: arraystore.Store, **given: object):
            return lambda rows: store.arrays(rows, field="wf", out=out, threads=1, **given)

        cases = [
            Case("patches/not compressed", "arraystore", ours(plain)),
            Case("patches/not compressed", "arraystore, not compared with checksums", ours(plain, verify=False)),
            Case("patches/not compressed", "np.memmap", lambda rows: mapped[rows]),
            Case("patches/zstd", "arraystore", ours(packed)),
            Case("patches/zstd", "tensorstore", lambda rows: other[rows].read().result()),
        ]
        rng = np.random.default_rng(0)
        batches = {
            case.work: [rng.integers(0, len(plain), BATCH_ROWS) for _ in range(options.rounds)] for case in cases
        }
        print(table(measure(cases, batches, baseline="arraystore"), baseline="arraystore"))
        for codec, report in reports.items():
            print(f"ingest, codec {codec}: {2 * report.records / report.seconds:,.0f} patches/s")


if __name__ == "__main__":
    main()
