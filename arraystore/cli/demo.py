"""`arraystore demo`: from a package of JPEGs to a store, its speeds and a contact sheet, in some seconds."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arraystore

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  arraystore demo                                    a small package, drawn for the occasion
  arraystore demo ~/bioscan5m/images/cropped_256     yours
  arraystore demo BIOSCAN_5M_cropped_256_eval.zip --out /tmp/demo
"""

_DRAWN_IMAGES = 400
# Larger packages are measured on a sample of this size.
_MEASURED_IMAGES = 800
_CROP = 224
_SHEET_ROWS, _SHEET_COLUMNS = 4, 7


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
    parser.add_argument("source", metavar="SRC", nargs="?", help="folder or zip of images")
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
    # Imported here, as in the other steps: the parser of all commands loads this module, and should load no more.
    from arraystore.cli.speeds import decodable_rows, measure
    from arraystore.testing.pillow import require_pillow

    require_pillow()
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    path, sheet = out / "demo.zarr", out / "demo.png"
    sources, metadata = _prepare_source(arguments.source, out)
    _make_store(sources, metadata, path)
    if not _verify(path):
        return 1
    with arraystore.open(path) as store:
        rows = decodable_rows(store, _MEASURED_IMAGES)
        if not len(rows):
            _say("reading", "there is no image that could be decoded")
            return 1
        speeds = measure(store, rows, size=_CROP)
        print(f"\n{speeds}\n")
        _draw(store, rows, sheet)
        _say_next(store, store.keys[int(rows[0])])
    return 0 if speeds.largest_difference <= 1 else 1


def _prepare_source(source: str | None, out: Path) -> tuple[list[Path], Path | None]:
    if source is not None:
        _say("package", source)
        return [Path(source)], None
    from arraystore.testing import make_bioscan5m

    begun = time.perf_counter()
    package = make_bioscan5m(out / "demo-source", _DRAWN_IMAGES)
    nbytes = sum(map(len, package.jpegs["cropped_256"].values()))
    text = f"{_DRAWN_IMAGES} insects drawn into {out / 'demo-source'}, {nbytes / 1e6:.1f} MB of JPEGs"
    _say("package", text, time.perf_counter() - begun)
    return package.sources(), package.metadata


def _make_store(sources: Sequence[Path], metadata: Path | None, path: Path) -> None:
    report = arraystore.ingest(sources, path, metadata=metadata, overwrite=True)
    # For some hundred images the rate would tell of syncing files, not of images.
    rate = f", {report.images_per_s:,.0f} images/s" if report.seconds > 1 else ""
    _say("ingest", f"{report.records:,} records in {path}{rate}", report.seconds)
    for kind, count in report.troubles.items():
        _say("", f"{count:,} x {kind}, listed in {report.troubles_path}")


def _verify(path: Path) -> bool:
    begun = time.perf_counter()
    report = arraystore.verify(path)
    text = "every checksum agrees" if report.ok else f"{len(report.problems)} problems: run arraystore verify {path}"
    _say("verify", text, time.perf_counter() - begun)
    return bool(report.ok)


def _draw(store: arraystore.Store, decodable: npt.NDArray[np.int64], path: Path) -> None:
    from arraystore.cli.contact_sheet import draw_contact_sheet

    begun = time.perf_counter()
    rows = decodable[: _SHEET_ROWS * _SHEET_COLUMNS]
    crops = store.crops(rows, _CROP, scale=(0.35, 1.0), flip=0.5, seed=1)
    orders = store.columns.get("order")
    captions = [
        (key, (orders[int(row)] or "") if orders is not None else "")
        for key, row in zip(store.keys[rows], rows, strict=True)
    ]
    title = f"{len(store):,} records, {len(rows)} random crops"
    draw_contact_sheet(crops, captions, path, title=title, columns=_SHEET_COLUMNS)
    _say("picture", f"{len(rows)} crops with their keys in {path}", time.perf_counter() - begun)


def _say_next(store: arraystore.Store, key: str) -> None:
    path = store.path
    lines = [
        (f'store["{key}"]', "its pixels, (height, width, 3)"),
        ("store.crops(range(64), 224, flip=0.5, epoch=0)", "a batch, (64, 224, 224, 3)"),
        ('store.select(split="train").columns.to_pandas()', "metadata of a part"),
        ("store.info()", "what there is"),
    ]
    print(f'\n  next, in Python:\n\n    import arraystore\n    store = arraystore.open("{path}")')
    for code, comment in lines:
        print(f"    {code:<49} # {comment}")
    print(f"\n  and at the prompt: arraystore info {path}; arraystore --help")


def _say(step: str, text: str, elapsed_s: float | None = None) -> None:
    duration = "" if elapsed_s is None else f"  ({elapsed_s:.1f} s)"
    print(f"  {step:<9} {text}{duration}", flush=True)
