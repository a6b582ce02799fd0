"""Opening, key look-up and selection in a synthetic store of five million rows.

    python benches/large.py [--rows 5000000]

Each opening is in a process of its own; its memory is what the process has of its own (RssAnon) beyond the import.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import arraystore
from arraystore.testing import make_large_store

OPEN = """
import sys, time, pathlib
import numpy, arraystore
arraystore.open
def own():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
before, begun = own(), time.perf_counter()
store = arraystore.open(sys.argv[1])
opened = time.perf_counter() - begun
store.read([store.row("ABCD0000005-20")], verify=False)
print(opened * 1e3, (time.perf_counter() - begun) * 1e3, (own() - before) / 1e3)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    n = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = make_large_store(Path(folder) / "large.zarr", n)
        runs = [
            subprocess.run([sys.executable, "-c", OPEN, path], capture_output=True, text=True, check=True)
            for _ in range(7)
        ]
        opened, first, memory = np.median([list(map(float, run.stdout.split())) for run in runs], axis=0)
        print(f"{n:,} rows, medians of {len(runs)} processes")
        print(f"open                              {opened:8.2f} ms")
        print(f"open, find a key, read its image  {first:8.2f} ms, {memory:.1f} MB of memory")
        with arraystore.open(path) as store:
            rows = np.random.default_rng(0).integers(0, n, 200_000)
            keys = store.keys[rows]
            times = []
            for _ in range(5):
                begun = time.perf_counter()
                found = store.rows(keys)
                times.append(time.perf_counter() - begun)
                assert (found == rows).all()
            print(f"find a key, in a list of 200,000  {np.median(times) / len(rows) * 1e6:8.2f} us")
            begun = time.perf_counter()
            view = store.select(split="train")
            selected = (time.perf_counter() - begun) * 1e3
            begun = time.perf_counter()
            labels = store.labels("split", order="pandas<3")
            labelled = (time.perf_counter() - begun) * 1e3
            assert labels.codes[:3].tolist() == [labels.names.index(name) for name in ("pretrain", "test", "train")]
            print(f"labels in the order of pandas 2   {labelled:8.0f} ms")
            print(f"select a split, columns not read  {selected:8.0f} ms, {len(view):,} rows")


if __name__ == "__main__":
    main()
