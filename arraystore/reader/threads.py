"""How many threads a batch call uses."""

from __future__ import annotations

import os

from arraystore.errors import InvalidRequestError

__all__ = ["ENVIRONMENT_VARIABLE", "thread_count"]

ENVIRONMENT_VARIABLE = "ARRAYSTORE_NUM_THREADS"


def thread_count(threads: int | None = None) -> int:
    """Return the number of threads for one call.

    Parameters
    ----------
    threads : int, optional
        As the caller gave it. Without it, the environment variable ``ARRAYSTORE_NUM_THREADS`` counts, and without
        that the number of cores this process may use.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    InvalidRequestError
        If the argument or the variable is not a positive integer.

    Examples
    --------
    >>> thread_count(3)
    3
    """
    if threads is not None:
        if isinstance(threads, bool) or threads < 1:
            raise InvalidRequestError(f"threads={threads!r}: expected at least 1, or None for all cores")
        return threads
    wanted = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if not wanted:
        return _usable_cores()
    # "²" is a digit for str.isdigit, and not for int.
    if not (wanted.isascii() and wanted.isdigit()) or int(wanted) < 1:
        raise InvalidRequestError(f"{ENVIRONMENT_VARIABLE}={wanted!r}: expected at least 1, or no such variable")
    return int(wanted)


def _usable_cores() -> int:
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    # Where there is no affinity (macOS), all cores are ours.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
