"""`arraystore info`: what a store holds."""

from __future__ import annotations

import argparse
import json
from typing import Any

import arraystore

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  arraystore info cropped_256.zarr
  arraystore info cropped_256.zarr --json
  arraystore info BIOSCAN_5M_cropped_256_eval.zip
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
        "info",
        help="show what a store holds",
        description="Shows package, records by split and by status, sizes, columns and format of a store.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("store", metavar="STORE", help="directory of a store; or a zip or folder of images, as it is")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
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
    with arraystore.open(arguments.store) as store:
        info = store.info()
    print(json.dumps(dict(info), indent=1) if arguments.json else info)
    return 0
