"""Patches in a contest: random batches of 64 float32 arrays of 128x128, one thread, each checked to be equal.

    python benches/patches.py [--patches 2000] [--rounds 9] [--json FILE] [--plot FILE]

The patches compress about as microscopy does. Turns are of 640 random rows. The page cache is warm. Who takes part is
in `peers/patches.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from contest import Contest, make_parser, run
from peers import Peer, Task
from peers.patches import WORKS

import arraystore
from arraystore.testing.biosr import make_biosr, tiff_bytes

BATCH_ROWS = 64
SIDE = 128


def make_patches(folder: Path, count: int) -> int:
    """Write them as a package of TIFFs, as one array, and as stores with and without compression."""
    if not (folder / "patches.npy").exists():
        root = make_biosr(folder / "package", 1, validate=0, test=0).root
        rng = np.random.default_rng(0)
        # Few bits of noise on a smooth ground.
        ground = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.float32) / 256
        patches = ground + rng.integers(0, 16, (count, SIDE, SIDE)).astype(np.float32) / 64
        for row, patch in enumerate(patches):
            for field in ("wf", "gt"):
                (root / f"Microtubules/training_{field}/{row + 1:08d}.tif").write_bytes(tiff_bytes(patch))
        for codec in ("none", "zstd"):
            arraystore.ingest(root, folder / f"{codec}.zarr", codec=codec, progress=False)
        np.save(folder / "patches.npy", patches)
    return len(np.load(folder / "patches.npy", mmap_mode="r"))


def check_patches(peer: Peer, task: Task, path: Path) -> str:
    """Compare what is read of the first rows with what was drawn."""
    drawn = np.load(task.folder / "patches.npy", mmap_mode="r")
    with np.load(path) as found:
        for row, name in enumerate(found.files):
            if not np.array_equal(found[name], drawn[row]):
                raise ValueError(f"{peer.name} reads other values of row {row}")
    return "equal"


CONTEST = Contest(WORKS, ("patches",), "rows", "patches", check_patches)

if __name__ == "__main__":
    parser = make_parser(__doc__, rounds=9)
    parser.add_argument("--patches", type=int, default=2000)
    options = parser.parse_args()
    task = Task(Path(), "", 0, BATCH_ROWS, threads=1, turn_rows=10 * BATCH_ROWS)
    sys.exit(run(CONTEST, options, lambda folder: make_patches(folder, options.patches), task))
