"""Scan of an HDF5 file with a data set for each image, as the publisher of BIOSCAN-1M makes it.

    python benches/hdf5_scan.py [--members 1100000] [--folder DIR]

The file, of 1.4 kB a member, is made first and removed at the end; it is in the page cache. The scan is in a process of
its own, whose largest memory (VmHWM) is told beside that of the import alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from arraystore.testing import make_large_hdf5

SCAN = """
import sys, time, pathlib
import h5py
from arraystore.sources.archive import scan_sources
def most():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3
before, begun = most(), time.perf_counter()
members = scan_sources([sys.argv[1]])
print(len(members), time.perf_counter() - begun, before, most())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1_100_000)
    parser.add_argument("--folder", type=Path, help="where to make the file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        begun = time.perf_counter()
        path = make_large_hdf5(Path(folder) / "original_256.hdf5", arguments.members)
        print(f"made in {time.perf_counter() - begun:.1f} s, {path.stat().st_size / 1e6:,.0f} MB")
        done = subprocess.run([sys.executable, "-c", SCAN, path], capture_output=True, text=True, check=True)
        count, seconds, before, most = map(float, done.stdout.split())
        assert count == arguments.members
        print(
            f"{arguments.members:,} members scanned in {seconds:.1f} s, {most:.0f} MB at most ({before:.0f} MB before)"
        )


if __name__ == "__main__":
    main()
