"""Ingest of one package as a folder, a stored and a deflated zip, beside a plain copy of the same bytes.

    python benches/ingest.py [--images 20000] [--workers N] [--cold] [--folder DIR]

Sources are warm (in the page cache); with `--cold` the cache is emptied before each turn, for which Linux wants root.
Stores are synced to disk, copies too. Each is done three times, in turn; the fastest counts, since what disturbs a disk
only makes it slower. Stores are verified.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import arraystore
from arraystore.testing import make_bioscan5m

ROUNDS = 3
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def seconds(works: Sequence[Callable[[], object]], clean: Callable[[], object], *, cold: bool) -> list[float]:
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, of_work in zip(works, times, strict=True):
            clean()
            if cold:
                os.sync()
                DROP_CACHES.write_text("3\n")
            begun = time.perf_counter()
            work()
            of_work.append(time.perf_counter() - begun)
    return [min(of_work) for of_work in times]


def copy_synced(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--workers", type=int, help="threads; default: as many as an ingest takes by itself")
    parser.add_argument("--cold", action="store_true", help="empty the page cache before each turn")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary directory")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        for form in ("tree", "zip-stored", "zip-deflated"):
            package = make_bioscan5m(folder / form, args.images, distinct=200, form=form)
            store = folder / f"{form}.zarr"

            def ingest(index, package=package, store=store):
                return arraystore.ingest(
                    package.sources(),
                    store,
                    metadata=package.metadata,
                    workers=args.workers,
                    progress=False,
                    index=index,
                )

            def clean(store=store):
                shutil.rmtree(store, ignore_errors=True)
                # Tables that lie there would be taken over.
                store.with_name(f"{store.name}.image.seek").unlink(missing_ok=True)

            works = [lambda ingest=ingest, index=index: ingest(index=index) for index in (False, True)]
            without, taken = seconds(works, clean, cold=args.cold)
            report = arraystore.verify(store, progress=False)
            assert not report.problems, report
            line = f"{form:<13} {args.images / without:>9,.0f} images/s, {args.images / taken:,.0f} with seek tables"
            line += f", {taken / without:.2f} x the time"
            if form == "zip-stored":
                [archive] = package.sources()
                copy = [lambda archive=archive: copy_synced(Path(archive), folder / "copy")]
                [copied] = seconds(copy, lambda: None, cold=args.cold)
                line += f"; without {without / copied:.2f} x the time of a copy of the archive"
            print(line)


if __name__ == "__main__":
    main()
