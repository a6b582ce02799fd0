"""A contest of peers, each in a process of its own, in turn, round after round; with checks of what they read."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from contestant import Contestant
from figures import Result, plot, table, write_json
from peers import NotInstalledError, Peer, Task, peers_of
from processes import PeakMemory, cpu_s, settle

# What each compares the answers of a peer with, and the words for the table; it raises ValueError if they disagree.
Check = Callable[[Peer, Task, Path], str]


@dataclass(frozen=True)
class Contest:
    """What is contested.

    Attributes
    ----------
    works : tuple of str
        One after another.
    modules : tuple of str
        Of `peers`, that define who takes part.
    drive : {"rows", "epochs"}
        How a peer is asked to work; see `drives`.
    unit : str
        What is counted.
    check : callable
        Compares what a peer read in its first turn.
    """

    works: tuple[str, ...]
    modules: tuple[str, ...]
    drive: str
    unit: str
    check: Check


class Record:
    """What is found of one peer in one work."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.said = self.failed = ""
        self.first_s: list[float] = []
        self.speeds: list[float] = []
        self.cpu_s = self.count = self.memory_bytes = 0.0
        self.process: Contestant | None = None

    def check(self, contest: Contest, task: Task) -> None:
        """Let it make its files, and compare what it reads."""
        process = Contestant(self.peer, task, modules=contest.modules, drive=contest.drive)
        try:
            process.opened()
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "found.npz"
                process.ask(check=str(path))
                self.said = contest.check(self.peer, task, path)
        finally:
            process.stop()

    def start(self, contest: Contest, task: Task, starts: int) -> None:
        """Time the first batch of several processes; the last one stays."""
        for number in range(starts):
            self.process = Contestant(self.peer, task, modules=contest.modules, drive=contest.drive)
            self.process.opened()
            self.first_s.append(self.process.ask(first=True)["now"] - self.process.begun)
            if number < starts - 1:
                self.process.stop()
        self.process.ask(turn=0)

    def turn(self, number: int) -> None:
        assert self.process
        pid = self.process.process.pid
        settle(pid)
        before = cpu_s(pid)
        done = self.process.ask(turn=number)
        settle(pid)
        self.speeds.append(done["count"] / done["seconds"])
        self.cpu_s += cpu_s(pid) - before
        self.count += done["count"]

    def measure_memory(self, number: int) -> None:
        """One more turn, which is not timed: looking at memory takes time."""
        assert self.process
        with PeakMemory(self.process.process.pid) as peak:
            self.process.ask(turn=number)
        self.memory_bytes = max(0, peak.nbytes - self.process.imported_bytes)


def installed(peer: Peer) -> bool:
    try:
        return all(importlib.util.find_spec(module.partition(".")[0]) for module in peer.needs)
    except ValueError:
        return False


def contested(contest: Contest, task: Task, *, rounds: int, starts: int, only: Sequence[str]) -> list[Result]:
    """Let all peers of a work take turns.

    Returns
    -------
    list of Result
        The first is arraystore, which the others are compared with in each round.
    """
    wanted = [
        each
        for each in peers_of(task.work, contest.modules)
        if not only or any(word.lower() in each.name.lower() for word in only) or each.name.startswith("arraystore")
    ]
    records = [Record(each) for each in wanted if installed(each)]
    alive: list[Record] = []
    try:
        for record in records:
            try:
                record.check(contest, task)
                record.start(contest, task, starts)
                alive.append(record)
            except NotInstalledError as error:
                record.failed = f"not installed: {error}"
            except (ValueError, OSError) as error:
                record.failed = f"failed: {error}"
        if not alive or not alive[0].peer.name.startswith("arraystore"):
            raise SystemExit(f"{task.work}: arraystore did not run, so that there is nothing to compare with")
        for number in range(1, rounds + 1):
            # Each round begins with another one, so that none always follows the same.
            for record in alive[number % len(alive) :] + alive[: number % len(alive)]:
                record.turn(number)
        for record in alive:
            record.measure_memory(rounds + 1)
    finally:
        for record in records:
            if record.process:
                record.process.stop()
    absent = [
        Result(task.work, each.name, each.settings, state="not installed") for each in wanted if not installed(each)
    ]
    base = np.array(alive[0].speeds)
    return [result_of(task.work, record, base) for record in records] + absent


