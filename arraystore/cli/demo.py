"""`arraystore demo`: from a package of JPEGs to a store, its speeds and a contact sheet, in some seconds."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import arraystore
from arraystore.cli.contact_sheet import draw_contact_sheet
from arraystore.testing import make_bioscan5m
from arraystore.testing.insects import require_pillow

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  arraystore demo                                    a small package, drawn for the occasion
  arraystore demo ~/bioscan5m/images/cropped_256     yours
  arraystore demo BIOSCAN_5M_cropped_256_eval.zip --out /tmp/demo
"""

_DRAWN_IMAGES = 400
# Larger packages are measured on a sample of this size.
_MEASURED_IMAGES = 2_000
_BATCH_ROWS = 256
_CROP = 224
_SHEET_ROWS, _SHEET_COLUMNS = 4, 7
# A speed is the best of some rounds within this time.
_MEASURED_S = 0.7


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to a parser.

    Parameters
    ----------
    subparsers : argparse action
        As `ArgumentParser.add_subparsers` gives it.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo",
        help="make a store of a small package, show its speeds and draw a contact sheet",
        description="Makes OUT/demo.zarr of a small package of JPEGs (or of yours), verifies it, measures how fast "
        "images and random crops are read, and draws OUT/demo.png. An older OUT/demo.zarr is replaced.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", nargs="?", help="folder or zip of a BIOSCAN-5M image package")
    parser.add_argument("--out", metavar="DIR", default=".", help="where to write (default: here)")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : argparse.Namespace
        With `source` and `out`.

    Returns
    -------
    int
        0, or 1 if something does not agree.
    """
    require_pillow()
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    path, sheet = out / "demo.zarr", out / "demo.png"
    sources, metadata = _prepare_source(arguments.source, out)
    _make_store(sources, metadata, path)
    if not _verify(path):
        return 1
    with arraystore.open(path) as store:
        agrees = _measure(store)
        _draw(store, sheet)
        _say_next(store, path)
    return 0 if agrees else 1


def _prepare_source(source: str | None, out: Path) -> tuple[list[Path], Path | None]:
    if source is not None:
        _say("package", source)
        return [Path(source)], None
    begun = time.perf_counter()
    package = make_bioscan5m(out / "demo-source", _DRAWN_IMAGES)
    nbytes = sum(map(len, package.jpegs["cropped_256"].values()))
    text = f"{_DRAWN_IMAGES} insects drawn into {out / 'demo-source'}, {nbytes / 1e6:.1f} MB of JPEGs"
    _say("package", text, time.perf_counter() - begun)
    return package.sources(), package.metadata


def _make_store(sources: Sequence[Path], metadata: Path | None, path: Path) -> None:
    report = arraystore.ingest(sources, path, metadata=metadata, overwrite=True)
    text = f"{report.records:,} records in {path}, {report.images_per_s:,.0f} images a second"
    _say("ingest", text, report.seconds)
    for kind, count in report.troubles.items():
        _say("", f"{count:,} x {kind}, listed in {report.troubles_path}")


def _verify(path: Path) -> bool:
    begun = time.perf_counter()
    report = arraystore.verify(path)
    text = "every checksum agrees" if report.ok else f"{len(report.problems)} problems: run arraystore verify {path}"
    _say("verify", text, time.perf_counter() - begun)
    return bool(report.ok)


def _measure(store: arraystore.Store) -> bool:
    import numpy as np

    # Rows of images that can be decoded, in random order: what training reads.
    rows = np.random.default_rng(0).permutation(np.flatnonzero(store.status == 0))[:_MEASURED_IMAGES]
    batches = [rows[start : start + _BATCH_ROWS] for start in range(0, len(rows), _BATCH_ROWS)]
    jpegs = store.jpeg(rows)
    every_core = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def crops(threads: int) -> None:
        for epoch, batch in enumerate(batches):
            store.crops(batch, _CROP, flip=0.5, epoch=epoch, threads=threads)

    drawn = store.crops(rows, _CROP, flip=0.5, return_boxes=True)
    with_pillow = _timed(lambda: [_pillow_crop(*each) for each in zip(jpegs, drawn.boxes, drawn.flips, strict=True)])
    speeds = [
        ("original bytes", 1, _speed(lambda: [store.jpeg(batch) for batch in batches], len(rows))),
        ("whole images", 1, _speed(lambda: [store.read(batch, threads=1) for batch in batches], len(rows))),
        (f"random crops, {_CROP}x{_CROP}", 1, _speed(lambda: crops(1), len(rows))),
        ("the same", every_core, _speed(lambda: crops(every_core), len(rows))),
        ("the same crops with Pillow", 1, len(rows) / with_pillow[1]),
    ]
    print(f"\n  reading in random order {'threads':>18} {'images/s':>11}")
    for what, threads, speed in speeds:
        ratio = f"{speed * with_pillow[1] / len(rows):8.1f} x Pillow" if "crops," in what or what == "the same" else ""
        print(f"    {what:<31} {threads:>9} {speed:>11,.0f}{ratio}")
    difference = int(np.abs(np.stack(with_pillow[0]).astype(np.int16) - drawn.pixels).max())
    print(f"    {'largest difference to Pillow':<31} {'':>9} {difference:>8} of 255\n")
    return difference <= 1


def _pillow_crop(jpeg: bytes, box: Any, flip: bool) -> Any:
    """Cut, resize and mirror one crop as torchvision does on top of Pillow."""
    import io

    import numpy as np

    image_module = require_pillow()
    top, left, height, width = box.tolist()
    picture = image_module.open(io.BytesIO(jpeg)).convert("RGB").crop((left, top, left + width, top + height))
    picture = picture.resize((_CROP, _CROP), image_module.Resampling.BILINEAR)
    return np.asarray(picture.transpose(image_module.Transpose.FLIP_LEFT_RIGHT) if flip else picture)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


def _speed(work: Callable[[], Any], count: int) -> float:
    """Return items a second, in the best of some rounds."""
    rounds = [_timed(work)[1]]
    while sum(rounds) < _MEASURED_S:
        rounds.append(_timed(work)[1])
    return count / min(rounds)


def _draw(store: arraystore.Store, path: Path) -> None:
    import numpy as np

    begun = time.perf_counter()
    sound = np.flatnonzero(store.status == 0)
    rows = np.sort(np.random.default_rng(1).permutation(sound)[: _SHEET_ROWS * _SHEET_COLUMNS])
    crops = store.crops(rows, _CROP, scale=(0.35, 1.0), flip=0.5, seed=1)
    orders = store.columns.get("order")
    captions = [
        (key, (orders[int(row)] or "") if orders is not None else "")
        for key, row in zip(store.keys[rows], rows, strict=True)
    ]
    title = f"{len(store):,} records, {len(rows)} random crops"
    draw_contact_sheet(crops, captions, path, title=title, columns=_SHEET_COLUMNS)
    _say("picture", f"{len(rows)} crops with their keys in {path}", time.perf_counter() - begun)


def _say_next(store: arraystore.Store, path: Path) -> None:
    key = store.keys[0]
    print(f"""
  next, in Python:

    import arraystore
    store = arraystore.open("{path}")
    store["{key}"]                           # its pixels, (height, width, 3)
    store.crops(range(64), 224, flip=0.5, epoch=0)     # a batch, (64, 224, 224, 3)
    store.select(split="train").columns.to_pandas()    # its metadata
    store.info()

  and at the prompt: arraystore info {path}; arraystore --help""")


def _say(step: str, text: str, elapsed_s: float | None = None) -> None:
    duration = "" if elapsed_s is None else f"  ({elapsed_s:.1f} s)"
    print(f"  {step:<9} {text}{duration}", flush=True)
