"""What a contest found: as a table, as JSON for programs, and as bars."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """Figures of one peer in one work.

    Attributes
    ----------
    work, contender, settings : str
        What was done, by whom, and how.
    state : str
        How what was read agrees; or that the peer is not installed, or failed.
    median, slowest, fastest : float
        Items a second, of the rounds.
    ratio : float
        To the first contender: the median of the ratios of the rounds.
    cpu_s_per_1000 : float
        Processor seconds for a thousand items, of all processes.
    memory_mb : float
        Peak of all processes, beyond that after the imports.
    first_s : float
        From the start of the process to the first batch.
    """

    work: str
    contender: str
    settings: str = ""
    state: str = ""
    median: float | None = None
    slowest: float | None = None
    fastest: float | None = None
    ratio: float | None = None
    cpu_s_per_1000: float | None = None
    memory_mb: float | None = None
    first_s: float | None = None


def table(results: list[Result], *, unit: str) -> str:
    """Format results for a terminal and for Markdown, a table for each work."""
    return "\n\n".join(
        _table_of([each for each in results if each.work == work], work, unit)
        for work in dict.fromkeys(each.work for each in results)
    )


def _table_of(results: list[Result], work: str, unit: str) -> str:
    titles = (work, f"{unit}/s", "range", "arraystore is", "CPU s/1,000", "memory, MB", "first batch, s", "content")
    lines = ["| " + " | ".join(titles) + " |", "| --- |" + " ---: |" * 6 + " --- |"]
    for number, each in enumerate(results):
        name = each.contender + (f" ({each.settings})" if each.settings else "")
        if each.median is None:
            lines.append(f"| {name} | {each.state.partition(':')[0]} | | | | | | |")
            continue
        compared = "" if number == 0 else f"{1 / each.ratio:.2f} x"
        lines.append(
            f"| {name} | {each.median:,.0f} | {each.slowest:,.0f} to {each.fastest:,.0f} | {compared} "
            f"| {each.cpu_s_per_1000:.3g} | {each.memory_mb:,.0f} | {each.first_s:.2f} | {each.state} |"
        )
    return "\n".join(lines)


def write_json(results: list[Result], path: Path, *, versions: Mapping[str, str], unit: str) -> None:
    """Write results for programs."""
    about = {
        "unit": unit,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.platform(),
        "versions": dict(versions),
    }
    path.write_text(json.dumps({**about, "results": [asdict(each) for each in results]}, indent=1) + "\n")


def plot(results: list[Result], path: Path, *, unit: str) -> None:
    """Draw speed, processor time, memory and first batch of all that ran: a row of panels for each work."""
    from matplotlib.figure import Figure

    ran = [each for each in results if each.median is not None]
    works = list(dict.fromkeys(each.work for each in ran))
    heights = [sum(each.work == work for each in ran) for work in works]
    figure = Figure(figsize=(15, 0.9 * len(works) + 0.3 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(works), 4, height_ratios=heights, width_ratios=(2, 1, 1, 1), squeeze=False)
    values = (
        (f"{unit} a second", lambda each: each.median, "{:,.0f}"),
        ("CPU seconds for 1,000", lambda each: each.cpu_s_per_1000, "{:.3g}"),
        ("peak memory, MB", lambda each: each.memory_mb, "{:,.0f}"),
        ("first batch, s", lambda each: each.first_s, "{:.2f}"),
    )
    for row, work in zip(panels, works, strict=True):
        rivals = [each for each in ran if each.work == work][::-1]
        names = [each.contender for each in rivals]
        colours = ["#2f6f4f" if name.startswith("arraystore") else "#b8b8b0" for name in names]
        for column, (axes, (title, value, form)) in enumerate(zip(row, values, strict=True)):
            found = [value(each) for each in rivals]
            spread = [
                [each.median - each.slowest for each in rivals],
                [each.fastest - each.median for each in rivals],
            ]
            bars = axes.barh(names, found, xerr=None if column else spread, color=colours, ecolor="#555555")
            axes.bar_label(bars, [" " + form.format(each) for each in found], padding=4, fontsize=8)
            axes.set_title(f"{work}: {title}" if column == 0 else title, loc="left", fontsize=9)
            axes.margins(x=0.22)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelleft=column == 0, labelsize=8)
    figure.savefig(path, dpi=100)