def result_of(work: str, record: Record, base: np.ndarray) -> Result:
    peer = record.peer
    if record.failed:
        return Result(work, peer.name, peer.settings, state=record.failed)
    speeds = np.array(record.speeds)
    return Result(
        work,
        peer.name,
        peer.settings,
        state=record.said,
        median=float(np.median(speeds)),
        slowest=float(speeds.min()),
        fastest=float(speeds.max()),
        ratio=float(np.median(speeds / base)),
        cpu_s_per_1000=1000 * record.cpu_s / record.count,
        memory_mb=record.memory_bytes / 1e6,
        first_s=float(np.median(record.first_s)),
    )


def versions(modules: Sequence[str]) -> dict[str, str]:
    """Versions of the packages that installed modules come from."""
    packages = importlib.metadata.packages_distributions()
    found = set()
    for module in modules:
        # Several packages may share a name, such as `nvidia`; the one that is meant has the rest of it in its own.
        parts = module.split(".")
        top, last = parts[0], parts[-1]
        given = packages.get(top, [])
        found |= set(sorted(given, key=lambda name: (name != top, last not in name))[:1])
    return {name: importlib.metadata.version(name) for name in sorted(found, key=str.lower)}


def make_parser(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of each peer that are timed")
    parser.add_argument("--starts", type=int, default=3, help="processes of each peer whose first batch is timed")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="peers with WORD in their name")
    parser.add_argument("--work", action="append", default=[], metavar="WORD", help="works with WORD in their name")
    parser.add_argument("--folder", type=Path, help="keep what is made here, for the next time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    return parser


def finish(contest: Contest, results: list[Result], options: argparse.Namespace) -> int:
    """Print the table, write the files, and return the exit code."""
    print(table(results, unit=contest.unit))
    ran = {(each.work, each.contender) for each in results if each.median is not None}
    peers = [(work, each) for work in contest.works for each in peers_of(work, contest.modules)]
    found = versions([module for work, each in peers if (work, each.name) in ran for module in each.needs])
    print("\n" + ", ".join(f"{name} {version}" for name, version in found.items()))
    if options.json:
        write_json(results, options.json, versions=found, unit=contest.unit)
    if options.plot:
        plot(results, options.plot, unit=contest.unit)
    failed = [each for each in results if each.state.startswith("failed")]
    for each in failed:
        print(f"{each.work}: {each.contender} {each.state}", file=sys.stderr)
    return 1 if failed else 0


def run_of_images(contest: Contest, description: str | None, *, rounds: int, turn_rows: int, threads: int) -> int:
    """Be the `main` of a contest over the images of one package."""
    from corpus import make_corpus

    parser = make_parser(description, rounds=rounds)
    parser.add_argument("source", nargs="?")
    parser.add_argument("--images", type=int, default=4000)
    options = parser.parse_args()

    def make(folder: Path) -> int:
        return make_corpus(folder, options.source, options.images)

    return run(contest, options, make, Task(Path(), "", 0, 256, threads, turn_rows))


def run(contest: Contest, options: argparse.Namespace, make: Callable[[Path], int], task: Task) -> int:
    """Make the items, hold the contest in each work, and tell of it.

    Parameters
    ----------
    contest : Contest
        What is contested.
    options : argparse.Namespace
        Those of `make_parser`.
    make : callable
        Makes the items in a folder, and returns how many.
    task : Task
        What all works have in common.

    Returns
    -------
    int
        0, or 1 if a peer failed or reads something else.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        count = make(folder)
        print(
            f"{count:,} {contest.unit}, Python {platform.python_version()}, "
            f"{len(os.sched_getaffinity(0))} cores, {options.rounds} rounds, {options.starts} starts\n"
        )
        results = []
        for work in contest.works:
            if not options.work or any(word in work for word in options.work):
                mine = replace(task, folder=folder, count=count, work=work)
                results += contested(contest, mine, rounds=options.rounds, starts=options.starts, only=options.only)
    return finish(contest, results, options)
