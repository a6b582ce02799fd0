"""`arraystore append`: further images and rows added to a store."""

from __future__ import annotations

import argparse
import json
from typing import Any

import arraystore

__all__ = ["add_parser", "run"]

_EPILOG = """\
Readers that have the store open keep reading what they opened. The same command, run again after an interruption,
finishes what is missing; an append that is not finished leaves the store as it was.

exit codes:
  0  all went well
  1  failure, such as another image for a key of the store; the store stays as it was, see the message
  2  wrong usage
  3  finished, with troubles, as for ingest; they are listed in STORE.generation-N.troubles.csv

examples:
  arraystore ingest BIOSCAN_5M_cropped_256_pretrain.zip -o cropped_256.zarr --metadata metadata.csv
  arraystore append cropped_256.zarr BIOSCAN_5M_cropped_256_train.zip --metadata metadata.csv
  arraystore append cropped_256.zarr BIOSCAN_5M_cropped_256_eval.zip --metadata metadata.csv
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
        "append",
        help="add further images and rows to a store",
        description="Adds the images of further folders or zips, and the rows of their table, to a store in Zarr.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("store", metavar="STORE", help="the store to add to")
    add("sources", metavar="SRC", nargs="+", help="folder of images, or zip archives, as for ingest")
    add("--metadata", metavar="TABLE", help="CSV or TSV; looked for in its published place beside the images")
    add("--key", metavar="COLUMN", help="column of the table that names the images of a folder")
    add("--package", metavar="NAME", help="such as cropped_256, or folder for no publisher's; told from the paths")
    add(
        "--check",
        choices=("header", "pixels"),
        default="header",
        help="check each new image by its markers (default), or decode it as a whole",
    )
    add(
        "--rows",
        choices=("all", "images"),
        help="add all rows of the table that are new, or those with an image (default: as the store was made)",
    )
    add(
        "--workers",
        metavar="N",
        type=int,
        help="threads (default: $ARRAYSTORE_NUM_THREADS, or all cores; four to a core, up to 32, for files of folders)",
    )
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
        0, or 3 if it finished with troubles.
    """
    report = arraystore.append(
        arguments.store,
        arguments.sources,
        package=arguments.package,
        metadata=arguments.metadata,
        key=arguments.key,
        check=arguments.check,
        rows=arguments.rows,
        workers=arguments.workers,
        progress=not arguments.quiet,
    )
    print(json.dumps(report.to_json(), indent=1) if arguments.json else report)
    return report.exit_code
