"""`arraystore export`: a store into another container, or back into files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import arraystore

__all__ = ["add_parser", "run"]

_EPILOG = """\
A name that ends in .zarr, .h5 or .hdf5 is a store, one that ends in .zip an archive of the original images with the
table beside it, and any other one a folder of the images in their publisher's layout, with the table.
The same command, run again after an interruption, finishes a store; files are written anew.

exit codes:
  0  all went well
  1  failure; nothing that is half-written looks whole, see the message
  2  wrong usage

examples:
  arraystore export cropped_256.zarr -o cropped_256.h5
  arraystore export cropped_256.zarr -o bioscan/              the folder tree of BIOSCAN-5M again
  arraystore export cropped_256.zarr -o train.zip --select split=train
  arraystore export grown.zarr -o compact.zarr
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
        "export",
        help="copy a store into another container, or back into files",
        description="Copies a store into another one, or into the files of its publisher, with every byte kept.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("store", metavar="STORE", help="the store to copy")
    add("-o", "--output", metavar="TARGET", required=True, help="what to make")
    add("--to", choices=("store", "folder", "zip"), help="what to make, whatever it is called")
    add("--select", metavar="COLUMN=VALUE", action="append", default=[], help="only these records; may be repeated")
    add("--keys", metavar="FILE", help="only the records whose keys stand in this file, one on each line")
    add("--workers", metavar="N", type=int, help="threads (default: $ARRAYSTORE_NUM_THREADS, or all cores)")
    add("--overwrite", action="store_true", help="replace a store, archive or folder that an export made there")
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
    options = {
        "form": arguments.to,
        "workers": arguments.workers,
        "progress": not arguments.quiet,
        "overwrite": arguments.overwrite,
    }
    if not arguments.select and arguments.keys is None:
        report = arraystore.export(arguments.store, arguments.output, **options)
    else:
        with arraystore.open(arguments.store) as store:
            records = store.select(_conditions(arguments.select, store))
            if arguments.keys is not None:
                records = records.select(Path(arguments.keys))
            if not len(records):
                raise arraystore.errors.InvalidRequestError(f"{arguments.store}: no record is selected")
            report = arraystore.export(records, arguments.output, **options)
    print(json.dumps(report.to_json(), indent=1) if arguments.json else report)
    return 0


def _conditions(given: list[str], store: arraystore.Store) -> dict[str, list[Any]]:
    conditions: dict[str, list[Any]] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not separator:
            raise arraystore.errors.InvalidRequestError(f"--select {each}: expected COLUMN=VALUE, such as split=train")
        # Named twice, either value will do.
        conditions.setdefault(name, []).append(_value(value, name, store))
    return conditions


_BOOLEANS = {"true": True, "false": False}


def _value(text: str, name: str, store: arraystore.Store) -> str | float | bool | None:
    """Return a value as those of its column are; nothing stands for a missing one."""
    kind = store.columns[name][:0].dtype.kind
    if kind == "O" or not text:
        return text or None
    # Flags of which some are missing are kept as numbers.
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        expected = "true or false" if kind == "b" else "a number"
        raise arraystore.errors.InvalidRequestError(f"--select {name}={text}: expected {expected}") from None
