"""`arraystore ingest`: a store from folders or zips of images."""

from __future__ import annotations

import argparse
import json
from typing import Any

import arraystore

__all__ = ["add_parser", "run"]

_EPILOG = """\
The same command, run again after an interruption, finishes what is missing.

exit codes:
  0  all went well
  1  failure; nothing is lost, see the message
  2  wrong usage
  3  finished, with troubles: an image that cannot be decoded, a file that cannot be read from the source, a row
     without an image, an image without a row, a row of a further table that is of no record, an image in the
     directory of another split. They are counted in the summary and listed in STORE.troubles.csv. Files that are no
     images (.DS_Store), and duplicates with the same bytes, are listed there too, but are no troubles.

examples:
  arraystore ingest bioscan5m/images/cropped_256 -o cropped_256.zarr
  arraystore ingest BIOSCAN_5M_cropped_256_*.zip -o cropped_256.zarr \\
      --metadata BIOSCAN_5M_Insect_Dataset_metadata.csv
  arraystore ingest photos/ -o photos.zarr --metadata photos.csv --key file
  arraystore ingest BioSR/Microtubules -o biosr.zarr
  arraystore ingest BIOSCAN_5M_cropped_256_train.zip -o train.zarr --rows images --check pixels
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
        "ingest",
        help="make a store from folders or zips of images",
        description="Makes a store of a published image package, or of any folder of JPEGs, with every byte kept.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "sources",
        metavar="SRC",
        nargs="+",
        help="folder of images (any level of the published tree), zip archives, or HDF5 files",
    )
    add(
        "-o",
        "--output",
        metavar="STORE",
        required=True,
        help="store to make, such as cropped_256.zarr; with .h5, one HDF5 file",
    )
    add(
        "--metadata",
        metavar="TABLE",
        action="append",
        help="CSV, TSV or JSON-LD; looked for in its published place beside the images. Given again: a further table, "
        "whose columns are joined by the key",
    )
    add(
        "--key",
        metavar="COLUMN",
        help="column of the table that names the images of a folder (default: key, file, ...)",
    )
    add("--package", metavar="NAME", help="such as cropped_256, or folder for no publisher's; told from the paths")
    add(
        "--check",
        choices=("header", "pixels"),
        default="header",
        help="check each image by its markers (default), or decode it as a whole",
    )
    add(
        "--rows",
        choices=("all", "images"),
        default="all",
        help="keep all rows of the table (default), or those with an image",
    )
    add(
        "--codec",
        choices=("none", "zstd", "blosc"),
        default="none",
        help="compress patches, such as those of BioSR (default: none, so that they can be mapped)",
    )
    add("--no-index", action="store_true", help="make no seek tables; `arraystore index` makes them later")
    add(
        "--workers",
        metavar="N",
        type=int,
        help="threads (default: $ARRAYSTORE_NUM_THREADS, or all cores; four to a core, up to 32, for files of folders)",
    )
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
        0, or 3 if it finished with troubles.
    """
    report = arraystore.ingest(
        arguments.sources,
        arguments.output,
        package=arguments.package,
        metadata=arguments.metadata,
        key=arguments.key,
        check=arguments.check,
        rows=arguments.rows,
        codec=arguments.codec,
        workers=arguments.workers,
        progress=not arguments.quiet,
        overwrite=arguments.overwrite,
        index=not arguments.no_index,
    )
    print(json.dumps(report.to_json(), indent=1) if arguments.json else report)
    return report.exit_code
