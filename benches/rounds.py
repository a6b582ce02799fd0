"""Timing contenders in turn, round after round, so that a drift of the machine meets all of them alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

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


def write_json(results: list[Result], path: Path) -> None:
    """Write results for programs."""
    path.write_text(json.dumps([asdict(each) for each in results], indent=1) + "\n")


def plot(results: list[Result], path: Path) -> None:
    """Draw a bar for each result, a panel for each work."""
    from matplotlib.figure import Figure

    works = list(dict.fromkeys(each.work for each in results))
    figure = Figure(figsize=(9, 1.1 * len(results) ** 0.9), layout="constrained")
    heights = [sum(each.work == work for each in results) for work in works]
    for axes, work in zip(figure.subplots(len(works), height_ratios=heights, squeeze=False)[:, 0], works, strict=True):
        rivals = [each for each in results if each.work == work][::-1]
        names = [each.contender for each in rivals]
        speeds = [each.median for each in rivals]
        spread = [[each.median - each.slowest for each in rivals], [each.fastest - each.median for each in rivals]]
        colours = ["#2f6f4f" if name.startswith("arraystore") else "#b8b8b0" for name in names]
        bars = axes.barh(names, speeds, xerr=spread, color=colours, ecolor="#555555")
        axes.bar_label(bars, [f" {speed:,.0f}/s" for speed in speeds], padding=6, fontsize=8)
        axes.set_title(work, loc="left", fontsize=9)
        axes.margins(x=0.18)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
