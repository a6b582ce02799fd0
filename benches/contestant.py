"""The process of one peer, from the side that asks it for turns. What runs in it is in `drives`.

They talk over descriptors of their own, since a library may print.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peers import NotInstalledError, Peer, Task

PROGRAM = str(Path(__file__).with_name("drives.py"))
ANSWER_LIMIT_S = 600.0


class Contestant:
    """The process of one peer. The start is that of the interpreter, imports included."""

    def __init__(self, peer: Peer, task: Task, *, modules: Sequence[str], drive: str) -> None:
        self.name = peer.name
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop()
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, str(orders), str(answers)],
            # A source tree starts from bytecode too, as what is installed does.
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            pass_fds=(orders, answers),
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,
        )
        os.close(orders)
        os.close(answers)
        given = {"name": peer.name, "modules": modules, "drive": drive, "task": asdict(task)}
        self._begin(json.loads(json.dumps(given, default=str)))
        self.imported_bytes: int = 0

    def _begin(self, order: dict[str, Any]) -> None:
        os.write(self._orders, json.dumps(order).encode() + b"\n")

    def _answer(self) -> dict[str, Any]:
        line, until = b"", time.monotonic() + ANSWER_LIMIT_S
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._answers], [], [], 1)
            part = os.read(self._answers, 4096) if ready else b""
            line += part
            if (ready and not part) or self.process.poll() is not None or time.monotonic() > until:
                raise ValueError(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it gave no answer"

    def opened(self) -> None:
        answer = self._answer()
        if "missing" in answer:
            raise NotInstalledError(answer["missing"])
        self.imported_bytes = answer["imported"]

    def ask(self, **order: object) -> dict[str, Any]:
        self._begin(order)
        return self._answer()

    def stop(self) -> None:
        """End the process, and what it started: they are a session of their own."""
        os.close(self._orders)
        os.close(self._answers)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._errors.close()
