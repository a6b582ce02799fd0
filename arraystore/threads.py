"""How many threads a call uses."""

from __future__ import annotations

import operator
import os

from arraystore.errors import InvalidRequestError

__all__ = ["ENVIRONMENT_VARIABLE", "thread_count"]

ENVIRONMENT_VARIABLE = "ARRAYSTORE_NUM_THREADS"

# More have no use anywhere, and could not be started in most places.
_MAX_THREADS = 1024

# Threads to a core that wait for files most of the time, and as many as a disk has use for.
_WAITING_A_CORE = 4
_MOST_WAITING = 32


def thread_count(threads: object = None, *, name: str = "threads", waiting: bool = False) -> int:
    """Return the number of threads for one call.

    Parameters
    ----------
    threads : int, optional
        As the caller gave it. Without it, the environment variable ``ARRAYSTORE_NUM_THREADS`` counts, and without
        that the number of cores this process may use.
    name : str, default "threads"
        What the caller calls it, for messages.
    waiting : bool, default False
        Whether they open many files, each of which must be waited for. Then, without a number, there are four to a
        core, but no more than 32 unless there are more cores.

    Returns
    -------
    int
        From 1 to 1,024.

    Raises
    ------
    InvalidRequestError
        If the argument or the variable is no such number.

    Examples
    --------
    >>> thread_count(3)
    3
    """
    if threads is not None:
        return _checked(threads, f"{name}={threads!r}", f"leave {name} away for all cores")
    wanted = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if not wanted:
        cores = _usable_cores()
        return max(cores, min(_WAITING_A_CORE * cores, _MOST_WAITING)) if waiting else cores
    # "²" is a digit for str.isdigit, and not for int; and int takes a while for a million digits.
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else None
    return _checked(number, f"{ENVIRONMENT_VARIABLE}={wanted!r}", "remove the variable for all cores")


def _checked(threads: object, shown: str, advice: str) -> int:
    try:
        # Also the integers of NumPy, but no text and no fraction.
        number = 0 if isinstance(threads, bool) else operator.index(threads)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if not 1 <= number <= _MAX_THREADS:
        raise InvalidRequestError(f"{shown}: expected a whole number of threads from 1 to {_MAX_THREADS:,}; {advice}")
    return number


def _usable_cores() -> int:
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    # Where there is no affinity (macOS), all cores are ours.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
