"""`arraystore merge`: one store of several."""

from __future__ import annotations

import argparse
import json
from typing import Any

import arraystore

__all__ = ["add_parser", "run"]

_EPILOG = """\
A record that several stores have must be the same in all of them; what one lacks is taken from another.
The same command, run again after an interruption, finishes what is missing.

exit codes:
  0  all went well
  1  failure, such as two different images of one key; the stores stay as they are, see the message
  2  wrong usage

examples:
  arraystore merge pretrain.zarr train.zarr eval.zarr -o cropped_256.zarr
  arraystore merge machine1.zarr machine2.h5 -o both.h5
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
        "merge",
        help="make one store of several",
        description="Makes one store of several: the records of the first, then those that only the second has, ...",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("stores", metavar="STORE", nargs="+", help="the stores, at least two, of one package")
    add("-o", "--output", metavar="STORE", required=True, help="the store to make")
    add("--workers", metavar="N", type=int, help="threads (default: $ARRAYSTORE_NUM_THREADS, or all cores)")
    add("--overwrite", action="store_true", help="replace a store that stands there")
    add("--quiet", action="store_true", help="no progress")
    add("--json", action="store_true", help="print the summary as JSON")
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
    report = arraystore.merge(
        arguments.stores,
        arguments.output,
        workers=arguments.workers,
        progress=not arguments.quiet,
        overwrite=arguments.overwrite,
    )
    print(json.dumps(report.to_json(), indent=1) if arguments.json else report)
    return 0
