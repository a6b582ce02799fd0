"""`arraystore bench`: how fast a store is on this machine, and what bounds it."""

from __future__ import annotations

import argparse
import json
from typing import Any

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  arraystore bench cropped_256.zarr
  arraystore bench cropped_256.zarr --batch-size 512 --size 384 --threads 8
  arraystore bench biosr.zarr --json
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
        "bench",
        help="measure how fast a store is read, and what bounds it",
        description="Reads random records of a store: original bytes, whole images, random crops, the loader; or "
        "patches. With one thread, two, four and so on. Then the same loop with the files not in memory, in memory, "
        "and as if reading were free, and which of disk, processors and memory bounds it. The files of the store are "
        "dropped from the page cache for it, if the system can; else it is said. Nothing is written.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("store", metavar="STORE", help="directory of a store; or a zip or folder of images, as it is")
    parser.add_argument("--records", type=int, default=2000, metavar="N", help="a random sample (default: 2000)")
    parser.add_argument("--batch-size", type=int, default=256, metavar="N", help="records of a batch (default: 256)")
    parser.add_argument("--size", type=int, default=224, metavar="PIXELS", help="side of the crops (default: 224)")
    parser.add_argument("--threads", type=int, metavar="N", help="the most threads (default: all cores)")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="for each figure (default: 1)")
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
    from arraystore.cli.figures import figures_of

    found = figures_of(
        arguments.store,
        records=arguments.records,
        batch_size=arguments.batch_size,
        size=arguments.size,
        threads=arguments.threads,
        seconds=arguments.seconds,
    )
    print(json.dumps(found.to_dict(), indent=1) if arguments.json else found)
    return 0
