"""Loaders in a contest: shuffled epochs of random resized crops, all cores, each checked to give every image once.

    python benches/loaders.py [SOURCE] [--images 4000] [--rounds 5] [--json FILE] [--plot FILE]

SOURCE is an image folder or zip of one package, or a store; without it, a synthetic package is made. Batches are of 256
crops of 224x224, half of them mirrored: as uint8 (in the layout that the peer gives), and as normalised float32 in
NCHW. A turn is an epoch. The page cache is warm. Who takes part is in `peers/loaders.py` and `peers/loaders_torch.py`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from contest import Contest, run_of_images
from peers import Peer, Task
from peers.loaders import WORKS

# Boxes are random, so are means: those of a few hundred crops differ by about so much of 255.
COLOUR_TOLERANCE = 6


def check_epoch(peer: Peer, task: Task, path: Path) -> str:
    """Compare what an epoch consists of: how many crops, of which rows, shape, type and mean colour."""
    with np.load(path) as found:
        shapes = [(task.size, task.size, 3), (3, task.size, task.size)][1 if task.is_float else 0 :]
        dtype, shape = ("float32" if task.is_float else "uint8"), tuple(found["shape"].tolist())
        if shape[1:] not in shapes or found["dtype"] != dtype:
            raise ValueError(f"{peer.name} gives {found['dtype']} of shape {shape}")
        if int(found["count"]) != task.count:
            raise ValueError(f"{peer.name} gives {found['count']} crops of {task.count} images")
        expected = task.folder / f"colour-{task.size}.npy"
        if not expected.exists():
            # That of the first, which is arraystore: its crops are compared with those of Pillow elsewhere.
            np.save(expected, found["colour"])
        difference = float(np.abs(found["colour"] - np.load(expected)).max())
        if difference > COLOUR_TOLERANCE:
            raise ValueError(f"{peer.name} gives the mean colour {found['colour']}, not {np.load(expected)}")
        rows = np.sort(found["seen"])
        if len(rows) and not np.array_equal(rows, np.arange(task.count)):
            raise ValueError(f"{peer.name} does not give each row once")
    layout = "NCHW" if shape[1] == 3 else "NHWC"
    return f"{layout}, " + ("each row once" if len(rows) else "as many rows") + f", colour within {difference:.1f}"


CONTEST = Contest(WORKS, ("loaders", "loaders_torch"), "epochs", "images", check_epoch)

if __name__ == "__main__":
    cores = len(os.sched_getaffinity(0))
    sys.exit(run_of_images(CONTEST, __doc__, rounds=5, turn_rows=0, threads=cores))
