"""`arraystore index`: seek tables, which make crops fast."""

from __future__ import annotations

import argparse
import json
from typing import Any

import arraystore

__all__ = ["add_parser", "run"]

_EPILOG = """\
Pixels are the same with and without the tables. They stand beside the store, in STORE.image.seek; the file may be
removed, and made again.

exit codes:
  0  all went well
  1  failure; the store is as it was

examples:
  arraystore index cropped_256.zarr
  arraystore index BIOSCAN_5M_cropped_256_eval.zip           a source as it is: in the cache folder
  arraystore index cropped_256.zarr --check pixels           and prove each image against libjpeg-turbo
"""


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
        "index",
        help="make the seek tables of a store, for fast crops",
        description="Notes where each row of blocks of every JPEG begins, so that crops decode only what they need. "
        "`arraystore ingest` does it already.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("store", metavar="STORE", help="a store; or a zip or folder of images, as it is")
    parser.add_argument(
        "--check",
        choices=("header", "pixels"),
        default="header",
        help="pixels: decode each image by libjpeg-turbo as well, and leave those that differ to it",
    )
    parser.add_argument(
        "--workers", metavar="N", type=int, help="threads (default: $ARRAYSTORE_NUM_THREADS, or all cores)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : argparse.Namespace
        As `add_parser` defines them.

    Returns
    -------
    int
        0.
    """
    report = arraystore.index(
        arguments.store, check=arguments.check, workers=arguments.workers, progress=not arguments.quiet
    )
    print(json.dumps(report.to_json(), indent=1) if arguments.json else report)
    return 0
