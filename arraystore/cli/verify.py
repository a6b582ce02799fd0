"""`arraystore verify`: the proof that a store is as it was written."""

from __future__ import annotations

import argparse
import json
from typing import Any

import arraystore

__all__ = ["add_parser", "run"]

_EPILOG = """\
exit codes:
  0  every checksum agrees
  1  the store is damaged, or cannot be opened

examples:
  arraystore verify cropped_256.zarr
  arraystore verify cropped_256.zarr --quiet --json > report.json
  arraystore verify BIOSCAN_5M_cropped_256_eval.zip          as far as it has checksums
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
        "verify",
        help="compare every byte of a store with its checksums",
        description="Compares every file and every record of a store with its checksum, and names what is damaged. "
        "Of a source, members of zips are compared with their CRC-32.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("store", metavar="STORE", help="directory of a store; or a zip or folder of images, as it is")
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
        0, or 1 if the store is damaged.
    """
    report = arraystore.verify(arguments.store, workers=arguments.workers, progress=not arguments.quiet)
    print(json.dumps(report.to_json(), indent=1) if arguments.json else report)
    return 0 if report.ok else 1
