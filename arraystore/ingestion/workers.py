"""How many threads a work may use."""

from __future__ import annotations

import os

from arraystore.errors import InvalidRequestError


def thread_count(workers: int | None) -> int:
    """Return the number of threads that was asked for, or all processors of this process.

    Parameters
    ----------
    workers : int or None
        As asked for.

    Raises
    ------
    InvalidRequestError
        If it is less than 1.
    """
    if workers is not None and workers < 1:
        raise InvalidRequestError(f"workers {workers}: expected at least 1")
    if workers is not None:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
