"""Timing contenders of one process in turn, round after round, so that a drift of the machine meets all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """One way to do one piece of work.

    Attributes
    ----------
    work : str
        What is done, the same for all contenders: `area/operation/case`.
    contender : str
        Who does it.
    run : callable
        Does it for the rows it is given.
    """

    work: str
    contender: str
    run: Callable[[np.ndarray], object]


@dataclass(frozen=True)
class Result:
    """Speed of one case, in items a second: median, slowest and fastest round, and the ratio to the baseline.

    The ratio is the median of the ratios of the rounds.
    """

    work: str
    contender: str
    median: float
    slowest: float
    fastest: float
    ratio: float


def measure(cases: list[Case], batches: Mapping[str, list[np.ndarray]], *, baseline: str) -> list[Result]:
    """Run all cases of each work in turn, once for each batch of rows.

    Parameters
    ----------
    cases : list of Case
        Contenders, in any order.
    batches : mapping of str to list of ndarray
        For each work, the rows of each round.
    baseline : str
        Contender that the others are compared with, in each round.

    Returns
    -------
    list of Result
        In the order of the cases.
    """
    results = []
    for work in dict.fromkeys(case.work for case in cases):
        rivals = [case for case in cases if case.work == work]
        for case in rivals:
            case.run(batches[work][0])
        speeds = {case.contender: [] for case in rivals}
        for number, rows in enumerate(batches[work]):
            # Each round begins with another one, so that none always follows the same.
            for case in rivals[number % len(rivals) :] + rivals[: number % len(rivals)]:
                begun = time.perf_counter()
                case.run(rows)
                speeds[case.contender].append(len(rows) / (time.perf_counter() - begun))
        base = np.array(speeds[baseline])
        for contender, values in speeds.items():
            found = np.array(values)
            summary = [float(value) for value in (np.median(found), found.min(), found.max(), np.median(found / base))]
            results.append(Result(work, contender, *summary))
    return results


def table(results: list[Result], *, baseline: str) -> str:
    """Format results for a terminal and for Markdown."""
    lines = [f"| work | contender | per second | range | {baseline} is |", "| --- | --- | ---: | --- | ---: |"]
    for each in results:
        compared = "" if each.contender == baseline else f"{1 / each.ratio:.2f} x"
        lines.append(
            f"| {each.work} | {each.contender} | {each.median:,.0f} "
            f"| {each.slowest:,.0f} to {each.fastest:,.0f} | {compared} |"
        )
    return "\n".join(lines)
