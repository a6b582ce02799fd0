"""Export, merge and append of one package, beside a plain copy of the same bytes.

    python benches/growth.py [--images 20000] [--workers 2] [--folder DIR]

Sources are warm (in the page cache); what is made is synced to disk, and so are the copies: of all shards of images for
export and merge, of those of the half that is new for append. Each is done three times; the fastest counts, since what
disturbs a disk only makes it slower. What comes out is verified, and compared with what went in.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import arraystore
from arraystore.testing import make_bioscan5m

ROUNDS = 3


def seconds(work: Callable[[], object], prepare: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        prepare()
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.with_suffix(".csv").unlink(missing_ok=True)


def copy_synced(store: Path, target: Path) -> None:
    with target.open("wb") as out:
        for shard in sorted((store / "image/data/c").iterdir(), key=lambda path: int(path.name)):
            with shard.open("rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())


def check(path: Path, store: arraystore.Store) -> None:
    """The store holds what the first one holds."""
    report = arraystore.verify(path, progress=False)
    assert report.ok, report
    opened = arraystore.open(path)
    assert len(opened) == len(store)
    some = list(store.keys[:: max(1, len(store) // 500)])
    assert opened.jpeg(some) == store.jpeg(some)
    assert opened.text(some) == store.text(some)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary directory")
    args = parser.parse_args()
    quiet = {"workers": args.workers, "progress": False}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        package = make_bioscan5m(folder / "package", args.images, distinct=200, form="zip-stored")
        arraystore.ingest(package.sources(), folder / "all.zarr", metadata=package.metadata, **quiet)
        store = arraystore.open(folder / "all.zarr")
        halves = [slice(0, args.images // 2), slice(args.images // 2, None)]
        for half, rows in zip(("first", "second"), halves, strict=True):
            arraystore.export(store.select(rows), folder / f"{half}.zarr", **quiet)
        arraystore.export(store.select(halves[1]), folder / "second.zip", **quiet)
        copied = {
            each: seconds(lambda each=each: copy_synced(folder / f"{each}.zarr", folder / "copy"), lambda: None)
            for each in ("all", "second")
        }

        def told(work: str, taken: float, images: int, copy: float) -> None:
            print(f"{work:<24} {images / taken:>9,.0f} images/s, {taken / copy:>5.2f} x the time of a copy")

        for target in ("again.zarr", "again.h5", "again.zip", "again"):
            path = folder / target
            taken = seconds(
                lambda path=path: arraystore.export(folder / "all.zarr", path, **quiet), lambda path=path: remove(path)
            )
            told(f"export to {target}", taken, args.images, copied["all"])
            if target == "again.zip":
                arraystore.ingest(path, folder / "zip.zarr", metadata=path.with_suffix(".csv"), **quiet)
                check(folder / "zip.zarr", store)
            elif path.suffix:
                check(path, store)
            else:
                assert sum(1 for _ in path.rglob("*.jpg")) == len(package.jpegs["cropped_256"])

        merged = folder / "merged.zarr"
        parts = [folder / "first.zarr", folder / "second.zarr"]
        taken = seconds(lambda: arraystore.merge(parts, merged, **quiet), lambda: remove(merged))
        told("merge of two halves", taken, args.images, copied["all"])
        check(merged, store)

        grown = folder / "grown.zarr"
        source, table = folder / "second.zip", folder / "second.csv"

        def begin() -> None:
            remove(grown)
            shutil.copytree(folder / "first.zarr", grown)
            os.sync()

        taken = seconds(lambda: arraystore.append(grown, source, metadata=table, **quiet), begin)
        told("append of the second half", taken, args.images - args.images // 2, copied["second"])
        check(grown, store)


if __name__ == "__main__":
    main()
