"""Runs cases in a worker process, with a limit of time and memory for each."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coverage_models.case import Case

__all__ = ["Worker"]

ROOT = Path(__file__).parent.parent.parent
START = 60.0
"""Seconds that a new worker may take to import its libraries."""


class Worker:
    """A process that compiles cases; one that overruns its limits is replaced.

    Args:
        seconds: time a case.
        memory: address space of the process, in bytes.
    """

    def __init__(self, seconds: float, memory: int) -> None:
        self.seconds = seconds
        self.memory = memory
        self.process: subprocess.Popen[str] | None = None

    def run(self, case: Case) -> dict[str, Any]:
        """The row of one case."""
        fresh = self.process is None or self.process.poll() is not None
        if fresh:
            self.process = self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{case.key}\n")
        self.process.stdin.flush()
        limit = self.seconds + (START if fresh else 0)
        if not select.select([self.process.stdout], [], [], limit)[0]:
            self.close()
            return self._failure(case, f"not done after {self.seconds:.0f} s")
        line = self.process.stdout.readline()
        if line:
            row: dict[str, Any] = json.loads(line)
            return row
        self.close()
        return self._failure(case, f"the process died (its limit is {self.memory / 1e9:.0f} GB)")

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _failure(self, case: Case, reason: str) -> dict[str, Any]:
        about = {"key": case.key, "group": case.group, "family": case.family, "name": case.name}
        return about | {"seconds": self.seconds, "error": reason}

    def _start(self) -> subprocess.Popen[str]:
        folders = (ROOT, ROOT / "plugins", ROOT / "encoders", ROOT / "benchmarks")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "HF_HUB_OFFLINE": "1",
            "PYTHONWARNINGS": "ignore",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "coverage_models.worker", str(self.memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
