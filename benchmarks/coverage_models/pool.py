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
    """A process that compiles and verifies cases; one that overruns its limits is replaced.

    Args:
        memory: address space of the process, in bytes.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.process: subprocess.Popen[str] | None = None

    def compile(self, case: Case, seconds: float) -> dict[str, Any]:
        """The row of one case."""
        about = {"key": case.key, "group": case.group, "family": case.family, "name": case.name}
        return about | self._ask("compile", case, seconds)

    def verify(self, case: Case, seconds: float) -> dict[str, Any]:
        """What the proof of one case says."""
        return self._ask("verify", case, seconds)

    def _ask(self, command: str, case: Case, seconds: float) -> dict[str, Any]:
        fresh = self.process is None or self.process.poll() is not None
        if fresh:
            self.process = self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command} {case.key}\n")
        self.process.stdin.flush()
        limit = seconds + (START if fresh else 0)
        if not select.select([self.process.stdout], [], [], limit)[0]:
            self.close()
            return {"seconds": seconds, "error": f"not done after {seconds:.0f} s"}
        line = self.process.stdout.readline()
        if line:
            row: dict[str, Any] = json.loads(line)
            return row
        self.close()
        return {"seconds": seconds, "error": f"the process died (its limit is {self.memory / 1e9:.0f} GB)"}

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

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
