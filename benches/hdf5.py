"""A store in HDF5 beside its twin in Zarr, and beside h5py reading the same file.

    python benches/hdf5.py [SOURCE] [--images 20000] [--rounds 15] [--ingests 3] [--folder DIR]

All sides are checked to give the same pixels and bytes first. Reading is done in turn, round after round, from warm
memory. Ingests are synced to disk, in turn, some times each; the fastest counts. Stores are verified.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from rounds import Case, measure, table

import arraystore
from arraystore.testing import make_bioscan5m

OURS = "arraystore, HDF5"
BATCH_ROWS = 256


def contenders(twin: arraystore.Store, store: arraystore.Store, file: h5py.File) -> list[Case]:
    data, start = file["image/data"], file["image/offset"][:]
    stop = start + file["image/nbytes"][:]
    cases = [
        Case("bytes/list of random rows", OURS, lambda rows: twin.jpeg(rows)),
        Case("bytes/list of random rows", "arraystore, Zarr", lambda rows: store.jpeg(rows)),
        Case("bytes/list of random rows", "h5py, the same file", lambda rows: [data[start[r] : stop[r]] for r in rows]),
    ]
    for threads, words in ((1, "one thread"), (2, "two threads")):
        buffer = np.empty((BATCH_ROWS, 224, 224, 3), np.uint8)
        for contender, each in ((OURS, twin), ("arraystore, Zarr", store)):

            def crops(rows, each=each, threads=threads, out=buffer):
                return each.crops(rows, 224, seed=0, threads=threads, out=out)

            cases.append(Case(f"crops/random_resized_224/{words}", contender, crops))
    rows = np.arange(min(BATCH_ROWS, len(start)))[:64]
    expected = store.jpeg(rows)
    for case in cases[:3]:
        assert [bytes(found) for found in case.run(rows)] == expected, f"{case.contender} reads other bytes"
    np.testing.assert_array_equal(twin.crops(rows, 224, seed=0), store.crops(rows, 224, seed=0))
    return cases


def ingest(sources: object, metadata: Path | None, path: Path) -> float:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    begun = time.perf_counter()
    arraystore.ingest(sources, path, metadata=metadata, progress=False)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--ingests", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary directory")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        sources, metadata = args.source, None
        if sources is None:
            package = make_bioscan5m(folder / "package", args.images, distinct=200, form="zip-stored")
            sources, metadata = package.sources(), package.metadata
        paths = {"HDF5": folder / "some.h5", "Zarr": folder / "some.zarr"}
        times = {container: [] for container in paths}
        for _ in range(args.ingests):
            for container, path in paths.items():
                times[container].append(ingest(sources, metadata, path))
        for path in paths.values():
            report = arraystore.verify(path, progress=False)
            assert not report.problems, report
        with arraystore.open(paths["HDF5"]) as twin, arraystore.open(paths["Zarr"]) as store:
            with h5py.File(paths["HDF5"]) as file:
                sound = np.flatnonzero(store.status == 0)
                rng = np.random.default_rng(0)
                cases = contenders(twin, store, file)
                many = {case.work: 8 if case.work.startswith("bytes/") else 1 for case in cases}
                batches = {
                    work: [rng.choice(sound, BATCH_ROWS * times) for _ in range(args.rounds)]
                    for work, times in many.items()
                }
                print(table(measure(cases, batches, baseline=OURS), baseline=OURS))
            print()
            for container, taken in times.items():
                print(f"ingest into {container}: {len(sound) / min(taken):,.0f} images/s ({min(taken):.2f} s)")


if __name__ == "__main__":
    main()
