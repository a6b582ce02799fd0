"""How far a long work is: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO, TypeAlias

# Called with records done and bytes done. The core calls it about ten times a second and stops at an exception, so it
# is given even where nothing is shown: then Ctrl-C is noticed at once.
Advance: TypeAlias = Callable[[int, int], None]

_LINE_INTERVAL_S = 5.0


class Progress(Protocol):
    """Something that shows phases of a work, one after another."""

    def phase(self, label: str, *, total: int | None = None, unit: str = "images") -> AbstractContextManager[Advance]:
        """Show one phase.

        Parameters
        ----------
        label : str
            What is being done.
        total : int, optional
            Number of records, if it is known.
        unit : str, default "images"
            What a record is.

        Returns
        -------
        context manager
            Gives the function to call with the numbers of records and bytes so far.
        """


class NoProgress:
    """Shows nothing."""

    @contextmanager
    def phase(self, label: str, *, total: int | None = None, unit: str = "images") -> Iterator[Advance]:  # noqa: ARG002
        """See `Progress.phase`."""
        yield lambda records, nbytes: None  # noqa: ARG005


class BarProgress:
    """A bar with rate and remaining time.

    Parameters
    ----------
    stream : file
        A terminal.
    delay_s : float, default 0
        Nothing is shown of a phase that ends before.
    """

    def __init__(self, stream: TextIO, delay_s: float = 0.0) -> None:
        self._stream = stream
        self._delay_s = delay_s

    @contextmanager
    def phase(self, label: str, *, total: int | None = None, unit: str = "images") -> Iterator[Advance]:
        """See `Progress.phase`."""
        from tqdm import tqdm

        # Without tqdm's monitor, a thread that would outlive the call.
        tqdm.monitor_interval = 0
        bar = tqdm(
            desc=label,
            total=total,
            unit=f" {unit}",
            unit_scale=True,
            file=self._stream,
            dynamic_ncols=True,
            delay=self._delay_s,
        )

        def advance(records: int, nbytes: int) -> None:
            if nbytes:
                bar.set_postfix_str(format_nbytes(nbytes), refresh=False)
            bar.update(records - bar.n)

        with bar:
            yield advance


class LineProgress:
    """A line now and then, for log files.

    Parameters
    ----------
    stream : file
        Where lines are written to.
    interval_s : float, default 5
        Least time between two lines of a phase.
    """

    def __init__(self, stream: TextIO, interval_s: float = _LINE_INTERVAL_S) -> None:
        self._stream = stream
        self._interval_s = interval_s

    @contextmanager
    def phase(self, label: str, *, total: int | None = None, unit: str = "images") -> Iterator[Advance]:
        """See `Progress.phase`."""
        start = shown = time.monotonic()
        last = (0, 0)

        def line(records: int, nbytes: int, seconds: float) -> None:
            of_total = f" of {total:,}" if total else ""
            size = f", {format_nbytes(nbytes)}" if nbytes else ""
            rate = f", {records / seconds:,.0f} {unit}/s" if total and seconds > 0.05 else ""
            remaining = ""
            if total and 0 < records < total:
                remaining = f", {seconds * (total - records) / records:,.0f} s left"
            self._stream.write(f"{label}: {records:,}{of_total} {unit}{size}{rate}{remaining}\n")
            self._stream.flush()

        def advance(records: int, nbytes: int) -> None:
            nonlocal shown, last
            last = (records, nbytes)
            now = time.monotonic()
            if now - shown >= self._interval_s:
                shown = now
                line(records, nbytes, now - start)

        yield advance
        if last[0]:
            line(*last, time.monotonic() - start)


def make_progress(progress: bool | None, *, delay_s: float = 0.0) -> Progress:
    """Choose how to show progress on standard error.

    Parameters
    ----------
    progress : bool or None
        True for a bar on a terminal and lines elsewhere, False for nothing, None for a bar on a terminal only.
    delay_s : float, default 0
        For how long a bar is not shown, so that none flashes up for what is quick.

    Returns
    -------
    Progress
    """
    if progress is not False and sys.stderr is not None and sys.stderr.isatty():
        return BarProgress(sys.stderr, delay_s)
    return LineProgress(sys.stderr) if progress else NoProgress()


def format_nbytes(nbytes: float) -> str:
    """Write a number of bytes for people, with decimal units.

    Examples
    --------
    >>> format_nbytes(39_100_000_000)
    '39.1 GB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.0f} {unit}" if unit == "bytes" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} TB"


def format_count(count: int, one: str, many: str | None = None) -> str:
    """Write a number of things for people.

    Parameters
    ----------
    count : int
        How many.
    one : str
        What one of them is called.
    many : str, optional
        What several of them are called; by default `one` with an `s`.

    Returns
    -------
    str

    Examples
    --------
    >>> format_count(1, "image"), format_count(2_000, "image")
    ('1 image', '2,000 images')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
