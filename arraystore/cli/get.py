"""`arraystore get`: the original bytes of one image."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import arraystore
from arraystore.errors import UnknownKeyError

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  arraystore get cropped_256.zarr ABOTH966-22                 writes ABOTH966-22.jpg
  arraystore get cropped_256.zarr ABOTH966-22 -o insect.jpg
  arraystore get cropped_256.zarr 17 -o - | display           by row number, to standard output
"""

_ROW = re.compile(r"[0-9]+\Z")


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
        "get",
        help="write the original bytes of one image",
        description="Writes the bytes of one image as they came in. A key that is a number is tried as a key first.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("store", metavar="STORE", help="directory of a store; or a zip or folder of images, as it is")
    parser.add_argument("key", metavar="KEY", help="key of the record (processid), or its row number")
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write (default: KEY.jpg); - is standard output")
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
    key: str = arguments.key
    with arraystore.open(arguments.store) as store:
        is_row = key not in store and _ROW.match(key)
        try:
            jpeg = store.jpeg(int(key) if is_row else key)
        except UnknownKeyError as error:
            raise UnknownKeyError(f"{error}; {_advice(store)}", error.code) from None
    if arguments.output == "-":
        sys.stdout.buffer.write(jpeg)
        sys.stdout.buffer.flush()
        return 0
    # A key comes out of a table: it must not name a place elsewhere.
    path = Path(arguments.output or re.sub(r"[^\w.-]", "_", key).lstrip(".") + ".jpg")
    path.write_bytes(jpeg)
    print(f"{path}: {len(jpeg):,} bytes")
    return 0


def _advice(store: arraystore.Store) -> str:
    looks = f"its keys look like {store.keys[0]!r}; " if len(store) else ""
    return f"{looks}see `arraystore info {store.path}`"
