"""Compiles and verifies networks in a process that can be killed: commands in, JSON lines out."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import torch

import wsgraph
from coverage_models import all_cases
from wsgraph.frontends.skeleton import skeleton

if TYPE_CHECKING:
    from coverage_models.case import Case

__all__ = ["COMMANDS", "compile_case", "serve", "verify_case"]


def compile_case(case: Case) -> dict[str, Any]:
    """What the table says of one network: its graph's size and ledger, or why it fails."""
    row: dict[str, Any] = {"key": case.key, "group": case.group, "family": case.family, "name": case.name}
    start = time.process_time()
    try:
        torch.manual_seed(0)
        with skeleton():
            model, inputs = case.build()
        start = time.process_time()
        stream = wsgraph.compile(model.eval(), inputs)
        seconds = time.process_time() - start
        totals = stream.ledger().to_dict()["totals"]["parameter"]
    except Exception as error:  # noqa: BLE001  whatever goes wrong is a row of the table
        seconds = time.process_time() - start
        return row | {"seconds": round(seconds, 2), "error": _told(error)}
    return row | {
        "seconds": round(seconds, 2),
        "frontend": stream.structure.meta["frontend"],
        "timestamps": stream.num_timestamps,
        "nodes": stream.num_nodes,
        "edges": stream.num_edges,
        "ledger": totals,
    }


def verify_case(case: Case) -> dict[str, Any]:
    """What ``wsgraph verify`` says of one network with random weights."""
    start = time.process_time()
    try:
        torch.manual_seed(0)
        model, inputs = case.build()
        report = wsgraph.verify(None, model.eval(), inputs, samples=1)
    except Exception as error:  # noqa: BLE001  whatever goes wrong is a row of the table
        return {"seconds": round(time.process_time() - start, 2), "error": _told(error)}
    failed = [f"{check.name}: {check.detail}" for check in report.checks if not check.passed]
    return {"seconds": round(time.process_time() - start, 2), "ok": report.ok, "failed": failed}


def _told(error: Exception) -> str:
    reason = " ".join(str(error).split())[:400]
    return f"{type(error).__name__}: {reason}"


COMMANDS = {"compile": compile_case, "verify": verify_case}


def serve(memory: int) -> None:
    """Answer each line on standard input, a command and a case's key, by one JSON line.

    Args:
        memory: limit of the process's address space, in bytes.
    """
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    torch.set_num_threads(1)
    cases = {case.key: case for every in (False, True) for case in all_cases(every_timm_model=every)}
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    for line in sys.stdin:
        command, key = line.strip().split(" ", 1)
        print(json.dumps(COMMANDS[command](cases[key])), file=answers, flush=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
