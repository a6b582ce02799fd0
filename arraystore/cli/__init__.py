"""The command line `arraystore`: one module per command, each with `add_parser` and `run`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import arraystore

__all__ = ["main"]

_COMMANDS = ("ingest", "append", "merge", "export", "index", "info", "get", "verify", "demo", "bench")
# What an interruption leaves is finished by the same command.
_TAKEN_UP_AGAIN = ("ingest", "append", "merge", "export", "index")

_DESCRIPTION = "An array store for millions of small scientific JPEGs: lossless Zarr v3, read as random crops."
_EXAMPLES = """\
examples:
  arraystore ingest bioscan5m/images/cropped_256 -o cropped_256.zarr
  arraystore info cropped_256.zarr
  arraystore get cropped_256.zarr ABOTH966-22 -o ABOTH966-22.jpg
  arraystore verify cropped_256.zarr
  arraystore bench cropped_256.zarr

exit codes:
  0  all went well
  1  failure
  2  wrong usage
  3  ingest finished, with troubles that are counted in its summary and listed beside the store
  130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process if not given.

    Returns
    -------
    int
        The exit code. An error is one line on standard error; with `ARRAYSTORE_DEBUG=1` it is raised.
    """
    parsed = _make_parser().parse_args(arguments)
    if os.environ.get("ARRAYSTORE_DEBUG") == "1":
        return int(parsed.run(parsed))
    try:
        return int(parsed.run(parsed))
    except BrokenPipeError:
        # The reader of our output, such as `head`, has gone. What is still buffered must not be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (arraystore.errors.ArrayStoreError, OSError, ImportError, IndexError) as error:
        print(f"arraystore: error: {_message(error)}", file=sys.stderr)
        return 1
    except MemoryError:
        print("arraystore: error: out of memory", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        advice = "; run the same command again to finish" if parsed.command in _TAKEN_UP_AGAIN else ""
        print(f"\narraystore: interrupted{advice}", file=sys.stderr)
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "arraystore",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in _COMMANDS:
        module = import_module(f"arraystore.cli.{name}")
        module.add_parser(subparsers).set_defaults(run=module.run)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # At call, so that the compiled core is loaded only for this.
        print(f"arraystore {arraystore.__version__}")
        parser.exit()


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error)
